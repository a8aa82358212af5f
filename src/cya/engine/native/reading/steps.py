"""What a chain's manifests say: which volumes there should be, what each holds, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cya.engine.native.reading.manifests import volumes_of
from cya.engine.native.reading.opening import FileDamaged, Opener
from cya.errors import DecryptionFailed
from cya.format import names
from cya.format.collection import FileSet
from cya.format.volume_info import VolumeInfo, components
from cya.supply import Supply


@dataclass(frozen=True)
class Volume:
    """A volume.

    :ivar increment: number in the chain of its increment.
    :ivar name: of its file; where that is missing, what it should be.
    :ivar first, last: keys of its first and last entry; ``last`` is None where nothing is known.
    :ivar digest: algorithm and hexadecimal digits, where known.
    """

    increment: int
    number: int
    name: bytes
    first: bytes = b""
    last: bytes | None = None
    digest: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """A word for names of files."""
        return f"{self.increment}-{self.number}"

    def may_hold(self, keys: Sequence[bytes]) -> bool:
        """Whether it may hold one of these paths, or anything below."""
        return not keys or any(
            (self.last is None or key <= self.last) and self.first[: len(key) + 1] <= key + b"\0" for key in keys
        )


@dataclass
class Step:
    """One increment of the chain.

    :ivar known: whether its manifest could be read; else there may be more volumes than are there.
    :ivar locked: why the manifest could not be decrypted.
    """

    number: int
    files: FileSet
    volumes: list[Volume] = field(default_factory=list)
    known: bool = False
    locked: str | None = None


def steps(chain: Sequence[FileSet], supply: Supply, opener: Opener) -> Iterator[tuple[Step, str | None]]:
    """Yield the increments, the full first, and what is wrong with the manifest of each."""
    for number, files in enumerate(chain):
        step = Step(number, files)
        wrong = None
        try:
            if files.manifest is None or files.conflicts:
                raise FileDamaged("is there twice" if files.conflicts else "is missing")
            path = supply.now(files.manifest)
            if path is None:
                raise FileDamaged("is missing")
            with opener.opened(path) as read:
                manifest = volumes_of(read)
            step.known = True
            step.volumes = [_volume(number, files, info) for info in manifest.volumes]
        except (FileDamaged, DecryptionFailed) as error:
            wrong = str(error)
            step.locked = wrong if isinstance(error, DecryptionFailed) else None
            step.volumes = [Volume(number, each, name) for each, name in sorted(files.volumes.items())]
        yield step, wrong


def _volume(increment: int, files: FileSet, info: VolumeInfo) -> Volume:
    name = files.volumes.get(info.number) or names.volume(files.start, files.end, info.number, _suffix(files))
    digest = next(iter(sorted(info.hashes.items(), reverse=True)), None)
    return Volume(increment, info.number, name, _key(info.start), _key(info.end), digest)


def _key(path: bytes) -> bytes:
    return b"\0".join(components(path))


def _suffix(files: FileSet) -> bytes:
    known = [read for name in files.names if (read := names.parse(name)) is not None]
    return next((read.suffix for read in known if read.suffix), b"")
