"""Kills a backup at each step of its snapshots: right before and right after each program that it runs for them."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.snapshot.site import PATH, Site

PROGRAMS = ("mount", "umount", "findmnt", "btrfs", "lvs", "lvcreate", "lvremove")
_WRAPPER = """#!/bin/sh
# Counts the calls; at call {at} it kills cya, before or after what was asked for is done.
PATH={path}; n=$(($(cat {count} 2>/dev/null || echo 0) + 1)); echo $n > {count}
echo "{program} $n $*" >> {log}
if [ $n = {at} ] && [ {when} = before ]; then kill -9 $PPID; exit 1; fi
{program} "$@"; code=$?
if [ $n = {at} ]; then kill -9 $PPID; fi
exit $code
"""


class Step(NamedTuple):
    """One call. They are counted for each program: how often it is looked how full a snapshot is depends on the time.

    :ivar number: from 1.
    """

    program: str
    number: int
    words: str = ""


def wrapped(place: Path, at: Step | None = None, when: str = "after") -> Path:
    """Make programs that count their calls, and kill who called them at one call; return their directory."""
    place.mkdir()
    for program in PROGRAMS:
        number = at.number if at is not None and at.program == program else 0
        words = {"path": PATH, "count": place / f"{program}-count", "log": place / "log", "program": program}
        (place / program).write_text(_WRAPPER.format(at=number, when=when, **words))
        (place / program).chmod(0o755)
    return place


def steps(site: Site) -> list[Step]:
    """Make a backup, and return the programs that it ran for its snapshots, in order."""
    place = site.place / f"counted-{site.hours}"
    site.first = wrapped(place)
    site.backup()
    site.first = None
    lines = (line.split(" ", 2) for line in (place / "log").read_text().splitlines())
    return [Step(program, int(number), words) for program, number, words in lines]


def killed(site: Site, step: Step, when: str) -> None:
    """Make a backup that is killed at a step."""
    site.first = wrapped(site.place / f"killed-{site.hours}", step, when)
    site.hours += 1
    ran = subprocess.run(site.command("backup", "--config", site.config), env=site.environment, capture_output=True)
    site.first = None
    assert ran.returncode == -signal.SIGKILL, (step, when, ran)
    patience = time.monotonic() + 30  # a program that it ran goes on to its end
    while _running(site.owner) and time.monotonic() < patience:
        time.sleep(0.05)


def _running(word: str) -> bool:
    return subprocess.run(["pgrep", "-f", word], capture_output=True, check=False).returncode == 0
