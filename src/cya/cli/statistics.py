"""A backup's statistics, in the words and the order of duplicity's own."""

from __future__ import annotations

from collections.abc import Mapping

from cya import clock
from cya.cli import output

_TIMES = ("StartTime", "EndTime")
_SIZES = ("SourceFileSize", "NewFileSize", "ChangedFileSize", "ChangedDeltaSize", "RawDeltaSize")
_ORDER = (
    *("StartTime", "EndTime", "ElapsedTime", "SourceFiles", "SourceFileSize", "NewFiles", "NewFileSize"),
    *("DeletedFiles", "ChangedFiles", "ChangedFileSize", "ChangedDeltaSize", "DeltaEntries", "RawDeltaSize"),
    *("SocketsSkipped", "TotalDestinationSizeChange", "Errors"),
)
_TITLE = "--------------[ Backup Statistics ]--------------"


def text(statistics: Mapping[str, float]) -> str:
    """Return statistics as lines ``NAME NUMBER (the same for people)``, under duplicity's title."""
    names = [name for name in _ORDER if name in statistics]
    names += [name for name in statistics if name not in _ORDER]
    return "\n".join([_TITLE, *(_line(name, statistics[name]) for name in names), "-" * len(_TITLE)])


def _line(name: str, value: float) -> str:
    if name in _TIMES:
        return f"{name} {value:.2f} ({clock.local(int(value))})"
    if name == "ElapsedTime":
        return f"{name} {value:.2f} ({value:.2f} seconds)"
    if name in _SIZES or name == "TotalDestinationSizeChange":
        return f"{name} {value:.0f} ({output.size(int(value))})"
    return f"{name} {value:.0f}"
