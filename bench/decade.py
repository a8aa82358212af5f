"""Ten years of daily backups of a small tree that changes: in cya's tree, in duplicity's chains, by borg and restic.

All that can is pruned alike. Measured at the end: what is stored, what can be restored, and restoring of the newest, a
year-old and a nine-year-old day, as on a new machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import building, decade_restores, machine, places, report
from bench.building import BUILDERS
from bench.life import lived
from bench.tools import TOOLS, version_of

FIRST = 1456797600
"""2016-03-01 at 2:00 UTC: ten years from there are over, and lie across the end of a decade."""
_YEAR = 365


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--builders", nargs="+", default=list(BUILDERS), choices=list(BUILDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=600, help="seconds after which a restore is broken off")
    parser.add_argument("--work", type=Path, help="a directory to work in; what was built in it is used again")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))


def run(arguments: argparse.Namespace) -> None:
    """Build, measure, and write the report."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    days = round(arguments.years * _YEAR)
    within = places.MEMORY if os.access(places.MEMORY, os.W_OK) else None
    scratch = None if arguments.work else tempfile.TemporaryDirectory(prefix="bench-", dir=within)
    work = (arguments.work or Path(scratch.name)).resolve()  # type: ignore[union-attr]
    work.mkdir(parents=True, exist_ok=True)
    try:
        _build(work, arguments.builders, days)
        measured: dict[str, Any] = {
            "days": days,
            "rounds": arguments.rounds,
            "patience": arguments.patience,
            "machine": machine.described(work),
            "tools": {name: version_of(TOOLS[name]) for name in ("native", "duplicity", "borg", "restic")},
            "source": _source(work, days),
            "keepers": {},
        }
        results_file = arguments.output.with_suffix(".json")
        for name in arguments.builders:
            for keeper in building.keepers(name, work):
                kept = keeper.kept()
                measured["keepers"][keeper.label] = {
                    "note": keeper.note,
                    "chains": keeper.chains,
                    "stored": machine.stored(keeper.repository),
                    "allocated": machine.allocated(keeper.repository),
                    "kept": len(kept),
                    "longest": max(kept.values()),
                    "restores": [],
                }
                print(
                    f"{keeper.label}: {len(kept)} backups, {machine.stored(keeper.repository) / 1e6:.1f} MB", flush=True
                )
        results = report.read(results_file)
        results["decade"] = measured
        for label, each in decade_restores.measured(
            work, arguments.builders, FIRST, days, arguments.rounds, arguments.patience
        ):
            measured["keepers"][label]["restores"].append(each)
            results_file.write_text(json.dumps(results, indent=1) + "\n")
    finally:
        if scratch is not None:
            scratch.cleanup()
    report.write(results, arguments.output)
    print(f"written: {arguments.output}")


def _build(work: Path, names: list[str], days: int) -> None:
    """Build what is not there, side by side."""
    running = []
    for name in names:
        if not building.is_built(name, work, FIRST, days):
            command = [sys.executable, "-m", "bench.building", name, str(work), str(FIRST), str(days)]
            running.append(subprocess.Popen(command, cwd=Path(__file__).parent.parent))
    if sum(abs(process.wait()) for process in running):
        raise SystemExit("bench: not everything could be built")


def _source(work: Path, days: int) -> dict[str, list[int]]:
    """Return files and bytes of the tree at the start and at the end."""
    with tempfile.TemporaryDirectory(dir=work) as place:
        counted = {}
        for when, day in (("first", 0), ("last", days - 1)):
            lived(Path(place, when), FIRST, day)
            files = [path.stat().st_size for path in Path(place, when).rglob("*") if path.is_file()]
            counted[when] = [len(files), sum(files)]
    return counted
