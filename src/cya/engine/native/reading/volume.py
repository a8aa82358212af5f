"""The entries of a volume, one after another, as far as they are wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from cya.engine.native.reading.opening import FileDamaged, Read
from cya.format.difftar import Entry, entry
from cya.format.tar_reader import Member, TarError, TarReader

_AT_ONCE = 1 << 18


class Wanted:
    """Which paths are wanted: some, with all below them, or everything."""

    def __init__(self, keys: Iterable[bytes] = (), without: Iterable[bytes] = (), links: Iterable[bytes] = ()) -> None:
        """Take keys; none for everything.

        :param without: keys that are not wanted, nor what lies below them; a few.
        :param links: keys that are not wanted, of what is no directory; many.
        """
        self._links = frozenset(links)
        self.keys = sorted(set(keys))
        self._without = tuple(without)

    def holds(self, key: bytes) -> bool:
        """Whether a path is wanted."""
        if key in self._links:
            return False
        if any(key.startswith(each) and key[len(each) : len(each) + 1] in (b"", b"\0") for each in self._without):
            return False
        return not self.keys or self.number(key) is not None

    def number(self, key: bytes) -> int | None:
        """Return the number of the wanted key that a path is or lies below; none is below another."""
        found = bisect_right(self.keys, key) - 1
        if found >= 0 and (key == self.keys[found] or key.startswith(self.keys[found] + b"\0")):
            return found
        return None

    def is_beyond(self, key: bytes) -> bool:
        """Whether neither this path nor any after it is wanted."""
        return bool(self.keys) and key > self.keys[-1] and not key.startswith(self.keys[-1] + b"\0")


class Entries:
    """Goes through a volume: iterate, and take the data of an entry before the next one."""

    def __init__(self, read: Read, wanted: Wanted, *, proved: bool) -> None:
        """Read nothing yet.

        :param proved: the volume's hash is what it should be; so it need not be read to its end.
        """
        self._read, self._wanted, self._proved = read, wanted, proved
        self._last: Entry | None = None
        self._tar = TarReader(read, self._passed if proved and wanted.keys else None, proved=proved)

    def __iter__(self) -> Iterator[tuple[Entry, Member]]:
        """Yield the entries in the order of their keys; then all is read, and proved to be what was written.

        :raises FileDamaged: for a volume that is not what it should be.
        :raises DecryptionFailed: when it cannot be decrypted.
        """
        try:
            for member in self._tar:
                found = self._in_order(member.name)
                if self._wanted.is_beyond(found.key):
                    if self._proved:
                        return
                    break
                if self._wanted.holds(found.key):
                    yield found, member
        except TarError as error:
            raise FileDamaged(str(error)) from None
        while self._read(_AT_ONCE):
            pass

    def data(self) -> Iterator[memoryview]:
        """Yield the data of the entry, once.

        :raises FileDamaged: when they are cut off.
        """
        try:
            yield from self._tar.pieces()
        except TarError as error:
            raise FileDamaged(str(error)) from None

    def _in_order(self, name: bytes) -> Entry:
        found = entry(name)
        if self._last is not None:
            _check_order(self._last, found)
        self._last = found
        return found

    def _passed(self, name: bytes) -> bool:
        """Whether nothing of a member is wanted, but maybe something of what comes after."""
        found = entry(name)
        if self._wanted.holds(found.key) or self._wanted.is_beyond(found.key):
            return False
        if self._last is not None:
            _check_order(self._last, found)
        self._last = found
        return True


def _check_order(last: Entry, found: Entry) -> None:
    """Of one path there may be several pieces, and nothing else."""
    if (found.key, found.piece) <= (last.key, last.piece):
        raise FileDamaged(f"{found.key!r} comes after {last.key!r}")
    if found.key == last.key and (found.what != last.what or not last.piece):
        raise FileDamaged(f"{found.key!r} is there twice")
