"""Counts what a backup does, by the names that duplicity's statistics have."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """Statistics of a run; sizes in bytes. A source's directories, links and devices count as files, too."""

    SourceFiles: int = 0
    SourceFileSize: int = 0
    NewFiles: int = 0
    NewFileSize: int = 0
    DeletedFiles: int = 0
    ChangedFiles: int = 0
    ChangedFileSize: int = 0
    DeltaEntries: int = 0
    RawDeltaSize: int = 0
    SocketsSkipped: int = 0
    Errors: int = 0
    TotalDestinationSizeChange: int = 0

    def seen(self, size: int) -> None:
        """Count something of the source."""
        self.SourceFiles += 1
        self.SourceFileSize += size

    def stored(self, size: int, *, new: bool) -> None:
        """Count something that is new or has changed."""
        self.DeltaEntries += 1
        if new:
            self.NewFiles += 1
            self.NewFileSize += size
        else:
            self.ChangedFiles += 1
            self.ChangedFileSize += size

    def deleted(self) -> None:
        """Count something that is no more."""
        self.DeltaEntries += 1
        self.DeletedFiles += 1

    def as_dict(self) -> dict[str, float]:
        """Return all counts by name."""
        return asdict(self)
