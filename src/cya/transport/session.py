"""One run of OpenSSH's ``sftp``: a batch of lines, carried out or explained."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cya.errors import ArchiveError
from cya.transport.account import Account
from cya.transport.trouble import Broken, explain

_TICK = 0.2
_SILENCE = 150.0
"""Seconds without a byte, read or written by ssh, after which a connection is dead. Once logged in, ssh itself notices
after a minute, and sends something every 15 seconds; before, it might wait for hours."""
_LONGEST = 64 << 20
_LAST = 1 << 16


def run(account: Account, batch: Iterable[str], stop: threading.Event, largest: int | None = None) -> bytes:
    """Carry out a batch; return what it printed.

    :param batch: lines in which nothing is quoted or a pattern.
    :param stop: when it is set, the run is ended.
    :param largest: the most that any file may hold that is fetched, in bytes.
    :raises Broken: when the connection could not be made, or broke, or ``stop`` was set.
    :raises Refused: when a line could not be carried out.
    :raises ArchiveError: when the archive cannot be reached at all, or says too much.
    """
    with tempfile.TemporaryFile(dir=account.home) as lines:  # a pipe could fill up
        lines.write("".join(f"{line}\n" for line in batch).encode("ascii"))
        lines.seek(0)
        process = subprocess.Popen(
            [*(() if largest is None else ("prlimit", f"--fsize={largest}")), *account.command()],
            env=account.environment(),
            cwd=account.home,
            stdin=lines,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: what is on its way is ended in order
        )
    with process:
        try:
            output, said = _followed(process, account, stop)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise explain(account, process.returncode, output, said)
    return output


def _followed(process: subprocess.Popen[bytes], account: Account, stop: threading.Event) -> tuple[bytes, bytes]:
    """Read what a run prints until it ends."""
    printed = {"stdout": bytearray(), "stderr": bytearray()}
    last, since = -1, time.monotonic()
    with selectors.DefaultSelector() as selector:
        for name, file in (("stdout", process.stdout), ("stderr", process.stderr)):
            if file is not None:
                selector.register(file.fileno(), selectors.EVENT_READ, name)
        while selector.get_map():
            for key, _ in selector.select(_TICK):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                printed[key.data] += data
            if len(printed["stdout"]) > _LONGEST:
                raise ArchiveError(f"{account.address}: the archive's answer does not end; have it looked at there")
            del printed["stderr"][:-_LAST]
            if stop.is_set():
                raise Broken(f"{account.address}: stopped")
            moved, now = _moved(process.pid), time.monotonic()
            if moved != last:
                last, since = moved, now
            elif now - since > _SILENCE:
                raise Broken(f"{account.address}: no connection: nothing has come or gone for {_SILENCE:.0f} seconds")
    process.wait()
    return bytes(printed["stdout"]), bytes(printed["stderr"])


def _moved(pid: int) -> int:
    """Return how much sftp and the ssh that it started have read and written."""
    moved = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (str(pid), *children):
            counts = Path(f"/proc/{each}/io").read_text().split()
            moved += int(counts[1]) + int(counts[3])
    except (OSError, ValueError, IndexError):
        return int(time.monotonic() * 1000)  # not told here (or it has ended): then only ssh itself watches
    return moved
