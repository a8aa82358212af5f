"""A small SFTP client (protocol 3) that does one request at a time, so that handles stay open as long as one likes.

It speaks over ``ssh -s … sftp``. Requests are those of draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL.
"""

from __future__ import annotations

import struct
import subprocess
from contextlib import suppress
from types import TracebackType

from tests.archive.own_machine import Client

READ, WRITE, APPEND, CREATE, TRUNCATE, EXCLUSIVE = 1, 2, 4, 8, 16, 32

_INIT, _OPEN, _CLOSE, _READ, _WRITE, _FSETSTAT, _SETSTAT = 1, 3, 4, 5, 6, 10, 9
_OPENDIR, _READDIR, _REMOVE, _MKDIR, _RMDIR, _STAT, _RENAME, _READLINK, _SYMLINK = 11, 12, 13, 14, 15, 17, 18, 19, 20
_EXTENDED = 200
_STATUS, _HANDLE, _DATA = 101, 102, 103
_OF_PERMISSIONS, _OF_TIMES, _OF_OWNER, _OF_SIZE = 4, 8, 2, 1


class Refused(Exception):
    """The server's answer is a status that is not OK; the argument is its number and message."""


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">I", len(data)) + data


class Session:
    """One connection."""

    def __init__(self, client: Client) -> None:
        command = ["ssh", *client.options(), "-p", str(client.port), "-l", client.user, "-s", "localhost", "sftp"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.number = 0
        self._send(_INIT, struct.pack(">I", 3))
        self.version = self._receive()[1]

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()

    def open(self, path: str | bytes, flags: int) -> bytes:
        return self._handle(_OPEN, text(path) + struct.pack(">II", flags, 0))

    def write(self, handle: bytes, data: bytes, offset: int = 0) -> None:
        self.request(_WRITE, text(handle) + struct.pack(">Q", offset) + text(data))

    def read(self, handle: bytes, length: int = 1 << 15) -> bytes:
        kind, answer = self.request(_READ, text(handle) + struct.pack(">QI", 0, length))
        assert kind == _DATA
        return answer[4:]

    def close(self, handle: bytes) -> None:
        self.request(_CLOSE, text(handle))

    def put(self, path: str | bytes, data: bytes = b"x") -> None:
        handle = self.open(path, WRITE | CREATE | TRUNCATE)
        self.write(handle, data)
        self.close(handle)

    def opendir(self, path: str) -> bytes:
        return self._handle(_OPENDIR, text(path))

    def remove(self, path: str | bytes) -> None:
        self.request(_REMOVE, text(path))

    def mkdir(self, path: str) -> None:
        self.request(_MKDIR, text(path) + struct.pack(">I", 0))

    def rmdir(self, path: str) -> None:
        self.request(_RMDIR, text(path))

    def rename(self, old: str, new: str) -> None:
        self.request(_RENAME, text(old) + text(new))

    def symlink(self, target: str, path: str) -> None:
        self.request(_SYMLINK, text(target) + text(path))  # OpenSSH has the two the other way round than the draft

    def readlink(self, path: str) -> None:
        self.request(_READLINK, text(path))

    def stat(self, path: str) -> None:
        self.request(_STAT, text(path))

    def chmod(self, path: str, mode: int) -> None:
        self.request(_SETSTAT, text(path) + struct.pack(">II", _OF_PERMISSIONS, mode))

    def chown(self, path: str, uid: int) -> None:
        self.request(_SETSTAT, text(path) + struct.pack(">III", _OF_OWNER, uid, uid))

    def utime(self, path: str) -> None:
        self.request(_SETSTAT, text(path) + struct.pack(">III", _OF_TIMES, 1, 1))

    def truncate(self, path: str, size: int) -> None:
        self.request(_SETSTAT, text(path) + struct.pack(">IQ", _OF_SIZE, size))

    def fchmod(self, handle: bytes, mode: int) -> None:
        self.request(_FSETSTAT, text(handle) + struct.pack(">II", _OF_PERMISSIONS, mode))

    def ftruncate(self, handle: bytes, size: int) -> None:
        self.request(_FSETSTAT, text(handle) + struct.pack(">IQ", _OF_SIZE, size))

    def extended(self, name: str, data: bytes) -> tuple[int, bytes]:
        return self.request(_EXTENDED, text(name) + data)

    def request(self, kind: int, data: bytes) -> tuple[int, bytes]:
        """Send a request and return the kind and the rest of the answer.

        :raises Refused: for a status that is not OK.
        :raises EOFError: when the server hangs up.
        """
        self.number += 1
        self._send(kind, struct.pack(">I", self.number) + data)
        answer, rest = self._receive()
        number = struct.unpack(">I", rest[:4])[0]
        assert number == self.number
        if answer == _STATUS and (code := struct.unpack(">I", rest[4:8])[0]):
            raise Refused(code, rest[12:].split(b"\0")[0].decode(errors="replace"))
        return answer, rest[4:]

    def _handle(self, kind: int, data: bytes) -> bytes:
        answer, rest = self.request(kind, data)
        assert answer == _HANDLE
        return rest[4:]

    def _send(self, kind: int, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack(">IB", len(data) + 1, kind) + data)
        self.process.stdin.flush()

    def _receive(self) -> tuple[int, bytes]:
        assert self.process.stdout is not None
        head = self.process.stdout.read(5)
        if len(head) < 5:
            raise EOFError
        length, kind = struct.unpack(">IB", head)
        return kind, self.process.stdout.read(length - 1)
