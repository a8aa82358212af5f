"""What a snapshot costs while it exists: what is read and written for each megabyte that is written over beside it.

In a virtual machine with Debian's kernel. What its disk is asked for is counted, which is the same on all machines; how
long it takes is not, and is not shown.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

from bench.snapshots_in_machine import KINDS
from tests.machine import guest

_INSIDE = Path(__file__).with_name("snapshots_in_machine.py")
_DISK = 2048
"""MiB."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument(
        "--megabytes", type=int, default=32, help="how much is written over, of a file eight times as large"
    )


def run(chosen: argparse.Namespace) -> None:
    """Measure all kinds in one machine, and print a table."""
    if guest.why_not():
        print(f"bench snapshots: {guest.why_not()}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        disk, machine = guest.empty_disk(Path(place, "disk"), _DISK), Path(place, "machine")
        machine.mkdir()
        command = shlex.join([sys.executable, str(_INSIDE), str(chosen.megabytes), *chosen.kinds])
        said = guest.run(command, machine, [disk])
    if said.code != 0:
        raise SystemExit(said.text)
    measured = [json.loads(line) for line in said.text.splitlines() if line.startswith("{")]
    print(
        f"{chosen.megabytes} MiB here and there in a file are written over. For each MiB, MiB of the disk, and of room:"
    )
    print(f"  {'':<20} {'in blocks of':>12} {'read':>6} {'written':>8} {'room':>6} {'written again':>14}")
    for each in measured:
        print(
            f"  {each['kind']:<20} {each['block'] >> 10:>8} KiB {each['read']:6.1f} {each['written']:8.1f}"
            f" {each['room']:6.1f} {each['again']:14.1f}"
        )
