"""Packs units: reads files, signs them, makes deltas, and gives deflated pieces of a difftar and of a sigtar."""

from __future__ import annotations

import errno
import os
import stat
from functools import lru_cache

from cya.engine.native import account_names
from cya.engine.native.beneath import open_beneath
from cya.engine.native.holes import Holes, is_hole
from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.opener import Opener
from cya.engine.native.tasks import (
    DELTA,
    LOST,
    STORED,
    UNCHANGED,
    Deleted,
    Other,
    Outcome,
    Packed,
    Part,
    Ref,
    Slice,
    Task,
    Whole,
)
from cya.engine.native.unit import Unit
from cya.format import delta, tar_header
from cya.format import signature as signatures
from cya.metadata.look import CAPABILITY

SMALL = 4096
"""Bytes up to which a changed file is stored whole: a delta would save little, and its old signature must be read."""

_KINDS = {
    stat.S_IFREG: tar_header.REGULAR,
    stat.S_IFDIR: tar_header.DIRECTORY,
    stat.S_IFLNK: tar_header.SYMLINK,
    stat.S_IFIFO: tar_header.FIFO,
    stat.S_IFCHR: tar_header.CHARACTER,
    stat.S_IFBLK: tar_header.BLOCK_DEVICE,
}
_PLAINER_WORDS = {
    errno.ENOENT: "vanished while the backup ran",
    errno.ENOTDIR: "vanished while the backup ran",
    errno.ELOOP: "became a symbolic link while the backup ran",
    errno.EXDEV: "became a symbolic link while the backup ran",
    errno.EISDIR: "became a directory while the backup ran",
    errno.ENXIO: "became something else while the backup ran",
}


class Packer:
    """Packs the units of one run."""

    def __init__(self, root: int, old: OldSignatures, capacity: int) -> None:
        """Make a buffer.

        :param root: descriptor of the source.
        :param capacity: of the buffer in bytes; the planner makes sure that a unit fits.
        """
        self._root = root
        self._old = old
        self._unit = Unit(capacity)
        self._opener = Opener(root)
        self._signer = signatures.Signer()
        self._open: tuple[bytes, int] | None = None
        self._is_sparse = False
        self._holes = Holes(old, capacity)
        self._ready: Part | None = None

    def pack(self, tasks: list[Task]) -> Packed:
        """Pack the files of a unit."""
        self._unit.clear()
        self._ready = None
        try:
            return self._packed([self._pack(task) for task in tasks])
        finally:
            self._opener.close()

    def pack_content(self, task: Whole | Slice, data: bytes) -> Packed:
        """Pack one entry whose content does not come from a file."""
        self._unit.clear()
        if isinstance(task, Whole):
            header = _header(b"snapshot/", task, len(data))
            self._unit.place(len(header), data)
            return self._packed([self._content(task, header, len(data))])
        head = len(_piece_header(task, len(data)))
        self._unit.place(head, data)
        return self._packed([self._piece(task, head, len(data))])

    def pack_commands(self, task: Slice, commands: bytes) -> Packed:
        """Pack a piece of a delta that is there already."""
        self._unit.clear()
        self._unit.entry_with(_piece_header(task, len(commands)), commands)
        return self._packed([Outcome(DELTA, 0, len(commands))])

    def signature_parts(self, task: Slice, signature: bytes) -> tuple[list[Part], int]:
        """Return the entry of a large file in the sigtar, in pieces, and where in the first one its content begins."""
        head = _signature_header(task, len(signature))
        entry = head + signature + bytes(tar_header.padding(len(signature)))
        return [self._unit.part(entry[at : at + _PART]) for at in range(0, len(entry), _PART)], len(head)

    def close(self) -> None:
        """Close the large file that is open."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _packed(self, outcomes: list[Outcome]) -> Packed:
        return Packed(
            self._ready or self._unit.entries_part(), self._unit.signatures_part(), outcomes, sorted(self._old.damaged)
        )

    def _pack(self, task: Task) -> Outcome:
        if isinstance(task, Whole):
            return self._whole(task)
        if isinstance(task, Slice):
            return self._slice(task)
        if isinstance(task, Deleted):
            gone = tar_header.header(b"deleted/" + task.path, tar_header.REGULAR, 0, 0, 0, 0, 0)
            self._unit.entry(gone, 0)
            self._unit.sign(gone)
            return Outcome(STORED)
        # Duplicity's name for the source itself differs between the two.
        self._unit.entry(_other_header(b"snapshot/" + (task.path or b"./"), task), 0)
        self._unit.sign(_other_header(b"snapshot/" + task.path, task))
        return Outcome(STORED)

    def _whole(self, task: Whole) -> Outcome:
        try:
            file = self._itself(task) if task.inode or task.capable else self._opener.open(task.path)
        except OSError as error:
            return Outcome(LOST, reason=_reason(error))
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return Outcome(LOST, reason="is no regular file any more")
            owner = (status.st_mode, status.st_uid, status.st_gid)
            changed = owner != (task.mode, task.uid, task.gid)
            if changed:
                # A new file, or new permissions: its content must not get the old ones.
                task = task._replace(mode=owner[0], uid=owner[1], gid=owner[2], doubted=False)
            head = _header(b"snapshot/", task, task.size)
            size = self._unit.read(file, len(head), task.size)
            outcome = self._content(task, head, size)
            return outcome._replace(owner=owner) if changed else outcome
        except OSError as error:
            return Outcome(LOST, reason=_reason(error))
        finally:
            os.close(file)

    def _content(self, task: Whole, header: bytes, size: int) -> Outcome:
        """Store a file whose content stands in the unit already, where it belongs behind its header.

        :param header: of a file of the size that the task says.
        """
        address = self._unit.address(len(header))
        block = signatures.block_length(size)
        signature = self._signer.signature(address, size, block)
        ref = Ref(*task.ref) if task.ref else None
        if task.doubted and ref and _matches(self._old.read(ref), signature, address, size):
            return Outcome(UNCHANGED, size)
        commands = self._delta(ref, address, size) if ref and size > SMALL else None
        what, stored = STORED, size
        if commands is not None and len(commands) < size:
            what, stored = DELTA, len(commands)
            self._unit.entry_with(_header(b"diff/", task, stored), commands)
        else:
            self._unit.entry(header if size == task.size else _header(b"snapshot/", task, size), size)
        name = _signature_header(task, len(signature))
        inner = self._unit.signed + len(name)
        self._unit.sign(name, signature)
        return Outcome(what, size, stored, inner, len(signature))

    def _delta(self, ref: Ref, address: int, size: int) -> bytes | None:
        basis = self._old.basis(ref)
        if basis is None:
            return None
        return delta.MAGIC + basis.delta(address, size) + delta.END

    def _slice(self, task: Slice) -> Outcome:
        head = len(_piece_header(task, task.length))
        try:
            file = self._opened(task)
        except OSError as error:
            return Outcome(LOST, reason=_reason(error))
        try:
            if self._is_sparse and is_hole(file, task.offset, task.length) and (found := self._hole(task)) is not None:
                return found
            return self._piece(task, head, self._unit.read(file, head, task.length, task.offset))
        except OSError as error:
            # What follows may well be readable, and has to stay in its place.
            self._unit.place(head, bytes(task.length))
            reason = f"{_reason(error)}: {task.length} bytes from byte {task.offset} on are zeros in the backup"
            return self._piece(task, head, task.length)._replace(reason=reason)

    def _opened(self, task: Slice) -> int:
        """Return a descriptor of a large file, which serves for all of its slices that come here."""
        if self._open is not None and self._open[0] == task.path:
            return self._open[1]
        self.close()
        file = self._itself(task)
        status = os.fstat(file)
        expected = (task.inode or status.st_ino, task.mode, task.uid, task.gid)
        if (status.st_ino, status.st_mode, status.st_uid, status.st_gid) != expected:
            os.close(file)
            raise OSError(errno.ESTALE, "was replaced, or given other permissions, while the backup ran")
        self._open = (task.path, file)
        self._is_sparse = status.st_blocks * 512 < status.st_size
        return file

    def _hole(self, task: Slice) -> Outcome | None:
        """Pack a slice of zeros without reading them; None if a delta needs to look at them."""
        blocks = self._holes.sums(task.length, task.block)
        if not task.ref:
            self._ready = self._holes.part(_piece_header(task, task.length), task.length)
            return Outcome(STORED, task.length, task.length, blocks=blocks)
        commands = self._holes.commands(task)
        return Outcome(DELTA, task.length, blocks=blocks, commands=commands) if commands is not None else None

    def _itself(self, task: Whole | Slice) -> int:
        """Open a file under one of its names; another one that has taken the name is passed over, if there is a next.

        :raises OSError: when it is nowhere.
        """
        failed = OSError(errno.ESTALE, "was replaced while the backup ran")
        for path in (task.path, *task.others):
            try:
                file = open_beneath(self._root, path)
            except OSError as error:
                failed = error if path == task.path else failed
                continue
            if task.inode in (0, os.fstat(file).st_ino) and (not task.capable or _is_capable(file)):
                return file
            os.close(file)
        raise failed

    def _piece(self, task: Slice, head: int, size: int) -> Outcome:
        address = self._unit.address(head)
        blocks = self._signer.signature(address, size, task.block)[signatures.HEAD_SIZE :]
        if not task.ref:
            self._unit.entry(_piece_header(task, size), size)
            return Outcome(STORED, size, size, blocks=blocks)
        basis = self._old.basis(Ref(*task.ref))
        if basis is None:
            return Outcome(LOST, size, reason="the local copy of its old signature is damaged")
        commands = basis.delta(address, size)
        if task.number == 1:
            commands = delta.MAGIC + commands
        if len(commands) <= _SHORT:
            return Outcome(DELTA, size, blocks=blocks, commands=commands)
        self._unit.entry_with(_piece_header(task, len(commands)), commands)
        return Outcome(DELTA, size, len(commands), blocks=blocks)


_PART = 1 << 20
_SHORT = 4096
"""Bytes of commands up to which an entry of their own would cost more than they."""


@lru_cache(1024)
def _headers(mode: int, uid: int, gid: int) -> tar_header.FileHeaders:
    return tar_header.FileHeaders(stat.S_IMODE(mode), uid, gid, account_names.user(uid), account_names.group(gid))


def _header(prefix: bytes, task: Whole, size: int) -> bytes:
    return _headers(task.mode, task.uid, task.gid).header(prefix + task.path, size, task.mtime)


def _piece_header(task: Slice, size: int) -> bytes:
    name = b"%b%b/%d" % (b"multivol_diff/" if task.ref else b"multivol_snapshot/", task.path, task.number)
    return _headers(task.mode, task.uid, task.gid).header(name, size, task.mtime)


def _signature_header(task: Whole | Slice, length: int) -> bytes:
    return _headers(task.mode, task.uid, task.gid).header(b"signature/" + task.path, length, task.mtime)


def _other_header(name: bytes, task: Other) -> bytes:
    return tar_header.header(
        *(name, _KINDS[stat.S_IFMT(task.mode)], stat.S_IMODE(task.mode), task.uid, task.gid, 0, task.mtime),
        linkname=task.link,
        uname=account_names.user(task.uid),
        gname=account_names.group(task.gid),
        devmajor=os.major(task.device),
        devminor=os.minor(task.device),
    )


def _is_capable(file: int) -> bool:
    try:
        return bool(os.getxattr(file, CAPABILITY))
    except OSError:
        return False


def _matches(old: bytes | None, signature: bytes, address: int, size: int) -> bool:
    """Whether an old signature is one of the content at an address."""
    if old is None or old[:12] == signature[:12]:
        return old == signature
    try:
        block, strong = signatures.parse_head(old)
    except ValueError:
        return False
    return strong == signatures.STRONG_LENGTH and old[12:] == signatures.blocks(address, size, block)


def _reason(error: OSError) -> str:
    return _PLAINER_WORDS.get(error.errno or 0) or (error.strerror or str(error)).lower()
