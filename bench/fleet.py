"""What a collect of many roots costs, and how far that is above the floor of the file system's own calls."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bench import floor, places, profiles, roots
from bench.measure import Cost, cost, middle
from bench.roots import Fleet
from bench.uploads import upload
from cya.tree import layout

_PROFILED = 100
"""So many roots are enough for a profile: strace and cProfile take their time."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this bench can be told."""
    parser.add_argument("--roots", type=int, default=1000, help="up to 3600; default 1000")
    parser.add_argument("--years", type=float, default=0.1, help="of daily history in each root; default 0.1")
    parser.add_argument("--files", type=int, default=10, help="in each batch; default 10")
    parser.add_argument("--file-size", type=int, default=64, metavar="KIB", help="of each of them; default 64")
    parser.add_argument("--rounds", type=int, default=3, help="collects with nothing to do; the median is shown")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()), help="a directory on a disk")
    parser.add_argument("--on", nargs="+", choices=places.PLACES, default=places.PLACES)
    parser.add_argument("--profile", action="store_true", help="say where the time goes, on runs of their own")
    parser.add_argument("--json", action="store_true")


@dataclass(frozen=True)
class Row:
    """What one collect of the whole fleet took, and the floor beside it, if it has one."""

    job: str
    collect: Cost
    floor: Cost | None = None


def run(chosen: argparse.Namespace) -> None:
    """Make a fleet in each place, collect it, and print what that took."""
    told = []
    each = chosen.files * chosen.file_size << 10
    megabytes = 512 + (chosen.roots * (4 * each + (4 << 20)) >> 20)
    inodes = int(chosen.roots * (300 + 365 * 4 * chosen.years))
    for kind in chosen.on:
        with places.opened(kind, chosen.place, megabytes, inodes) as found:
            if found is None:
                continue
            place, shown = found
            fleet = roots.make(place, chosen.roots, max(1, round(365 * chosen.years)))
            rows = _measured(fleet, chosen)
            profile = _profiles(fleet.some(min(chosen.roots, _PROFILED)), chosen) if chosen.profile else []
            if chosen.json:
                told.append({"place": shown, "rows": [asdict(row) for row in rows], "profiles": profile})
            else:
                _print(rows, profile, shown, chosen)
    if chosen.json:
        json.dump(told, sys.stdout, indent=2)
        print()


def _measured(fleet: Fleet, chosen: argparse.Namespace) -> list[Row]:
    now = roots.LAST_DAY + timedelta(hours=1)
    data = os.urandom(chosen.file_size << 10)
    served = Row("nothing served yet: serve", cost(fleet.collect(now)))
    count = len(os.listdir(fleet.roots[0] / layout.INCOMING / layout.NEXT))
    for name in ("calls", "sha256"):
        floor.prepare(fleet.place / name, len(fleet.roots), chosen.files, data, count)

    def below(kind: str, place: str) -> Cost:
        return cost([sys.executable, "-m", "bench.floor", kind, str(fleet.place / place), str(count)])

    look = middle([below("look", "calls") for _ in range(chosen.rounds)])
    nothing = middle([cost(fleet.collect(now)) for _ in range(chosen.rounds)])
    _upload(fleet, now + timedelta(days=1), data, chosen.files)
    calls, hashed = below("calls", "calls"), below("sha256", "sha256")
    finished = cost(fleet.collect(now + timedelta(days=1)))
    _check_committed(fleet)
    again = middle([cost(fleet.collect(now + timedelta(days=1))) for _ in range(chosen.rounds)])
    return [
        served,
        Row("nothing to do", nothing, look),
        Row("all batches finished", finished, calls),
        Row("  the same, floor with SHA-256", finished, hashed),
        Row("nothing to do, again", again, look),
        Row("a new week: serve anew", cost(fleet.collect(now + timedelta(days=7)))),
    ]


def _upload(fleet: Fleet, now: datetime, data: bytes, files: int) -> None:
    for root, owner in zip(fleet.roots, fleet.owners, strict=True):
        upload(root, int(now.timestamp()), data, files, owner)


def _check_committed(fleet: Fleet) -> None:
    """A collect that does nothing is a quick one."""
    waiting = [root for root in fleet.roots if (root / layout.INCOMING / layout.NEXT / layout.MARKER).exists()]
    counts = {len(os.listdir(root / layout.STATE / layout.LEDGER)) for root in fleet.roots}
    if waiting or len(counts) != 1:
        raise RuntimeError(f"not all roots have been committed: {waiting[:3]}, ledgers of {counts} entries")


def _profiles(fleet: Fleet, chosen: argparse.Namespace) -> list[str]:
    """Where the time goes: by strace, and by cProfile in one thread; with nothing to do, and with a batch each."""
    now, data = roots.LAST_DAY + timedelta(days=8), os.urandom(chosen.file_size << 10)
    told = []
    for number, (tool, measure) in enumerate({"strace": profiles.by_strace, "cProfile": profiles.by_python}.items()):
        cost(fleet.collect(now))
        told.append(f"{tool}, nothing to do:\n{measure(fleet, now)}")
        now += timedelta(days=1 + number)
        _upload(fleet, now, data, chosen.files)
        os.sync()
        told.append(f"{tool}, all batches finished:\n{measure(fleet, now)}")
    return told


def _print(rows: list[Row], profile: list[str], place: str, chosen: argparse.Namespace) -> None:
    print(f"{chosen.roots:,} roots with {chosen.years} years of daily backups, on {place}; ", end="")
    print(f"batches of {chosen.files} files of {chosen.file_size} KiB")
    print(f"  {'':<32}{'wall s':>8}{'user s':>8}{'sys s':>8}{'MiB':>6}{'ms/root':>9}", end="")
    print(f"{'floor s':>9}{'its CPU':>9}{'ratio':>7}{'of CPU':>8}")
    for row in rows:
        took, under = row.collect, row.floor
        line = f"  {row.job:<32}{took.wall:8.2f}{took.user:8.2f}{took.kernel:8.2f}{took.memory >> 10:6}"
        line += f"{1000 * took.wall / chosen.roots:9.2f}"
        if under is not None:
            line += f"{under.wall:9.2f}{under.cpu:9.2f}{took.wall / under.wall:7.2f}{took.cpu / under.cpu:8.2f}"
        print(line)
    for text in profile:
        print(f"\n{text}")
    print(flush=True)
