"""What is kept of sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cya.metadata import sockets


def test_a_sockets_mode_and_owners_are_read_as_they_were_written(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
    (tmp_path / "s").chmod(0o2750)
    status = (tmp_path / "s").stat()
    text = sockets.text(status.st_mode, status.st_uid, status.st_gid)
    assert text == b"2750 %d %d" % (status.st_uid, status.st_gid)
    assert sockets.parse(text) == (0o2750, status.st_uid, status.st_gid)
    assert sockets.text(0o7, 0, 4294967294) == b"0007 0 4294967294"


@pytest.mark.parametrize(
    "text", [b"", b"755 0 0", b"0788 0 0", b"0755 0", b"0755 0 0 ", b"0755 -1 0", b"0755 0 4294967295"]
)
def test_what_is_not_that_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a socket's mode"):
        sockets.parse(text)
