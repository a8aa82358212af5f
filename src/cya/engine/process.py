"""Runs one outside program safely: read without dead-lock, bounded, and never left behind.

The child may be halted for a while (SIGSTOP), when nobody has room for what it makes.

The child gets a session of its own and SIGKILL when this process dies (``setpriv --pdeathsig``; not ``preexec_fn``,
which may dead-lock in a process with threads). So Ctrl-C reaches only us, and we end the child's whole process group.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

from cya.errors import EngineError, MissingProgram

Stream = Literal["log", "stdout", "stderr"]
GRACE = 10.0
"""Seconds that a child has to end after SIGTERM, and to stay idle when it is doomed."""
TICK = 0.5
GATED_TICK = 0.05
"""Seconds between two looks at the gate: at most so long a program goes on that should wait."""
_LONGEST_LINE = 1 << 20
_TAIL_LINES = 200


class Child:
    """A running program whose standard output, standard error and log descriptor are read line by line.

    :ivar tails: the last lines of each stream.
    :ivar returncode: as of :class:`subprocess.Popen`; None while it runs.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        env: Mapping[str, str],
        cwd: Path,
        tick: Callable[[], None] | None = None,
        gate: Callable[[], bool] | None = None,
    ) -> None:
        """Start a program.

        :param command: makes the argument list, given the number of the descriptor that the child may log to.
        :param tick: called about twice a second while lines are read.
        :param gate: asked often while lines are read: as long as it says no, the program is halted.
            What it raises ends the program.
        :raises MissingProgram: when there is no ``setpriv``.
        :raises EngineError: when the program cannot be started.
        """
        setpriv = shutil.which("setpriv", path=env.get("PATH"))
        if setpriv is None:
            raise MissingProgram("setpriv is not installed: apt-get install util-linux")
        self.tails: dict[Stream, deque[bytes]] = {
            "log": deque(maxlen=_TAIL_LINES),
            "stdout": deque(maxlen=_TAIL_LINES),
            "stderr": deque(maxlen=_TAIL_LINES),
        }
        self._tick, self._gate = tick, gate
        self._halted = False
        self._idle_since: tuple[float, bytes] | None = None
        self.doomed = False
        log, log_end = os.pipe()
        try:
            self._popen = subprocess.Popen(
                [setpriv, "--pdeathsig", "KILL", *command(log_end)],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[log_end],
                start_new_session=True,
            )
        except BaseException as error:
            os.close(log)
            if isinstance(error, OSError):
                raise EngineError(f"{setpriv}: cannot be run: {error.strerror}") from error
            raise
        finally:
            os.close(log_end)
        self._log: IO[bytes] = os.fdopen(log, "rb", buffering=0)

    @property
    def pid(self) -> int:
        """The child's process id, which is its process group's, too."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Exit code; negative for a signal; None while it runs."""
        return self._popen.returncode

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end(ask=True)
        finally:
            for file in (self._log, self._popen.stdout, self._popen.stderr):
                if file is not None:
                    file.close()

    def lines(self) -> Iterator[tuple[Stream, bytes]]:
        """Yield lines without their end as they come, until the child has ended; then the exit code is known.

        A child that is ``doomed`` (the reader saw a fatal error) and uses no processor time for :data:`GRACE` seconds
        is ended: duplicity can hang for ever at its exit, waiting for a gpg that waits for duplicity.
        """
        with selectors.DefaultSelector() as selector:
            buffers: dict[Stream, bytes] = {"log": b"", "stdout": b"", "stderr": b""}
            streams: dict[Stream, IO[bytes] | None] = {
                "log": self._log,
                "stdout": self._popen.stdout,
                "stderr": self._popen.stderr,
            }
            for name, file in streams.items():
                if file is not None:
                    selector.register(file.fileno(), selectors.EVENT_READ, name)
            while selector.get_map():
                ended = self._has_ended()  # asked before reading: what it wrote before it ended is then read
                ready = selector.select(0 if ended else GATED_TICK if self._gate else TICK)
                for key, _ in ready:
                    yield from self._read(selector, key.fd, key.data, buffers)
                if ended and not ready:
                    break  # a descendant still holds a descriptor
                self._watch()
            for name, rest in buffers.items():
                if rest:
                    yield from self._line(name, rest)
        while not self._has_ended():
            time.sleep(0.01)
            self._watch()
        self._end(ask=False)

    def _read(
        self, selector: selectors.BaseSelector, fd: int, name: Stream, buffers: dict[Stream, bytes]
    ) -> Iterator[tuple[Stream, bytes]]:
        data = os.read(fd, 1 << 16)
        if not data:
            selector.unregister(fd)
            return
        *whole, rest = (buffers[name] + data).split(b"\n")
        buffers[name] = rest[:_LONGEST_LINE]
        for line in whole:
            yield from self._line(name, line)

    def _line(self, name: Stream, line: bytes) -> Iterator[tuple[Stream, bytes]]:
        self.tails[name].append(line[:4096])
        yield name, line

    def _watch(self) -> None:
        if self._tick is not None:
            self._tick()
        if self.doomed and self._is_idle():
            self._end(ask=True)
        elif self._gate is not None and not self.doomed and not self._has_ended():
            self._halt(not self._gate())

    def _halt(self, wanted: bool) -> None:
        """Halt the program, or let it go on; not its group. Its gpg waits for data from it all the same, and if we are
        killed now, the program is, too, and gpg reads the end of its data: a halted one would stay for ever.
        """
        if wanted != self._halted and not self._has_ended():
            self._popen.send_signal(signal.SIGSTOP if wanted else signal.SIGCONT)
            self._halted = wanted

    def _is_idle(self) -> bool:
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
        except (OSError, IndexError):
            return False
        used = b" ".join(fields[11:13])
        now = time.monotonic()
        if self._idle_since is None or self._idle_since[1] != used:
            self._idle_since = (now, used)
        return now - self._idle_since[0] >= GRACE

    def _has_ended(self) -> bool:
        if self._popen.returncode is not None:
            return True
        # Not reaped yet: until then nobody else can get its number, and its group can be signalled.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _end(self, *, ask: bool) -> None:
        """End the process group: SIGTERM first if asked for, SIGKILL in any case for what is left."""
        if self._popen.returncode is not None:
            return
        try:
            if ask and not self._has_ended():
                self._signal(signal.SIGTERM)
                self._halt(False)  # else it would hear of that only later
                patience = time.monotonic() + GRACE
                while not self._has_ended() and time.monotonic() < patience:
                    time.sleep(0.01)
        finally:
            self._signal(signal.SIGKILL)
            self._popen.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            self._popen.send_signal(number)
