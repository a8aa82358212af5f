"""Runs one command of an administrator's: with a time limit, without a shell, and never left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

MOST_KEPT = 64 << 10
"""Bytes of what a command says; of more the last are kept."""
_GRACE = 5.0
"""Seconds between the two signals that end a command."""
_TICK = 0.1


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    :ivar code: its exit code; negative for a signal; None: it could not be run, or took too long.
    :ivar seconds: how long it took.
    :ivar output: what it said, both streams together.
    :ivar trouble: why it failed, in a few words; empty: it did not.
    """

    command: tuple[str, ...]
    code: int | None
    seconds: float
    output: str
    trouble: str

    @property
    def told(self) -> str:
        """Why it failed, with the last line that it said."""
        last = self.output.strip().rpartition("\n")[2]
        return f"{self.command[0]}: {self.trouble}{f': {last}' if last else ''}"


def run(
    command: Sequence[str],
    facts: Mapping[str, str],
    limit: float,
    outside: Callable[[tuple[str, ...]], tuple[str, ...]] = tuple,
    descriptors: Sequence[int] = (),
) -> Outcome:
    """Run a command until it ends; a process that it leaves in the background is not waited for.

    :param facts: what stands in its environment beside our own.
    :param limit: seconds after which it is ended, with all that it has started.
    :param outside: makes of the command what runs it in another place.
    :param descriptors: that it inherits for that.
    """
    words = tuple(command)
    started = time.monotonic()
    reading, writing = os.pipe()
    try:
        try:
            child = subprocess.Popen(
                outside(words),
                env={**os.environ, **facts},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            return Outcome(words, None, 0.0, "", f"cannot be run: {reason or error}")
        finally:
            os.close(writing)
        try:
            in_time, output = _heard(child, reading, started + limit)
        finally:
            _end(child)
    finally:
        os.close(reading)
    seconds = time.monotonic() - started
    if not in_time:
        return Outcome(words, None, seconds, output, f"took longer than {limit:g} s")
    code = child.returncode
    trouble = "" if code == 0 else f"was ended by signal {-code}" if code < 0 else f"exit code {code}"
    return Outcome(words, code, seconds, output, trouble)


def _heard(child: subprocess.Popen[bytes], reading: int, until: float) -> tuple[bool, str]:
    """Listen until the command ends or its time is over; return whether it ended, and what it said."""
    said = b""
    os.set_blocking(reading, False)
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while True:
            ended = child.poll() is not None  # asked first: what it wrote before is then read
            if selector.get_map() and selector.select(0 if ended else _TICK):
                data = os.read(reading, 1 << 16)
                said = (said + data)[-MOST_KEPT:]
                if not data:
                    selector.unregister(reading)
                continue
            if ended or time.monotonic() >= until:
                return ended, said.decode(errors="replace")
            if not selector.get_map():
                time.sleep(_TICK / 10)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what still runs of a command that has not ended by itself."""
    if child.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)
            break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
