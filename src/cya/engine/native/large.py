"""Large files: their pieces come back one by one, and have to make one file, one signature, one delta."""

from __future__ import annotations

from cya.engine.native.compare import Change, What
from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.output import Output
from cya.engine.native.packer import Packer
from cya.engine.native.plan import Large, block_for, ref_of
from cya.engine.native.scan import Found
from cya.engine.native.tasks import LOST, Packed, Ref, Slice
from cya.format import delta
from cya.format import signature as signatures

_LARGEST_SIGNATURE = 1 << 25
"""Bytes. What is made of a larger one, for a delta, takes too much memory; the file is stored whole, and signed in
larger blocks then. Only duplicity 0.8 makes such: with its blocks of 2048 bytes, of files from 5.7 GB on."""


class LargeFiles:
    """Settles what becomes of large files."""

    def __init__(self, output: Output, packer: Packer, old: OldSignatures, capacity: int) -> None:
        self._output, self._packer, self._old, self._capacity = output, packer, old, capacity

    def begin(self, change: Change, found: Found, size: int, *, is_guess: bool = False) -> Large:
        """Return a large file of which no piece is planned yet.

        :param size: in bytes. If it is a guess, the block length stays what it was.
        """
        known = change.known
        ref = ref_of(known)
        old = self._block_of(ref) if ref is not None else None
        block = old if old and is_guess else block_for(size, old, self._capacity)
        return Large(change, found, block, ref if old else None)

    def settle(self, large: Large, task: Slice, packed: Packed) -> None:
        """Take a piece, in order."""
        if large.broken:
            return
        outcome = packed.outcomes[0]
        if outcome.reason:
            self._output.lose_all(large.found, self._told(large, outcome.reason, lost=outcome.what == LOST))
        if outcome.what == LOST:
            large.broken = True
            return
        large.begun = True
        large.size += outcome.size
        self._output.done += outcome.size
        large.blocks.append(outcome.blocks)
        # What is shorter than it should be is the end, whatever may come after: it would be in a wrong place.
        large.broken = outcome.size < task.length
        if outcome.commands:
            large.pending.append(outcome.commands)
            large.number = large.number or task.number
            large.waiting += len(outcome.commands)
            if large.waiting > self._capacity // 4:
                self._write_pending(large)
        elif packed.entries.length:
            self._write_pending(large)
            self._output.piece(large, packed, task.number, last=task.last and not task.ref)

    def finish(self, large: Large) -> None:
        """Write what comes after the last piece."""
        if not large.begun:
            if large.change.known is not None:
                self._output.keep(large.change.known)
            return
        signature = signatures.head(large.block) + b"".join(large.blocks)
        if self._is_unchanged(large, signature):
            self._output.plain(large.change._replace(what=What.SAME))
            return
        if large.ref is not None:
            large.pending.append(delta.END)
            large.number = large.number or large.slices + 1
            self._write_pending(large, last=True)
        parts, inner = self._packer.signature_parts(large.piece(1, 0, 0, last=True), signature)
        self._output.finished(large, parts, inner, len(signature))

    def _write_pending(self, large: Large, *, last: bool = False) -> None:
        if large.pending:
            task = large.piece(large.number, 0, 0, last=last)
            packed = self._packer.pack_commands(task, b"".join(large.pending))
            self._output.piece(large, packed, large.number, last=last)
            large.pending.clear()
            large.number = large.waiting = 0

    def _is_unchanged(self, large: Large, signature: bytes) -> bool:
        """Whether a doubted file is what it was; nothing of it is written yet then, since all could be copied."""
        if large.change.what is not What.DOUBTED or large.ref is None or large.stored or large.broken:
            return False
        return self._old.read(large.ref) == signature

    def _block_of(self, ref: Ref) -> int | None:
        """Return the block length of an old signature, or None when no delta can be made with it."""
        if ref.length > _LARGEST_SIGNATURE:
            return None
        basis = self._old.basis(ref)
        return basis.block_length if basis is not None else None

    def _told(self, large: Large, reason: str, *, lost: bool) -> str:
        if lost and large.begun:
            return f"{reason}; only its first {large.size} bytes are in the backup"
        return reason
