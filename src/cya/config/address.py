"""Where an archive is: a directory of this host, or ``sftp://USER@HOST:PORT``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

EXPECTED = "an absolute directory (not /), or sftp://USER@HOST or sftp://USER@HOST:PORT"

_USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]"
_SFTP = re.compile(rf"sftp://(?P<user>{_USER})@(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/?", re.ASCII)
_PASSWORD = re.compile(r"[^/@]*:.*@", re.DOTALL)


@dataclass(frozen=True)
class SftpAddress:
    """An account on an archive host, which its sshd shuts into the client's root.

    :ivar host: a name or an address, IPv6 without brackets. Neither it nor ``user`` begins with ``-``, so that neither
        can be taken for an option of ``sftp``.
    """

    user: str
    host: str
    port: int = 22

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{self.user}@{host}:{self.port}"


def parse_archive(text: str) -> Path | SftpAddress:
    """Read the ``archive`` key.

    :raises ValueError: with what is wrong. A password is never repeated in the message.
    """
    if match := _SFTP.fullmatch(text):
        port = int(match["port"] or 22)
        if not 1 <= port <= 65535:
            raise ValueError(f"expected a port from 1 to 65535, found {port}")
        return SftpAddress(match["user"], match["host"].strip("[]"), port)
    if _PASSWORD.match(text.partition("://")[2] or text):
        raise ValueError(
            "there is a password in the URL; log in with an SSH key instead, and write sftp://USER@HOST:PORT"
        )
    path = Path("/" + text.lstrip("/"))
    if not text.startswith("/") or path == Path("/") or ".." in path.parts or "\0" in text:
        raise ValueError(f"expected {EXPECTED}, found {text!r}")
    return path
