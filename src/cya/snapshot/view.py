"""Puts snapshots together as the source was: each at its place, and what has none, read-only, as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cya.errors import SnapshotError
from cya.snapshot.binding import bind, descended, opened
from cya.snapshot.mounts import Mount, mount_of
from cya.snapshot.protocol import Piece

_LEFT_ALONE = frozenset({"autofs"})
"""Types of mounts that are no file systems: looking at one mounts something."""


@dataclass(frozen=True)
class Missing:
    """A file system that could not be shown, and why. ``path`` is relative to the source."""

    path: Path
    reason: str


class Assembly:
    """Puts a view together in an empty directory."""

    def __init__(self, source: Path, place: Path, *, writable: bool) -> None:
        """Take note of the places; nothing is mounted yet.

        :param source: what the view is of, absolute, without symbolic links.
        :param place: an empty directory of ours; the view and what it is made of are mounted in it.
        :param writable: the view's root is to be.
        """
        self._source, self._place, self._writable = source, place, writable
        self._number = 0
        self.path = place / "view"

    def build(
        self, here: Mount, pieces: Mapping[Mount, Piece], inside: Mapping[Path, Piece], live: Iterable[Mount]
    ) -> Sequence[Missing]:
        """Mount everything; return what of the source cannot be shown.

        :param here: the mount that the source lies in.
        :param inside: pieces at places for which there is no mount.
        :param live: mounts below the source that are shown as they are.
        :raises SnapshotError: when a snapshot cannot be mounted or shown.
        """
        self.path.mkdir(0o700)
        piece = pieces.get(here)
        try:
            with opened(self.path) as place:
                if piece is not None:
                    self._show(piece, place, writable=self._writable)
                else:
                    with opened(self._source) as what:
                        bind(what, place, writable=self._writable)
        except OSError as error:
            raise SnapshotError(f"{self._source}: cannot be shown at {self.path}: {error.strerror}") from error
        found: list[tuple[Path, Piece | Mount]] = [(m.target, each) for m, each in pieces.items() if m != here]
        found += [*inside.items(), *((each.target, each) for each in live if each.type not in _LEFT_ALONE)]
        found.sort(key=lambda each: len(each[0].parts))
        return [missing for target, each in found if (missing := self._add(target, each)) is not None]

    def _add(self, target: Path, what: Piece | Mount) -> Missing | None:
        below = target.relative_to(self._source)
        try:
            with opened(self.path) as top, descended(top, below) as place:
                if isinstance(what, Mount):
                    with opened(target) as shown:
                        if mount_of(shown) != what.id:
                            return Missing(below, "was unmounted, or mounted over, while the snapshots were taken")
                        bind(shown, place)
                else:
                    self._show(what, place)
        except OSError as error:
            return Missing(below, f"the file system that is mounted there cannot be shown: {error.strerror}")
        return None

    def _show(self, piece: Piece, place: int, *, writable: bool = False) -> None:
        own = self._place / f"piece-{self._number}"
        self._number += 1
        own.mkdir(0o700)
        with opened(piece.mount(own)) as top, descended(top, piece.part) as what:
            bind(what, place, writable=writable)
