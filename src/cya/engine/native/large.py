"""Large files: their pieces come back one by one, and have to make one file, one signature, one delta."""

from __future__ import annotations

from cya.engine.native.known import Known
from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.output import Output
from cya.engine.native.packer import Packer
from cya.engine.native.plan import Large, block_for, ref_of
from cya.engine.native.scan import Found
from cya.engine.native.tasks import LOST, Packed, Ref, Slice
from cya.format import delta
from cya.format import signature as signatures

_MOST_PENDING = 1 << 16
_LARGEST_SIGNATURE = 1 << 25
"""Bytes. What is made of a larger one, for a delta, takes too much memory; the file is stored whole, and signed in
larger blocks then. Only duplicity 0.8 makes such: with its blocks of 2048 bytes, of files from 5.7 GB on."""


class LargeFiles:
    """Settles what becomes of large files."""

    def __init__(self, output: Output, packer: Packer, old: OldSignatures, capacity: int) -> None:
        self._output, self._packer, self._old, self._capacity = output, packer, old, capacity

    def begin(self, found: Found, known: Known | None, size: int) -> Large:
        """Return a large file of which no piece is planned yet.

        :param size: in bytes, as far as it is known.
        """
        ref = ref_of(known)
        old = self._block_of(ref) if ref is not None else None
        return Large(found, known, block_for(size, old, self._capacity), ref if old else None)

    def settle(self, large: Large, task: Slice, packed: Packed) -> None:
        """Take a piece, in order."""
        if large.broken:
            return
        outcome = packed.outcomes[0]
        if outcome.reason:
            self._output.lose(large.found.key, self._told(large, outcome.reason, lost=outcome.what == LOST))
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
            if sum(map(len, large.pending)) > _MOST_PENDING:
                self._write_pending(large)
        elif packed.entries.length:
            self._write_pending(large)
            self._output.piece(large, packed, task.number, last=task.last and not task.ref)

    def finish(self, large: Large) -> None:
        """Write what comes after the last piece."""
        if not large.begun:
            if large.known is not None:
                self._output.keep(large.known)
            return
        if large.ref is not None:
            large.pending.append(delta.END)
            large.number = large.number or large.slices + 1
            self._write_pending(large, last=True)
        signature = signatures.head(large.block) + b"".join(large.blocks)
        parts, inner = self._packer.signature_parts(large.piece(1, 0, 0, last=True), signature)
        self._output.finished(large, parts, inner, len(signature))

    def _write_pending(self, large: Large, *, last: bool = False) -> None:
        if large.pending:
            task = large.piece(large.number, 0, 0, last=last)
            packed = self._packer.pack_commands(task, b"".join(large.pending))
            self._output.piece(large, packed, large.number, last=last)
            large.pending.clear()
            large.number = 0

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
