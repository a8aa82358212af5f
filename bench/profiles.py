"""Where the time of a collect goes: into which system calls, and into which of Python's functions."""

from __future__ import annotations

import cProfile
import os
import pstats
import re
import resource
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from bench.roots import Fleet
from cya.archive.collect import collect

_SHOWN = 25


def by_strace(fleet: Fleet, now: datetime) -> str:
    """Count the system calls of ``cya collect`` and their seconds on the wall; threads wait side by side."""
    if shutil.which("strace") is None:
        return "  no strace here"
    to = fleet.place / "strace"
    traced = ["strace", "--follow-forks", "--summary-only", "--summary-wall-clock", "--output", str(to)]
    subprocess.run([*traced, *fleet.collect(now)], check=True)
    lines = [f"  {'call':<20}{'per root':>9}{'ms per root':>13}"]
    for line in to.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and re.fullmatch(r"[0-9.]+", words[0]) and words[-1] != "total":
            calls, seconds = int(words[3]), float(words[1])
            if calls >= len(fleet.roots):  # what starts the interpreter is not of interest
                lines.append(
                    f"  {words[-1]:<20}{calls / len(fleet.roots):9.1f}{1000 * seconds / len(fleet.roots):13.3f}"
                )
    return "\n".join(lines[:_SHOWN])


def by_python(fleet: Fleet, now: datetime) -> str:
    """Collect in one thread in a process of its own: how much of the time is Python, the kernel, and waiting."""
    to = fleet.place / "profile"
    command = [sys.executable, "-m", "bench.profiles", str(int(now.timestamp())), str(to), *map(str, fleet.roots)]
    subprocess.run([*fleet.within, *command], check=True)
    return to.read_text()


def main() -> None:
    """Collect one half of the roots as they are, for true figures, and the other under cProfile, for the functions."""
    now, to = datetime.fromtimestamp(int(sys.argv[1])).astimezone(), Path(sys.argv[2])
    roots = [Path(root) for root in sys.argv[3:]]
    half = max(1, len(roots) // 2)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for root in roots[:half]:
        collect(root, now)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    user, kernel = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    profile = cProfile.Profile()
    with profile:
        for root in roots[half:]:
            collect(root, now)
    shares = (("in user mode", user), ("in the kernel", kernel), ("waiting", max(0.0, wall - user - kernel)))
    lines = [f"  one thread, {1000 * wall / half:.2f} ms per root:"]
    lines += [f"    {what:<14}{1000 * spent / half:7.2f} ms  {spent / wall:4.0%}" for what, spent in shares]
    to.write_text("\n".join([*lines, *_functions(profile, len(roots) - half)]))


def _functions(profile: cProfile.Profile, roots: int) -> list[str]:
    if not roots:
        return []
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    lines = [f"  {'under cProfile, which slows Python':<48}{'calls':>8}{'own ms':>9}{'with inner':>11}  per root"]
    ordered = sorted(stats.items(), key=lambda item: -item[1][2])
    for (file, _, name), (_, calls, own, inner, _) in ordered[:_SHOWN]:
        where = f"{os.path.basename(os.path.dirname(file))}/{os.path.basename(file)}:{name}" if "/" in file else name
        lines.append(f"  {where[-47:]:<48}{calls / roots:8.1f}{1000 * own / roots:9.3f}{1000 * inner / roots:11.3f}")
    return lines


if __name__ == "__main__":
    main()
