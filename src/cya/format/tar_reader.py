"""Tars as Python's tarfile of any version wrote them for duplicity, read as a stream.

Read are ustar with its prefix, GNU's ``L`` and ``K`` (long name and link) and binary numbers, PAX's ``x`` (for the next
member) and ``g`` (from here on). Where a value stands twice, all these go before the block's own fields, ``g`` comes
last of them, and of the others the first counts, as with tarfile. An empty record means the block's own field. Names
are the bytes that are stored, whatever ``hdrcharset`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cya.format import tar_fields as fields
from cya.format.tar_header import BLOCK, DIRECTORY, MAX_EXTENDED, REGULAR, padding

_AT_ONCE = 1 << 18
_MAX_CHAIN = 8
_ZEROS = bytes(BLOCK)
_LONG = {b"L": b"path", b"K": b"linkpath"}
_OWN, _GLOBAL = b"x", b"g"
_EXTENSIONS = frozenset((*_LONG, _OWN, b"X", _GLOBAL))
_WITHOUT_DATA = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_SPARSE = b"S"
_PLAIN = frozenset(b"0123456")
"""Kinds of which nothing but name and size has to be known to pass them over."""


class TarError(ValueError):
    """A tar that is cut off or malformed; the message names the offset."""


class Member(NamedTuple):
    """One member.

    :ivar name: as it is stored; a directory's ends in a slash where it does there.
    :ivar kind: one byte; old-style files are ``b"0"``, old-style directories ``b"5"``.
    :ivar mode: permissions, up to 0o7777.
    :ivar size: bytes of data that follow: 0 for links, devices, directories and pipes.
    :ivar mtime: seconds since the epoch, in 64 bits; may be negative.
    :ivar offset: where the data begin, in bytes from the start of the tar.
    """

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    linkname: bytes
    uname: bytes
    gname: bytes
    devmajor: int
    devminor: int
    offset: int


class TarReader:
    """A tar's members, one after another, and the data of each.

    It ends at the first zero block, or where the input ends between two members. Input is read ahead; what follows the
    end of the tar is partly taken from it.

    :param read: gives up to so many bytes, and none at the end; what it raises goes through.
    :param proved: it is known to be what was written: the checksums of its headers are not looked at.
    :param passed: says by its name whether a member is of no interest: such a one is not yielded, and of most of them
        nothing is looked at but name and size. So only for a tar that is proved.
    """

    def __init__(
        self, read: Callable[[int], bytes], passed: Callable[[bytes], bool] | None = None, *, proved: bool = False
    ) -> None:
        self._read, self._passed, self._proved = read, passed, proved
        self._buffer = b""
        self._at = 0  # in the buffer
        self._base = 0  # of the buffer, from the start of the tar
        self._size = 0
        self._left = 0  # of the data
        self._skip = 0  # data left and their padding
        self._taken = True
        self._ended = False
        self._error: TarError | None = None
        self._global: fields.Records = {}

    def __iter__(self) -> Iterator[Member]:
        """Go on with the next member; data that were not taken are skipped.

        :raises TarError: when the tar is cut off or malformed, and again whenever one goes on after that.
        """
        while not self._ended:
            if self._error is not None:
                raise self._error
            try:
                member = self._next()
            except TarError as error:
                self._error = error
                raise
            if member is None:
                self._ended = True
                return
            self._size = self._left = member.size
            self._skip = member.size + padding(member.size)
            self._taken = False
            yield member

    def read_data(self, limit: int) -> bytes:
        """Take the data of the current member, once.

        :raises TarError: when they are longer than ``limit`` (they may still be copied then), or cut off.
        :raises RuntimeError: when there is no current member, or its data were taken.
        """
        if not self._taken and self._size > limit:
            raise TarError(f"tar, offset {self._offset}: {self._size} bytes of data where {limit} are the most")
        return b"".join(self.pieces())

    def copy_data(self, write: Callable[[bytes], object]) -> None:
        """Take the data of the current member, once, in pieces.

        :raises TarError: when they are cut off.
        :raises RuntimeError: when there is no current member, or its data were taken.
        """
        for piece in self.pieces():
            write(bytes(piece))

    def pieces(self) -> Iterator[memoryview]:
        """Yield the data of the current member, once; what is not taken of it is skipped later.

        :raises TarError: when they are cut off.
        :raises RuntimeError: when there is no current member, or its data were taken.
        """
        if self._taken:
            raise RuntimeError("no current member, or its data were taken")
        self._taken = True
        while self._left:
            if self._at == len(self._buffer):
                self._more("data")
            piece = memoryview(self._buffer)[self._at : self._at + self._left]
            self._at += len(piece)
            self._left -= len(piece)
            self._skip -= len(piece)
            yield piece

    @property
    def _offset(self) -> int:
        return self._base + self._at

    def _next(self) -> Member | None:
        self._taken = True
        while True:
            self._pass_over()
            if self._passed is not None and not self._global:
                self._pass_members(self._passed)
            member = self._found()
            if member is None or self._passed is None or not self._passed(member.name):
                return member
            self._skip = member.size + padding(member.size)

    def _found(self) -> Member | None:
        """Read the headers of a member; None at the end."""
        records: fields.Records = {}
        extensions = 0
        while True:
            start = self._offset
            block = self._take(BLOCK, "a header", may_end=not extensions)
            if not block or (not block[0] and block == _ZEROS):
                if extensions:
                    raise TarError(f"tar, offset {start}: the end, where the header of a member is expected")
                return None
            try:
                if not self._proved and not fields.sum_is_right(block):
                    raise ValueError("the checksum of a header is wrong")
                kind = block[156:157]
                if kind not in _EXTENSIONS:
                    return self._member(block, kind, {**self._global, **records} if extensions else self._global)
                extensions += 1
                if extensions > _MAX_CHAIN:
                    raise ValueError("too many extended headers for one member")
                self._extend(block, kind, records)
            except TarError:
                raise
            except ValueError as error:
                raise TarError(f"tar, offset {start}: {error}") from None

    def _extend(self, block: bytes, kind: bytes, records: fields.Records) -> None:
        """Take an extended header's data, and add what they say to the records of the member, or to all members'."""
        size = fields.number(block[124:136])
        if size > MAX_EXTENDED:
            raise ValueError(f"an extended header of {size} bytes")
        data = self._take(size + padding(size), "an extended header")[:size]
        if kind in _LONG:
            name = data.rstrip(b"\0")
            if b"\0" in name:
                raise ValueError("a zero byte in a long name")
            records.setdefault(_LONG[kind], name)
        elif kind == _GLOBAL:
            self._global.update(fields.records(data))
        else:
            for key, value in fields.records(data).items():
                records.setdefault(key, value)

    def _member(self, block: bytes, kind: bytes, records: fields.Records) -> Member:
        mode, uid, gid = fields.permissions(block[100:124])
        size, mtime = fields.number(block[124:136]), fields.time(block[136:148])
        linkname, uname, gname, devmajor, devminor, prefix = fields.tail(block[157:])
        name = prefix + block[:100].partition(b"\0")[0]
        if records:
            name = records.get(b"path") or name
            linkname = records.get(b"linkpath") or linkname
            uname = records.get(b"uname") or uname
            gname = records.get(b"gname") or gname
            uid = fields.decimal(said) if (said := records.get(b"uid")) else uid
            gid = fields.decimal(said) if (said := records.get(b"gid")) else gid
            size = fields.decimal(said) if (said := records.get(b"size")) else size
            mtime = fields.decimal_time(said) if (said := records.get(b"mtime")) else mtime
        if kind == b"\0":
            kind = DIRECTORY if name.endswith(b"/") else REGULAR
        if kind in _WITHOUT_DATA:
            size = 0
        elif kind == _SPARSE:
            # Its header may go on in blocks that look like data.
            raise ValueError("a sparse file, which duplicity never writes")
        offset = self._base + self._at
        return Member(name, kind, mode, uid, gid, size, mtime, linkname, uname, gname, devmajor, devminor, offset)

    def _pass_members(self, passed: Callable[[bytes], bool]) -> None:
        """Pass over members that are of no interest, as long as they are plain; begin and end at a header."""
        while True:
            end = self._at + BLOCK
            block = self._buffer[self._at : end]
            name = None
            try:
                if block[156:157] == _OWN:
                    size = fields.number(block[124:136])
                    said = fields.records(self._buffer[end : end + size])
                    if b"size" in said:
                        return
                    name = said.get(b"path")
                    end += size + padding(size) + BLOCK
                    block = self._buffer[end - BLOCK : end]
                if len(block) < BLOCK or block[156] not in _PLAIN:
                    return
                name = name or fields.name(block)
                size = 0 if block[156:157] in _WITHOUT_DATA else fields.number(block[124:136])
            except ValueError:
                return
            if not passed(name):
                return
            self._at = end
            self._skip = size + padding(size)
            self._pass_over()

    def _pass_over(self) -> None:
        """Skip what is left of the data and their padding."""
        skip = self._skip
        if skip <= len(self._buffer) - self._at:
            self._at += skip
            self._skip = 0
        while self._skip:
            there = min(self._skip, len(self._buffer) - self._at)
            self._at += there
            self._skip -= there
            if self._skip:
                self._more("data")

    def _more(self, what: str) -> None:
        """Read on with the buffer used up."""
        piece = self._read(_AT_ONCE)
        if not piece:
            raise TarError(f"tar, offset {self._offset}: cut off within {what}")
        self._base += len(self._buffer)
        self._buffer = piece
        self._at = 0

    def _take(self, size: int, what: str, *, may_end: bool = False) -> bytes:
        """Take so many bytes from the input; none at its end, if it may end here."""
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        while len(data) < size:
            piece = self._read(_AT_ONCE)
            if not piece:
                if may_end and not data:
                    break
                raise TarError(f"tar, offset {self._offset}: cut off within {what}")
            self._base += len(self._buffer)
            self._buffer = piece
            self._at = min(size - len(data), len(piece))
            data += piece[: self._at]
        return data
