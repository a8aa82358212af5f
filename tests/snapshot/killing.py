"""Kills a backup at each step of its snapshots: right before and right after each program that it runs for them."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from tests.snapshot.site import PATH, Site

PROGRAMS = ("mount", "umount", "findmnt", "btrfs", "lvs", "lvcreate", "lvremove")
_WRAPPER = """#!/bin/sh
# Counts the calls; at call {at} it kills cya, before or after what was asked for is done.
PATH={path}; n=$(($(cat {count} 2>/dev/null || echo 0) + 1)); echo $n > {count}
echo "$n {program} $*" >> {log}
if [ $n = {at} ] && [ {when} = before ]; then kill -9 $PPID; exit 1; fi
{program} "$@"; code=$?
if [ $n = {at} ]; then kill -9 $PPID; fi
exit $code
"""


def wrapped(place: Path, at: int = 0, when: str = "after") -> Path:
    """Make programs that count their calls, and kill who called them at one call; return their directory."""
    place.mkdir()
    for program in PROGRAMS:
        words = {"path": PATH, "count": place / "count", "log": place / "log", "program": program}
        (place / program).write_text(_WRAPPER.format(at=at, when=when, **words))
        (place / program).chmod(0o755)
    return place


def steps(site: Site) -> list[str]:
    """Make a backup, and return the programs that it ran for its snapshots, in order."""
    site.first = wrapped(site.place / "counted")
    site.backup()
    site.first = None
    return (site.place / "counted/log").read_text().splitlines()


def killed(site: Site, at: int, when: str) -> None:
    """Make a backup that is killed at a step."""
    site.first = wrapped(site.place / f"killed-{at}-{when}", at, when)
    site.hours += 1
    ran = subprocess.run(site.command("backup", "--config", site.config), env=site.environment, capture_output=True)
    site.first = None
    assert ran.returncode == -signal.SIGKILL, (at, when, ran)
    patience = time.monotonic() + 30  # a program that it ran goes on to its end
    while _running(site.owner) and time.monotonic() < patience:
        time.sleep(0.05)


def _running(word: str) -> bool:
    return subprocess.run(["pgrep", "-f", word], capture_output=True, check=False).returncode == 0
