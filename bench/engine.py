"""What cya costs on top of stock duplicity: full, increment without a change, restore; in turns, medians, as ratios."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS = ("full", "increment, nothing changed", "restore")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this bench can be told."""
    parser.add_argument("--source", type=Path, default=Path("/usr/lib/python3"), help="what is backed up")
    parser.add_argument("--rounds", type=int, default=3)


def run(chosen: argparse.Namespace) -> None:
    """Run the jobs of both in turns, after one round to warm up, and print the medians."""
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(chosen.rounds + 1):
        for tool, measure in (("duplicity", duplicity), ("cya", cya)):
            with tempfile.TemporaryDirectory(prefix="bench-") as place:
                seconds = measure(chosen.source, Path(place))
            if number:
                for job, spent in zip(JOBS, seconds, strict=True):
                    taken.setdefault((job, tool), []).append(spent)
    files = sum(len(names) for _, _, names in os.walk(chosen.source))
    print(f"{chosen.source}: {files:,} files; medians of {chosen.rounds} rounds, wall seconds")
    for job in JOBS:
        stock, ours = (statistics.median(taken[job, tool]) for tool in ("duplicity", "cya"))
        print(f"  {job:<28} duplicity {stock:6.2f}   cya {ours:6.2f}   ratio {ours / stock:4.2f}")


def duplicity(source: Path, place: Path) -> list[float]:
    """Stock duplicity by itself."""
    target, words = f"file://{place}/target", ("--archive-dir", f"{place}/archive-dir")
    environment = {**os.environ, "PASSPHRASE": "bench"}
    return [
        _timed(["duplicity", "full", *words, str(source), target], environment),
        _timed(
            ["duplicity", "incremental", *words, "--current-time", str(int(time.time()) + 60), str(source), target],
            environment,
        ),
        _timed(["duplicity", "restore", "--archive-dir", f"{place}/fresh", target, f"{place}/restored"], environment),
    ]


def cya(source: Path, place: Path) -> list[float]:
    """The same by cya with stock duplicity as its engine; the commits into the tree are part of it."""
    program = [sys.executable, "-m", "cya"]
    config = place / "cya.toml"
    words = ["--config", str(config), "--source", str(source), "--archive", str(place / "archive")]
    _timed([*program, "init", *words, "--engine", "duplicity"])
    config.write_text(f'cache_dir = "{place}/cache"\n{config.read_text()}')
    environment = {**os.environ, "CYA_NOW": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))}
    return [
        _timed([*program, "backup", "--config", str(config)]),
        _timed([*program, "backup", "--config", str(config)], environment),
        _timed([*program, "restore", str(place / "restored"), "--config", str(config)], environment),
    ]


def _timed(command: list[str], environment: dict[str, str] | None = None) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
