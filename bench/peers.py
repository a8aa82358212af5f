"""The native engine beside its peers: full, nothing changed, 1 % changed, in one run.

All tools take turns, so that what happens to the machine meanwhile happens to all. Every round begins with new
repositories, and with the tree as it was first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import change, machine, report, trees
from bench.contained import contained
from bench.tools import TOOLS, environment, version_of

JOBS = ("full", "nothing changed", "1 % changed")
_DEFAULT = ("native", "plain", "duplicity", "borg", "restic")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--trees", nargs="+", default=["system", "large"], choices=list(trees.MAKERS))
    parser.add_argument("--tools", nargs="+", default=list(_DEFAULT), choices=list(TOOLS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the real size")
    parser.add_argument("--work", type=Path, help="a directory to work in; trees in it are used again")
    parser.add_argument("--results", type=Path, help="raw results; with those of other trees that are there already")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write the report."""
    scratch = None if arguments.work else tempfile.TemporaryDirectory(prefix="bench-")
    work = arguments.work or Path(scratch.name)  # type: ignore[union-attr]
    work.mkdir(parents=True, exist_ok=True)
    results_file = arguments.results or arguments.output.with_suffix(".json")
    tools = [name for name in arguments.tools if machine.is_here(name)]
    results = _former(results_file, arguments.trees)
    results["machine"] = machine.described(work)
    results["tools"] = {**results.get("tools", {}), **{name: version_of(TOOLS[name]) for name in tools}}
    try:
        for name in arguments.trees:
            tree = trees.made(name, work, arguments.scale)
            files, size = trees.counted(tree)
            machine.touch_memory(2 * size)
            results["trees"][name] = {"files": files, "bytes": size}
            for number in range(arguments.rounds):
                for measured in _round(name, tree, tools, number, work / "repositories", work / "kept"):
                    results["runs"].append(measured)
                    results_file.write_text(json.dumps(results, indent=1) + "\n")
                    _say(measured)
    finally:
        if scratch is not None:
            scratch.cleanup()
    report.write(results, arguments.output)
    print(f"written: {arguments.output}")


def _round(name: str, tree: Path, tools: list[str], number: int, place: Path, kept: Path) -> Iterable[dict[str, Any]]:
    """Measure each job with each tool; each round begins with another tool."""
    change.undo(tree, kept)
    shutil.rmtree(place, ignore_errors=True)
    turn = number % len(tools)
    order = tools[turn:] + tools[:turn]
    for tool in order:
        own = place / tool
        (own / "repository").mkdir(parents=True)
        for command in TOOLS[tool].setup(own, tree):
            subprocess.run(command, env=environment(own), check=True, capture_output=True)
    try:
        for step, job in enumerate(JOBS):
            if job == "1 % changed":
                change.apply(tree, kept)
            for tool in order:
                own = place / tool
                time.sleep(1.1)  # a backup's time is in whole seconds
                command = TOOLS[tool].commands(own, tree, step)
                taken = contained(command, own / "repository", own / "log", environment(own))
                if taken.exit:
                    log = (own / "log").read_text(errors="replace")[-2000:]
                    raise SystemExit(f"{tool}, {job}: exit {taken.exit}\n{log}")
                measured = {"tree": name, "tool": tool, "job": job, "round": number, **asdict(taken)}
                yield {**measured, "stored": machine.stored(own / "repository")}
    finally:
        change.undo(tree, kept)
        shutil.rmtree(place, ignore_errors=True)


def _former(file: Path, again: list[str]) -> dict[str, Any]:
    """Return what was measured before of other trees."""
    try:
        former: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {"trees": {}, "runs": []}
    former["runs"] = [each for each in former["runs"] if each["tree"] not in again]
    return former


def _say(measured: dict[str, Any]) -> None:
    print(
        f"{measured['tree']:8} {measured['job']:16} {measured['tool']:14} {measured['wall']:8.2f} s wall "
        f"{measured['user'] + measured['kernel']:8.2f} s CPU {measured['memory'] / 1e6:6.0f} MB "
        f"{measured['stored'] / 1e6:8.1f} MB stored; {measured['foreign']:.1f} s CPU of others",
        flush=True,
    )
