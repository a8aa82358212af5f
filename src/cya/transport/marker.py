"""``FINISHED``: the client's word that its upload is whole, with the size and the SHA-256 of each new file.

It is uploaded last, under a temporary name, and renamed. The archive checks the files against it, because a client
cannot fsync over SFTP: after a power cut files may be there and empty.
"""

from __future__ import annotations

import msgspec


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new file: its name, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in ``FINISHED``."""

    files: tuple[File, ...]
    version: int = 1


def encode(marker: Marker) -> bytes:
    """Return the marker as JSON."""
    return msgspec.json.format(msgspec.json.encode(marker)) + b"\n"


def decode(data: bytes) -> Marker:
    """Read a marker.

    :raises ValueError: when it is not one, or of a version that is not known, or names a file twice.
    """
    try:
        marker = msgspec.json.decode(data, type=Marker)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if marker.version != 1:
        raise ValueError(f"version {marker.version} is not known")
    if len({file.name for file in marker.files}) != len(marker.files):
        raise ValueError("it names a file twice")
    return marker
