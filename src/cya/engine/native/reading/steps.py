"""What a chain's manifests say: which volumes there should be, what each holds, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from cya.engine.native.reading.manifests import volumes_of
from cya.engine.native.reading.opening import HASHES, FileDamaged, Opener
from cya.errors import DecryptionFailed
from cya.format import names, volume_index
from cya.format.collection import FileSet
from cya.format.volume_index import Place
from cya.format.volume_info import VolumeInfo, components
from cya.supply import Supply


@dataclass(frozen=True)
class Volume:
    """A volume.

    :ivar increment: number in the chain of its increment.
    :ivar name: of its file; where that is missing, what it should be.
    :ivar first, last: the keys that it holds lie between these, both included; None is the end of all. Together the
        volumes of an increment leave no key out, whatever the manifest says.
    :ivar before: key of the next volume's first entry, where known.
    :ivar digest: algorithm and hexadecimal digits, where known.
    :ivar index: where its index is, if it has one.
    """

    increment: int
    number: int
    name: bytes
    first: bytes = b""
    last: bytes | None = None
    digest: tuple[str, str] | None = None
    before: bytes | None = None
    index: Place | None = None

    @property
    def label(self) -> str:
        """A word for names of files."""
        return f"{self.increment}-{self.number}"

    def may_hold(self, keys: Sequence[bytes]) -> bool:
        """Whether it may hold one of these paths, or anything below.

        One border that is wrong in a manifest hides nothing: there is the next volume's, too.
        """
        last = self.last if self.last is None or self.before is None else max(self.last, self.before)
        return not keys or any(
            (last is None or key <= last) and self.first[: len(key) + 1] <= key + b"\0" for key in keys
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
            if not files.manifest.endswith(b".gpg"):
                wrong = _cut_off(step)
            step.volumes = list(_tiled(step.volumes))
        except (FileDamaged, DecryptionFailed) as error:
            wrong = str(error)
            step.locked = wrong if isinstance(error, DecryptionFailed) else None
            step.volumes = [Volume(number, each, name) for each, name in sorted(files.volumes.items())]
        yield step, wrong


def _cut_off(step: Step) -> str | None:
    """Add volumes that are there and not in the manifest: one that is not encrypted may have been cut off."""
    numbers = {volume.number for volume in step.volumes}
    more = [(number, name) for number, name in sorted(step.files.volumes.items()) if number not in numbers]
    step.volumes += [Volume(step.number, number, name, step.volumes[-1].last or b"") for number, name in more]
    return f"does not know of {len(more)} volumes that are there" if more else None


def _tiled(volumes: Sequence[Volume]) -> Iterator[Volume]:
    """Yield the volumes, each beginning right after the one before, and the last one without an end."""
    after = b""
    for volume, following in zip_longest(volumes, volumes[1:]):
        first = min(volume.first, after)
        last = volume.last if following is not None else None
        yield replace(volume, first=first, last=last, before=following.first if following is not None else None)
        after = last + b"\0" if last is not None else volume.first


def _volume(increment: int, files: FileSet, info: VolumeInfo) -> Volume:
    name = files.volumes.get(info.number) or names.volume(files.start, files.end, info.number, _suffix(files))
    digest = max(info.hashes.items(), key=lambda found: (found[0].lower() in HASHES, found[0]), default=None)
    index = volume_index.parse_place(info.hashes.get(volume_index.NAME, ""))
    return Volume(increment, info.number, name, _key(info.start), _key(info.end), digest, index=index)


def _key(path: bytes) -> bytes:
    return b"\0".join(components(path))


def _suffix(files: FileSet) -> bytes:
    known = [read for name in files.names if (read := names.parse(name)) is not None]
    return next((read.suffix for read in known if read.suffix), b"")
