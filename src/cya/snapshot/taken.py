"""The source as it was at one moment: snapshots are taken, shown as one directory, watched, and removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cya.snapshot import choosing, left
from cya.snapshot.mounts import Mount, below
from cya.snapshot.names import Owner
from cya.snapshot.protocol import Found, Kind, Piece, Wanted
from cya.snapshot.staging import staged
from cya.snapshot.view import Assembly, Missing
from cya.snapshot.watching import watched


@dataclass(frozen=True)
class Ask:
    """What is wanted.

    :ivar source: the directory, absolute, without symbolic links.
    :ivar kind: ``none``, ``auto``, or the name of a kind.
    :ivar size: of a classic LVM snapshot.
    :ivar live: mount points of which no snapshot is wanted.
    :ivar owner: whose they are to be.
    :ivar now: seconds since the epoch, for their names.
    :ivar writable: something will be written into the view's root.
    :ivar one_file_system: what is mounted below the source does not belong to it.
    :ivar marker: a file that is there as long as there may be snapshots of this owner.
    """

    source: Path
    kind: str
    size: str
    live: tuple[Path, ...]
    owner: Owner
    now: int
    marker: Path
    writable: bool = False
    one_file_system: bool = False


@dataclass
class View:
    """What is to be read.

    :ivar path: where the source is to be read; None: there are no snapshots, it is read as it is.
    :ivar found: of what there are snapshots.
    :ivar missing: file systems below the source that cannot be shown.
    :ivar excluded: absolute paths in the source that do not belong to it.
    :ivar warnings: what an administrator should know.
    """

    path: Path | None = None
    found: Sequence[Found] = ()
    missing: Sequence[Missing] = ()
    excluded: tuple[Path, ...] = ()
    warnings: list[str] = field(default_factory=list)


@contextmanager
def taken(ask: Ask) -> Iterator[View]:
    """Show the source as it is at this moment, until the block ends. The config's lock is held.

    What a killed run left is removed first. When the block ends, nothing is left; if that cannot be done, the view's
    warnings say so, and the next run tries again.

    :raises SnapshotError: when no snapshot can be taken or shown, or one became full while it was read.
    """
    view = View()
    view.warnings += left.remove(ask.owner, ask.marker, ask.kind)
    if ask.kind == choosing.NONE:
        yield view
        return
    try:
        with staged(ask.owner) as place:
            kinds = choosing.kinds()
            used = _take(ask, place, kinds, view)
            if not used:
                yield view
                return

            def check() -> None:
                for kind in used:
                    kind.check()

            with watched(check):
                yield view
    finally:
        view.warnings += left.remove(ask.owner, ask.marker, ask.kind)


def _take(ask: Ask, place: Path, kinds: Sequence[Kind], view: View) -> list[Kind]:
    """Take the snapshots and put them together; return the kinds that were used."""
    here, mounted = below(ask.source)
    mounted = [each for each in mounted if not each.target.is_relative_to(place)]
    outside: tuple[Path, ...] = (place,) if place.is_relative_to(ask.source) else ()
    if ask.one_file_system:
        outside += tuple(each.target for each in mounted)
        mounted = []
    wanted = Wanted(ask.owner, ask.now, ask.size, place, ask.writable, nested=not ask.one_file_system)
    chosen = choosing.choose(ask.kind, kinds, [here, *mounted], ask.live, ask.size)
    if not chosen:
        return []
    left.remember(ask.marker, [kind.name for kind, _ in chosen])
    pieces: dict[Mount, Piece] = {}
    inside: dict[Path, tuple[Mount, Piece]] = {}
    for kind, found in chosen:
        made = kind.take([each.mount for each in found], ask.source, wanted)
        pieces |= made.pieces
        inside |= made.inside
        outside += tuple(made.excluded)
        view.found = [*view.found, *found]
    visible = {at: piece for at, (mount, piece) in inside.items() if _innermost(at, [here, *mounted]) == mount}
    assembly = Assembly(ask.source, place, writable=ask.writable)
    view.missing = assembly.build(here, pieces, visible, [each for each in mounted if each not in pieces])
    view.path, view.excluded = assembly.path, outside
    return [kind for kind, _ in chosen]


def _innermost(path: Path, mounts: Sequence[Mount]) -> Mount:
    """Return the mount that a path leads to; a subvolume over which something is mounted is not to be seen."""
    return max((each for each in mounts if path.is_relative_to(each.target)), key=lambda each: len(each.target.parts))
