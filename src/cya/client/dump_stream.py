"""What a program that dumps a database writes, as a stream: it ends well only if the program does."""

from __future__ import annotations

import io
import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, BinaryIO, cast

from cya.errors import DumpFailed
from cya.printable import printable

_BUFFER = 1 << 18


def opened(command: Sequence[str], user: pwd.struct_passwd | None, told: str, end: bytes) -> BinaryIO:
    """Start a program; return what it writes. Whoever closes it before the end ends the program.

    :param user: runs it; None: the one that runs this.
    :param told: names the dump in messages.
    :param end: what a whole dump ends with; empty: its exit code says all.
    :raises DumpFailed: when it cannot be run; and from reading, when it fails.
    """
    return cast("BinaryIO", io.BufferedReader(_Dump(command, user, told, end), _BUFFER))


class _Dump(io.RawIOBase):
    def __init__(self, command: Sequence[str], user: pwd.struct_passwd | None, told: str, end: bytes) -> None:
        super().__init__()
        self._told, self._end, self._program = told, end, os.path.basename(command[0])
        self._last = b""
        self._over = False
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed with this
        try:
            self._child = subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._said,
                start_new_session=True,
                **_as(user),
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._said.close()
            raise DumpFailed(f"{told}: {command[0]} cannot be run: {error}") from error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """Read what there is.

        :raises DumpFailed: at the end, when the program has failed.
        """
        view = memoryview(cast("bytearray", buffer)).cast("B")
        if self._over or self._child.stdout is None:
            return 0
        size = os.readv(self._child.stdout.fileno(), [view])
        if size:
            length = len(self._end)
            self._last = (self._last + view[max(0, size - length) : size].tobytes())[-length:] if length else b""
            return size
        self._over = True
        if self._child.wait() != 0 or not self._last.endswith(self._end):
            raise DumpFailed(f"{self._told}: {self._why()}; there is no backup")
        return 0

    def close(self) -> None:
        """End the program, if it has not ended by itself."""
        if self.closed:
            return
        if self._child.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()
        self._said.close()
        super().close()

    def _why(self) -> str:
        self._said.seek(0)
        lines = self._said.read(1 << 20).decode(errors="replace").strip().splitlines()[-3:]
        code = self._child.returncode
        how = f"exit code {code}" if code else "did not come to its end"
        return printable(f"{self._program}: {how}: {' '.join(lines)}".rstrip(": "))


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what makes a program that of another user, with the environment that a login of theirs has."""
    if user is None:
        return {"env": {**os.environ, "LC_ALL": "C.UTF-8"}}
    path = os.environ.get("PATH", "/usr/bin:/bin")
    env = {"PATH": path, "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "LC_ALL": "C.UTF-8"}
    if os.geteuid() == user.pw_uid:
        return {"env": env}
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return {"env": env, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}
