"""Runs one command in a process of its own, and says what it and everything it started took.

Run as ``python -m bench.contained RESULT REPOSITORY LOG COMMAND…``; ``RESULT`` becomes a :class:`Taken` in JSON. It is
a process of its own so that daemons the command leaves behind become its children: their CPU counts, and they end with
it.

* The wall time ends with a ``syncfs`` of the repository's file system: a tool that leaves its data to the page cache
  would win otherwise.
* Memory is the largest sum of the proportional set sizes of all processes at one time. The largest process alone would
  hide gpg and helpers; the sum of resident sizes would count shared pages once for each. The sampling is kept below a
  twentieth of one core, and is no part of the CPU that is told.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_INTERVAL = 0.05
_REST = 20
"""So many times as long as a sample took nothing is sampled: the page tables of a large process take milliseconds."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Taken:
    """What a command took.

    :ivar exit: its exit code, negative for a signal.
    :ivar wall: seconds from its start to the end of the sync.
    :ivar sync: seconds of that after its end.
    :ivar user, kernel: seconds of the CPU, of all processes.
    :ivar memory: bytes at the peak, of all processes together; 0 when it was too short to be seen.
    :ivar samples, sampling: how often memory was looked at, and seconds of the CPU for that.
    :ivar foreign: seconds of the CPU that anybody else on the machine used meanwhile, the kernel's threads among them.
    :ivar steal: seconds that the hypervisor gave to others.
    """

    exit: int
    wall: float
    sync: float
    user: float
    kernel: float
    memory: int
    samples: int
    sampling: float
    foreign: float
    steal: float


def contained(command: list[str], repository: Path, log: Path, environment: dict[str, str]) -> Taken:
    """Run a command by this module. Its output goes to the end of ``log``.

    :raises CalledProcessError: when the measuring failed; when the command did, its exit code says so.
    """
    result = log.with_suffix(".taken.json")
    runner = [sys.executable, "-m", "bench.contained", str(result), str(repository), str(log), *command]
    subprocess.run(runner, env=environment, cwd=Path(__file__).parent.parent, check=True)
    return Taken(**json.loads(result.read_text()))


def main() -> None:
    """Run what is on the command line."""
    result, repository, log, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    on = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
    with open(log, "ab") as output:
        os.sync()
        own, (busy, stolen) = time.process_time(), _machine()
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    memory, samples, sampling = _watch(child.pid)
    child.wait()
    ended = time.perf_counter()
    if libc.syncfs(on):
        raise OSError(ctypes.get_errno(), "syncfs")
    synced = time.perf_counter()
    user, kernel = _end_what_is_left()
    busy_then, stolen_then = _machine()
    foreign = busy_then - busy - user - kernel - (time.process_time() - own)
    taken = Taken(
        exit=child.returncode,
        wall=synced - begun,
        sync=synced - ended,
        user=user,
        kernel=kernel,
        memory=memory,
        samples=samples,
        sampling=sampling,
        foreign=max(0.0, foreign),
        steal=stolen_then - stolen,
    )
    Path(result).write_text(json.dumps(asdict(taken)))


def _watch(pid: int) -> tuple[int, int, float]:
    """Sample memory until a process has ended; its end is seen at once."""
    ended = select.poll()
    fd = os.pidfd_open(pid)
    ended.register(fd, select.POLLIN)
    memory, samples, begun, rest = 0, 0, time.thread_time(), _INTERVAL / 10
    while not ended.poll(1000 * rest):
        before = time.perf_counter()
        memory = max(memory, sum(map(_pss, _descendants())))
        samples += 1
        rest = max(_INTERVAL, _REST * (time.perf_counter() - before))
    os.close(fd)
    return memory, samples, time.thread_time() - begun


def _descendants(pid: int | str = "self") -> Iterator[int]:
    """All processes below one, without it. A child is listed with the thread that started it."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as children:
                for child in map(int, children.read().split()):
                    yield child
                    yield from _descendants(child)


def _pss(pid: int) -> int:
    """Bytes; 0 for a process that has just ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
        for line in rollup:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    return 0


def _end_what_is_left() -> tuple[float, float]:
    """End daemons that were left behind; return the CPU of all that ever ran below this process, user and kernel."""
    deadline = time.monotonic() + 2
    while left := [pid for pid in _descendants() if _is_alive(pid)]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        _reap()
        time.sleep(0.01)
    _reap()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _machine() -> tuple[float, float]:
    """Seconds that all cores were busy, and that were stolen from them, since the machine started."""
    with open("/proc/stat", "rb") as stat:
        user, nice, system, _, _, irq, soft, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + soft) / _TICK, steal / _TICK


if __name__ == "__main__":
    main()
