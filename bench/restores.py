"""Restoring by the native engine beside duplicity, borg and restic, from chains of 1, 2 and 40 backups.

Each restore goes to a new file system, from a repository that has just been read, and what it gives is compared with
what was backed up: a wrong one ends the bench.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import histories, machine, places, report, trees
from bench.contained import contained
from bench.histories import History
from bench.picture import picture
from bench.restorers import RESTORERS, Wanted
from bench.tools import TOOLS, environment, version_of

_DEFAULT = ("native", "duplicity", "borg", "restic")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--trees", nargs="+", default=["system"], choices=list(trees.MAKERS))
    parser.add_argument("--tools", nargs="+", default=list(_DEFAULT), choices=list(RESTORERS))
    parser.add_argument("--chains", nargs="+", type=int, default=[1, 2, 40], help="how many backups each")
    parser.add_argument("--rounds", type=int, default=3, help="0 only makes the repositories")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the real size")
    parser.add_argument("--work", type=Path, help="a directory to work in; repositories in it are used again")
    parser.add_argument("--on", choices=places.PLACES, help="what to restore to; by root a new ext4, else a directory")
    parser.add_argument("--to", type=Path, default=places.MEMORY, help="where the new file systems' files lie")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write the report."""
    scratch = None if arguments.work else tempfile.TemporaryDirectory(prefix="bench-")
    work = arguments.work or Path(scratch.name)  # type: ignore[union-attr]
    results_file = arguments.output.with_suffix(".json")
    tools = [name for name in arguments.tools if machine.is_here(name)]
    try:
        for name in arguments.trees:
            original = trees.made(name, work.resolve(), arguments.scale)
            files, size = trees.counted(original)
            place = work.resolve() / f"restores-{name}-{arguments.scale:g}"
            seen = [chain - 1 for chain in arguments.chains]
            history = histories.made(place, original, tools, max(arguments.chains), seen)
            if not arguments.rounds:
                continue
            machine.touch_memory(2 * size)
            results = report.read(results_file)
            measured = results.setdefault("restores", {})
            shown = name if arguments.scale == 1 else f"{name} x {arguments.scale:g}"
            shown += f", to {arguments.on}" if arguments.on else ""
            measured[shown] = {
                "files": files,
                "bytes": size,
                "machine": machine.described(work),
                "tools": {tool: version_of(TOOLS[tool]) for tool in tools},
                "runs": [],
            }
            for number in range(arguments.rounds):
                for each in _round(history, tools, number, arguments, size, files):
                    measured[shown]["runs"].append(each)
                    results_file.write_text(json.dumps(results, indent=1) + "\n")
                    _say(shown, each)
    finally:
        if scratch is not None:
            scratch.cleanup()
    report.write(report.read(results_file), arguments.output)
    print(f"written: {arguments.output}")


def _round(
    history: History, tools: list[str], number: int, arguments: argparse.Namespace, size: int, files: int
) -> Iterator[dict[str, Any]]:
    """Measure each job with each tool; each round begins with another tool."""
    turn = number % len(tools)
    for job, path in history.paths.items():
        for backup in sorted(map(int, history.pictures)):
            for tool in tools[turn:] + tools[:turn]:
                wanted = Wanted(backup, history.moments[tool][backup], path)
                kind = arguments.on or ("loop" if os.geteuid() == 0 else "place")
                with places.opened(kind, arguments.to, 256 + (size >> 19), 10_000 + 2 * files) as opened:
                    if opened is None:
                        raise SystemExit("bench: there is no place to restore to")
                    to = opened[0] / "restored"
                    to.mkdir()
                    taken = _restored(history, tool, job, wanted, to)
                    yield {"job": job, "chain": backup + 1, "tool": tool, "round": number, "to": opened[1], **taken}


def _restored(history: History, tool: str, job: str, wanted: Wanted, to: Path) -> dict[str, Any]:
    own = history.place / tool
    command, where = RESTORERS[tool](own, history.tree, wanted, to)
    trees.counted(own / "repository")  # so it is in memory, of each tool
    taken = contained(command, to, own / "log", environment(own))
    if taken.exit:
        raise SystemExit(f"{tool}, {job}: exit {taken.exit}\n{(own / 'log').read_text(errors='replace')[-2000:]}")
    if picture(where) != history.pictures[str(wanted.number)][job]:
        kept = own / "wrong"
        subprocess.run(["cp", "--archive", where, kept], check=False)
        raise SystemExit(f"{tool}, {job} of backup {wanted.number}: what was restored is wrong; it lies in {kept}")
    return asdict(taken)


def _say(name: str, each: dict[str, Any]) -> None:
    print(
        f"{name:8} {each['job']:12} of {each['chain']:2} {each['tool']:14} {each['wall']:8.2f} s wall "
        f"{each['user'] + each['kernel']:8.2f} s CPU {each['memory'] / 1e6:6.0f} MB; {each['foreign']:.1f} s of others",
        flush=True,
    )
