"""Signatures of files as the chain holds them, read from the local sigtars where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cya.engine.native.members import LARGEST, SignaturesDamaged, read_at
from cya.engine.native.tasks import Ref
from cya.format import signature as signatures
from cya.format.delta import Basis

_SHORTEST_BLOCK = 64
"""Bytes; duplicity takes 512 at least. With much shorter ones a delta may be larger than the file."""


class OldSignatures:
    """Reads signatures; neighbours, which are asked for one after another, are inflated once.

    :ivar damaged: numbers of the increments whose local sigtars are not what they should be.
    """

    def __init__(self, sigtars: Sequence[Path]) -> None:
        """Take note of the local sigtars of the chain, the full's first; none is opened yet."""
        self._sigtars = sigtars
        self._files: dict[int, BinaryIO] = {}
        self._member: tuple[int, int] | None = None
        self._content = b""
        self._basis: tuple[Ref, Basis] | None = None
        self.damaged: set[int] = set()

    def read(self, ref: Ref) -> bytes | None:
        """Return a signature; None when the local sigtar is damaged, which is noted."""
        try:
            return self._read(ref)
        except (OSError, SignaturesDamaged):
            self.damaged.add(ref.increment)
            return None

    def basis(self, ref: Ref) -> Basis | None:
        """Return what deltas are made with; None when there is no good signature, which is noted."""
        if self._basis is not None and self._basis[0] == ref:
            return self._basis[1]
        signature = self.read(ref)
        if signature is None:
            return None
        if self._basis is not None:
            self._basis[1].close()
            self._basis = None
        try:
            if signatures.parse_head(signature).block_length < _SHORTEST_BLOCK:
                raise ValueError("nobody takes such short blocks")
            self._basis = (ref, Basis(signature))
        except ValueError:
            self.damaged.add(ref.increment)
            return None
        return self._basis[1]

    def close(self) -> None:
        """Close what is open."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _read(self, ref: Ref) -> bytes:
        if self._member != (ref.increment, ref.member):
            if ref.inner + ref.length > LARGEST:
                return read_at(self._file(ref.increment), ref.member, ref.inner, ref.length)
            self._content = read_at(self._file(ref.increment), ref.member, 0, None)
            self._member = (ref.increment, ref.member)
        found = self._content[ref.inner : ref.inner + ref.length]
        if len(found) == ref.length:
            return found
        return read_at(self._file(ref.increment), ref.member, ref.inner, ref.length)

    def _file(self, increment: int) -> BinaryIO:
        if increment not in self._files:
            self._files[increment] = open(self._sigtars[increment], "rb")  # noqa: SIM115 closed with the process
        return self._files[increment]
