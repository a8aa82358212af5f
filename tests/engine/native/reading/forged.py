"""Archives that nobody's engine would write: members, manifests and deltas made by hand."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from pathlib import Path

from cya.format import names
from cya.format.delta import MAGIC
from cya.format.tar_header import END, header, padding

FIRST = 1_100_000_000


def member(name: bytes, content: bytes = b"", kind: bytes = b"0", size: int | None = None, **more: object) -> bytes:
    """Return one member, with whatever name and size."""
    values: dict[str, object] = {"mode": 0o644, "uid": 0, "gid": 0, "mtime": 1, **more}
    head = header(name, kind, size=len(content) if size is None else size, **values)  # type: ignore[arg-type]
    return head + content + bytes(padding(len(content)))


def raw(name: bytes, kind: bytes = b"0", mtime: bytes = b"00000000001\0", devices: bytes = b"") -> bytes:
    """Return an old header with fields that no writer of ours makes."""
    block = name[:100].ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"00000000000\0" + mtime
    block += b" " * 8 + kind + bytes(100) + b"ustar\x0000" + bytes(64) + devices
    block = block.ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    block = raw(b"pax", kind)
    block = block[:124] + b"%011o\0" % len(records) + block[136:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:] + records + bytes(padding(len(records)))


def copy(place: int, length: int) -> bytes:
    return b"\x54" + place.to_bytes(8, "big") + length.to_bytes(8, "big")


def literal(content: bytes) -> bytes:
    return b"\x44" + len(content).to_bytes(8, "big") + content


def delta(*commands: bytes) -> bytes:
    return MAGIC + b"".join(commands) + b"\0"


class Forger:
    """Makes a chain in a directory."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.now = FIRST
        target.mkdir()

    def increment(self, *volumes: Iterable[bytes] | bytes, manifest: bytes | None = None, digest: str = "SHA1") -> int:
        """Make an increment of volumes, each given by its members; return its end."""
        start = self.now if self.now > FIRST else None
        self.now += 100
        lines = b"Hostname forger\nLocaldir /forged\n"
        for number, members in enumerate(volumes, 1):
            content = members if isinstance(members, bytes) else gzip.compress(b"".join(members) + END, 1)
            (self.target / names.volume(start, self.now, number, b".gz").decode()).write_bytes(content)
            lines += b"Volume %d:\n    StartingPath   . \n    EndingPath     zz \n" % number
            lines += f"    Hash {digest} {hashlib.sha1(content).hexdigest()}\n".encode()
        (self.target / names.manifest(start, self.now, b"").decode()).write_bytes(
            lines if manifest is None else manifest
        )
        return self.now
