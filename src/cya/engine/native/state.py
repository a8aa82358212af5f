"""What the chain holds of the source: the local sigtars, and the index of them.

All of it is a cache. What is missing is fetched from the served chain, which may need a key; what is damaged, too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from isal import isal_zlib

from cya.engine.duplicity_options import NAME
from cya.engine.native import index
from cya.engine.native.gpg import Gpg
from cya.engine.native.index import Header, IndexDamaged, IndexWriter, Signatures
from cya.engine.native.known import NO_SIZE, UNKNOWN, Known
from cya.engine.native.members import LARGEST, MemberReader, SignaturesDamaged, repack
from cya.engine.native.sigtar_entries import Entry, SigtarMalformed, entries, newest
from cya.engine.private import Private
from cya.errors import DecryptionFailed, EngineError, IntegrityError
from cya.format import names
from cya.format.collection import FileSet
from cya.format.tar_reader import TarError, TarReader

_PIECE = 1 << 18


@dataclass(frozen=True)
class State:
    """What is known before a backup.

    :ivar index: of the chain; None when there is no chain to go on with.
    :ivar chain: the local sigtars, the full's first.
    :ivar sigtars: their paths.
    :ivar files: number of paths, and of ``bytes`` in them; 0 where unknown.
    """

    index: Path | None = None
    chain: tuple[Signatures, ...] = ()
    sigtars: tuple[Path, ...] = ()
    files: int = 0
    bytes: int = field(default=0)

    @property
    def ends(self) -> tuple[int, ...]:
        """When the increments end, in seconds since the epoch."""
        return tuple(each.end for each in self.chain)

    def known(self) -> Iterator[Known]:
        """Yield all records."""
        return index.read(self.index) if self.index is not None else iter(())


class Store:
    """The local sigtars, manifests and the index of one backup."""

    def __init__(self, private: Private, gpg: Gpg, source: Path) -> None:
        """Take note of where things are.

        :param source: the directory that is backed up.
        """
        self.directory = private.archive_dir / NAME
        self.index = private.cache / "index"
        self.side = private.cache / "dupext"
        self._temporary = private.temporary
        self._gpg = gpg
        self._source = os.fsencode(source)

    def local(self, name: bytes) -> Path:
        """Return the place of a local file."""
        return self.directory / os.fsdecode(name)

    def state(self, chain: Sequence[FileSet], target: Path, passphrase: str | None, way_out: str) -> State:
        """Return what is known of a chain; what is missing of it is made.

        :param target: where the chain is served.
        :raises DecryptionFailed: when something has to be decrypted, and cannot be.
        :raises IntegrityError: when the served chain is damaged.
        """
        if not chain:
            return State()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fetch = _Fetch(self, target, self._gpg, passphrase, way_out, self._temporary)
        for files in chain:
            fetch.missing(files)
        sigtars = tuple(self.local(names.sigtar(files.start, files.end, b".gz")) for files in chain)
        header = self._header()
        if header is None or header.source != self._source or header.chain != _described(chain, sigtars):
            header = self._made_again(chain, sigtars, header, fetch)
        return State(self.index, header.chain, sigtars, header.files, header.size)

    def _made_again(
        self, chain: Sequence[FileSet], sigtars: tuple[Path, ...], header: Header | None, fetch: _Fetch
    ) -> Header:
        for path in sigtars:
            fetch.in_members(path)
        try:
            return self._rebuilt(chain, sigtars, header)
        except SignaturesDamaged:
            pass
        try:
            for files in chain:
                fetch.until_readable(files)
        except DecryptionFailed:
            times = [(files.start, files.end) for files in chain]
            if header is None or header.source != self._source or times != [(e.start, e.end) for e in header.chain]:
                raise
            # The index is whole. Files whose signatures are lost will be stored whole: better than no backup.
            return header
        return self._rebuilt(chain, sigtars, None)

    def forget(self, increments: Sequence[int], state: State) -> None:
        """Remove what is damaged: the index, and these local sigtars; the next run fetches them again."""
        self.index.unlink(missing_ok=True)
        for number in increments:
            state.sigtars[number].unlink(missing_ok=True)

    def _header(self) -> Header | None:
        try:
            return index.read_header(self.index)
        except IndexDamaged:
            self.index.unlink(missing_ok=True)
            return None

    def _rebuilt(self, chain: Sequence[FileSet], sigtars: tuple[Path, ...], header: Header | None) -> Header:
        """Make the index of the local sigtars; what an index of a longer chain knew of a file is taken over."""
        described = _described(chain, sigtars)
        usable = {}
        if header is not None and header.source == self._source:
            places = {(each.start, each.end): number for number, each in enumerate(described)}
            usable = {
                number: places[each.start, each.end]
                for number, each in enumerate(header.chain)
                if (each.start, each.end) in places
            }
        place = self._temporary / "index"
        writer = IndexWriter(place)
        try:
            former = index.read(self.index) if usable else iter(())
            for record in _with_former(_combined(sigtars), former, usable):
                writer.add(record)
            writer.finish(self._source, described)
        except BaseException:
            writer.abandon()
            raise
        place.rename(self.index)
        made = index.read_header(self.index)
        if made is None:
            raise EngineError(f"{self.index}: vanished; does another program clean the cache up?")
        return made


def _described(chain: Sequence[FileSet], sigtars: Sequence[Path]) -> tuple[Signatures, ...]:
    return tuple(Signatures(files.start, files.end, _crc(path)) for files, path in zip(chain, sigtars, strict=True))


def _crc(path: Path) -> int:
    crc = 0
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_PIECE):
            crc = isal_zlib.crc32(data, crc)
    return crc


def _combined(sigtars: Sequence[Path]) -> Iterator[Known]:
    """Yield what is in force after the last of some sigtars."""
    for record in newest([records(number, path) for number, path in enumerate(sigtars)]):
        if record.mode:
            yield record


def records(number: int, path: Path) -> Iterator[Known]:
    """Yield what a local sigtar says, in its order; a deleted path has mode 0.

    :raises SignaturesDamaged: when it is not a whole sigtar.
    """
    with open(path, "rb") as file:
        reader = MemberReader(file)
        try:
            for entry in entries(TarReader(reader.read)):
                yield _record(number, entry, reader)
            while reader.read(_PIECE):
                pass  # the checksum comes last
        except (TarError, SigtarMalformed) as error:
            raise SignaturesDamaged(f"{path.name}: {error}") from error


def _record(number: int, entry: Entry, reader: MemberReader) -> Known:
    key, kind, member = entry
    if not kind:
        return Known(key, 0, 0, 0, 0, 0, UNKNOWN, 0, number, 0, 0, 0, False, b"")
    size, place, inner, length = 0, 0, 0, 0
    if kind == stat.S_IFREG:
        size, length = NO_SIZE, member.size
        place, inner = reader.place(member.offset)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        size = os.makedev(member.devmajor, member.devminor)
    return Known(
        *(key, kind | (member.mode & 0o7777), member.uid, member.gid, size, max(0, member.mtime), UNKNOWN, 0),
        *(number, place, inner, length, False, member.linkname),
    )


def _with_former(fresh: Iterator[Known], former: Iterator[Known], usable: dict[int, int]) -> Iterator[Known]:
    """Add what a former index knew to fresh records.

    :param usable: which increments of the former's chain are which of this one's. What was known of a path whose
        newest entry is in one of these holds still.
    """
    old = next(former, None)
    for record in fresh:
        while old is not None and old.key < record.key:
            old = next(former, None)
        if old is not None and old.key == record.key and usable.get(old.increment) == record.increment:
            yield record._replace(size=old.size, ctime=old.ctime, inode=old.inode, bare=old.bare)
        else:
            yield record


class _Fetch:
    """Brings metadata of the served chain into the local directory."""

    def __init__(
        self, store: Store, target: Path, gpg: Gpg, passphrase: str | None, way_out: str, temporary: Path
    ) -> None:
        self._store, self._target, self._gpg = store, target, gpg
        self._passphrase, self._way_out, self._temporary = passphrase, way_out, temporary

    def missing(self, files: FileSet) -> None:
        """Fetch what is not there of an increment."""
        local = self._store.local
        if not local(names.manifest(files.start, files.end, b"")).exists():
            self._fetch(files.manifest, local(names.manifest(files.start, files.end, b"")), _copied)
        if not local(names.sigtar(files.start, files.end, b".gz")).exists():
            self._fetch(files.sigtar, local(names.sigtar(files.start, files.end, b".gz")), repack)

    def in_members(self, path: Path) -> None:
        """Make a local sigtar one of small members, of which each can be read by itself; stock makes one large one."""
        with open(path, "rb") as file, suppress(SignaturesDamaged):
            reader = MemberReader(file)
            while reader.members < 2 and reader.largest <= LARGEST and reader.read(_PIECE):
                pass
            if reader.largest > LARGEST:
                file.seek(0)
                self._write(path, lambda write: repack(MemberReader(file).read, write))

    def until_readable(self, files: FileSet) -> None:
        """Fetch a local sigtar again if it is damaged.

        :raises IntegrityError: when the served one is damaged.
        """
        path = self._store.local(names.sigtar(files.start, files.end, b".gz"))
        try:
            _check(path)
        except SignaturesDamaged:
            self._fetch(files.sigtar, path, repack)
            try:
                _check(path)
            except SignaturesDamaged as error:
                path.unlink()
                name = (files.sigtar or b"").decode()
                raise IntegrityError(
                    f"{self._target / name}: the sigtar is damaged: {error}; an earlier backup may be whole: "
                    "make a new chain with `cya backup --full`"
                ) from error

    def _fetch(
        self,
        name: bytes | None,
        path: Path,
        convert: Callable[[Callable[[int], bytes], Callable[[bytes], object]], None],
    ) -> None:
        if name is None:
            raise IntegrityError(f"{self._target}: {path.name} is not served; collect at the archive again")
        served = self._target / os.fsdecode(name)
        try:
            if name.endswith(b".gpg"):
                with self._gpg.decrypting(served, self._passphrase, self._way_out) as stream:
                    self._write(path, lambda write: convert(stream.read, write))
            else:
                with open(served, "rb") as file:
                    read = MemberReader(file).read if name.endswith(b".gz") else file.read
                    self._write(path, lambda write: convert(read, write))
        except SignaturesDamaged as error:
            raise IntegrityError(f"{served}: damaged: {error}; an earlier backup may be whole") from error
        except OSError as error:
            raise EngineError(f"{served}: cannot be read: {error.strerror}") from error

    def _write(self, path: Path, make: Callable[[Callable[[bytes], object]], None]) -> None:
        place = self._temporary / "fetched"
        with suppress(FileNotFoundError):
            place.unlink()
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            make(file.write)
        place.rename(path)


def _check(path: Path) -> None:
    for _ in records(0, path):
        pass


def _copied(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    while data := read(_PIECE):
        write(data)
