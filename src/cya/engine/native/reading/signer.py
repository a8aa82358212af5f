"""A process that compares files with signatures, as it is told over one pipe; it answers over another.

A message is its length in 4 bytes, and plain tuples as marshal writes them. When the pipe ends, so does the process.
"""

from __future__ import annotations

import marshal
import signal
import struct
import sys
from typing import Any, BinaryIO

import msgspec

from cya.engine.native.reading.signing import Asked, Signer

_LENGTH = struct.Struct("<I")


class Setting(msgspec.Struct, frozen=True):
    """What the process has to know: descriptors, which it inherits, of the source and of the two pipes."""

    root: int
    ask: int
    answer: int


def send(pipe: BinaryIO, message: Any) -> None:
    """Write a message."""
    data = marshal.dumps(message)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Read a message; None at the end."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    return marshal.loads(data) if len(data) == length else None  # noqa: S302 from our own process


def main() -> int:
    """Run: ``python -m cya.engine.native.reading.signer``, with a :class:`Setting` on its standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    setting = msgspec.json.decode(sys.stdin.buffer.read(), type=Setting)
    signer = Signer(setting.root)
    with open(setting.ask, "rb") as ask, open(setting.answer, "wb") as answer:
        while (batch := receive(ask)) is not None:
            send(answer, [tuple(signer.answer(Asked(*asked))) for asked in batch])
    return 0


if __name__ == "__main__":
    sys.exit(main())
