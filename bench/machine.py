"""The machine that is measured on: what it is, and what has to be done to it before."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.tools import TOOLS


def described(work: Path) -> dict[str, Any]:
    """Return what a page says of the machine.

    :param work: where repositories lie, for the type of the file system.
    """
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "?")
    kind = subprocess.run(["df", "--output=fstype", work], capture_output=True, text=True, check=True).stdout.split()[
        -1
    ]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory": memory,
        "kernel": platform.release(),
        "file_system": kind,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def touch_memory(most: int) -> None:
    """Touch memory once: in a virtual machine the first touch of a page costs ten times a later one."""
    with open("/proc/meminfo", "rb") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith(b"MemFree"))
    subprocess.run([sys.executable, "-c", f"bytearray({min(free << 9, most)})"], check=False)


def stored(repository: Path) -> int:
    """Return the bytes of all files in a directory, each inode counted once."""
    return _summed(repository, lambda found: found.st_size)


def allocated(repository: Path) -> int:
    """Return the bytes that they take up in blocks of the file system."""
    return _summed(repository, lambda found: 512 * found.st_blocks)


def is_here(name: str) -> bool:
    """Whether a tool is installed; if not, that is said."""
    if not TOOLS[name].is_here:
        print(f"bench: {name} is not installed; tools/set-up bench does it", file=sys.stderr)
    return TOOLS[name].is_here


def _summed(repository: Path, size: Callable[[os.stat_result], int]) -> int:
    seen: dict[tuple[int, int], int] = {}
    for top, _, names in os.walk(repository):
        for name in names:
            found = os.lstat(os.path.join(top, name))
            seen[found.st_dev, found.st_ino] = size(found)
    return sum(seen.values())
