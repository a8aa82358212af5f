"""Runs a command in a process of its own and says what it took."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from statistics import median_low


@dataclass(frozen=True)
class Cost:
    """Seconds on the wall and of the CPU (in user mode, in the kernel), the largest process in KiB."""

    wall: float
    user: float
    kernel: float
    memory: int

    @property
    def cpu(self) -> float:
        """Seconds of the CPU."""
        return self.user + self.kernel


def cost(command: list[str]) -> Cost:
    """Run a command that has to succeed. The page cache is written back first: what it costs is its own.

    :raises CalledProcessError: when it fails.
    """
    os.sync()
    begun = time.perf_counter()
    child = subprocess.Popen(command)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Cost(wall, used.ru_utime, used.ru_stime, used.ru_maxrss)


def middle(costs: list[Cost]) -> Cost:
    """The one whose wall time is the median of several: its figures belong together."""
    wall = median_low(each.wall for each in costs)
    return next(each for each in costs if each.wall == wall)
