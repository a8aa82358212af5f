r"""Manifests: which volumes an increment has, what they hold, and their hashes.

::

    Hostname web1
    Localdir /
    Volume 1:
        StartingPath   .
        EndingPath     home/film.mkv 15
        Hash SHA1 7f1e3ef746727c7857683ec4cb2f8430e2610259
    Volume 2:
        …
    Filelist 2
        changed  home/film.mkv
        new      "home/a\x20b"

A path is followed by a blank and the number of a block, or a second blank in its place. Paths are quoted as
:mod:`cya.format.quoting` says; the Filelist names regular files only. Read from what duplicity 0.8.22 and 3.2.1 write,
which :func:`serialise` makes byte for byte. A Filelist before the volumes, and none at all, are read too.

Nothing in a manifest says how many volumes there are: one that was cut off between two volumes cannot be told from a
whole one, unless a Filelist is expected at its end (``files_changed`` is None then).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from cya.format.manifest_lines import Lines, ManifestError
from cya.format.quoting import quote, unquote
from cya.format.volume_info import VolumeInfo

__all__ = ["Manifest", "ManifestError", "Status", "VolumeInfo", "parse", "serialise"]

Status = Literal["new", "changed", "deleted"]

_STATUSES: dict[bytes, Status] = {b"new": "new", b"changed": "changed", b"deleted": "deleted"}
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,17}")
_VOLUME = re.compile(rb"Volume ([1-9][0-9]{0,17}):")
_ALGORITHM = re.compile(rb"[A-Za-z0-9-]{1,32}")
_DIGITS = re.compile(rb"(?:[0-9a-f]{2})+")
_DIGEST_SIZES = {"MD5": 16, "SHA1": 20}


@dataclass(frozen=True)
class Manifest:
    """A manifest.

    :ivar hostname: of the client, in UTF-8.
    :ivar localdir: the source exactly as it was given to duplicity, which takes ``src`` and ``/home/src`` for two.
    :ivar volumes: by number, from 1, without a gap.
    :ivar files_changed: path and what became of it, for each regular file; None without a Filelist.
    """

    hostname: bytes | None
    localdir: bytes | None
    volumes: tuple[VolumeInfo, ...]
    files_changed: tuple[tuple[bytes, Status], ...] | None = None

    def volumes_for(self, path: bytes) -> tuple[int, ...]:
        """Numbers of the volumes that may hold ``path`` (relative to the source) or anything below it.

        Everything is ``b"."``. No other volume holds it; one of these need not, when the increment has nothing for it.
        """
        return tuple(volume.number for volume in self.volumes if volume.may_hold(path))


def parse(data: bytes) -> Manifest:
    """Read a manifest (decrypted).

    A backup that was restarted repeats volumes: of ``1, 2, 3, 2`` the last 2 counts, and 3, which came before it, is
    no longer part of the backup.

    :raises ManifestError: when it is cut off within a line or a volume, has no volume, or is malformed: anything that
        stock does not write, a volume that comes before its predecessor, a Filelist that is not as long as it says.
    """
    lines = Lines(data)
    hostname = _hostname(lines)
    localdir = _localdir(lines)
    volumes: list[VolumeInfo] = []
    files: tuple[tuple[bytes, Status], ...] | None = None
    while not lines.at_end:
        if lines.begins(b"Volume "):
            volume = _volume(lines, following=len(volumes) + 1)
            del volumes[volume.number - 1 :]
            volumes.append(volume)
        elif lines.begins(b"Filelist ") and files is None:
            files = _filelist(lines)
        else:
            lines.take()
            raise lines.error("not expected here")
    if not volumes:
        raise lines.error("a manifest without a volume")
    return Manifest(hostname, localdir, tuple(volumes), files)


def serialise(manifest: Manifest) -> bytes:
    """Write a manifest as stock does at the end of a backup, the Filelist last.

    :raises ValueError: when it would not be read back as it is: no volume or a gap in the numbers, an empty path or a
        zero byte in one, a host name with the end of a line, a leading double quote or no UTF-8, a malformed hash.
    """
    data = b"".join(_written(manifest))
    try:
        read = parse(data)
    except ManifestError as error:
        raise ValueError(f"cannot be written: {error}") from None
    if read != replace(manifest, files_changed=None):
        raise ValueError("cannot be written: the manifest would be read as another one")
    # A Filelist may have a line for each file of a system: it is checked, but not read again.
    return data + b"".join(_written_files(manifest.files_changed))


def _written(manifest: Manifest) -> Iterator[bytes]:
    if manifest.hostname is not None:
        yield b"Hostname %b\n" % manifest.hostname
    if manifest.localdir is not None:
        yield b"Localdir %b\n" % quote(manifest.localdir)
    for volume in manifest.volumes:
        yield b"Volume %d:\n" % volume.number
        yield b"    StartingPath   %b %b\n" % (quote(volume.start), _block(volume.start_block))
        yield b"    EndingPath     %b %b\n" % (quote(volume.end), _block(volume.end_block))
        for algorithm, digits in volume.hashes.items():
            yield f"    Hash {algorithm} {digits}\n".encode()


def _written_files(files: tuple[tuple[bytes, Status], ...] | None) -> Iterator[bytes]:
    if files is not None:
        yield b"Filelist %d\n" % len(files)
        for path, status in files:
            if not path or b"\0" in path or status not in _STATUSES.values():
                raise ValueError(f"cannot be written: not a changed file: {path!r}, {status}")
            yield b"    %-7b  %b\n" % (status.encode(), quote(path))


def _block(number: int | None) -> bytes:
    return b" " if number is None else b"%d" % number


def _hostname(lines: Lines) -> bytes | None:
    if not lines.begins(b"Hostname "):
        return None
    name = lines.take().removeprefix(b"Hostname ")
    # Stock does not quote the name, but would take the quotes away when reading it.
    if not name or name.startswith(b'"'):
        raise lines.error("not a host name")
    try:
        name.decode()
    except UnicodeDecodeError:
        raise lines.error("the host name is not UTF-8") from None
    return name


def _localdir(lines: Lines) -> bytes | None:
    if not lines.begins(b"Localdir "):
        return None
    words = lines.take().split()
    if len(words) != 2:
        raise lines.error("one path expected")
    return _path(lines, words[1])


def _volume(lines: Lines, following: int) -> VolumeInfo:
    found = _VOLUME.fullmatch(lines.take())
    if found is None:
        raise lines.error("not a volume's number")
    number = int(found[1])
    if number > following:
        raise lines.error(f"volume {following} expected, or one before it")
    start, start_block = _place(lines, b"StartingPath")
    end, end_block = _place(lines, b"EndingPath")
    hashes: dict[str, str] = {}
    while lines.begins(b" "):
        algorithm, digits = _hash(lines)
        if algorithm in hashes:
            raise lines.error(f"a second {algorithm} of volume {number}")
        hashes[algorithm] = digits
    return VolumeInfo(number, start, start_block, end, end_block, hashes)


def _place(lines: Lines, field: bytes) -> tuple[bytes, int | None]:
    words = lines.words(field)
    if len(words) not in (1, 2):
        raise lines.error("a path and perhaps the number of a block expected")
    path = _path(lines, words[0])
    if len(words) == 1:
        return path, None
    if _NUMBER.fullmatch(words[1]) is None:
        raise lines.error("not the number of a block")
    return path, int(words[1])


def _hash(lines: Lines) -> tuple[str, str]:
    words = lines.words(b"Hash")
    if len(words) != 2 or _ALGORITHM.fullmatch(words[0]) is None or _DIGITS.fullmatch(words[1]) is None:
        raise lines.error("an algorithm and lower-case hexadecimal digits expected")
    algorithm, digits = words[0].decode(), words[1].decode()
    size = _DIGEST_SIZES.get(algorithm)
    if size is not None and len(digits) != 2 * size:
        raise lines.error(f"{algorithm} has {2 * size} digits")
    return algorithm, digits


def _filelist(lines: Lines) -> tuple[tuple[bytes, Status], ...]:
    length = lines.take().removeprefix(b"Filelist ")
    if _NUMBER.fullmatch(length) is None:
        raise lines.error("not the length of a list")
    wrong = lines.error("the list is not as long as this says")
    files = [_changed_file(lines, line) for line in lines.indented()]
    if len(files) != int(length):
        raise wrong
    return tuple(files)


def _changed_file(lines: Lines, line: bytes) -> tuple[bytes, Status]:
    words = line.split()
    if len(words) != 2:
        raise lines.error("a status and a path expected")
    status = _STATUSES.get(words[0])
    if status is None:
        raise lines.error("new, changed or deleted expected")
    return _path(lines, words[1]), status


def _path(lines: Lines, word: bytes) -> bytes:
    try:
        path = unquote(word)
    except ValueError:
        raise lines.error("the path is not well quoted") from None
    if not path or b"\0" in path:
        raise lines.error("not a path")
    return path
