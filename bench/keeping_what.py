"""What each tool keeps of a tree with everything that gets lost easily: ACLs, links, holes, flags … By root only.

The tree of ``tests/awkward`` is made on a file system of its own, backed up once by each tool, restored to a new file
system of the same kind, and both are looked at by the same code.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import machine, report_kept
from bench.contained import contained
from bench.kept_probes import Outcome, outcomes
from bench.kept_tools import WAYS, Way
from bench.tools import environment, version_of
from tests.awkward import tree
from tests.awkward.compare import seen
from tests.awkward.kinds import MKFS, emptied


@dataclass(frozen=True)
class Kept:
    """What one way has kept.

    :ivar version: of the program.
    :ivar exits: exit codes of the backup and of the restore.
    :ivar outcomes: by the labels of the probes.
    """

    way: Way
    version: str
    exits: tuple[int, int]
    outcomes: dict[str, Outcome]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--tools", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--on", choices=list(MKFS), default="xfs", help="the kind of the file systems")
    parser.add_argument("--largest", type=int, default=256, help="MiB of the largest sparse file")
    parser.add_argument("--work", type=Path, help="a directory to work in, for temporary files")
    parser.add_argument("--output", type=Path, default=Path("docs/what-is-kept.md"))


def run(arguments: argparse.Namespace) -> None:
    """Back the tree up, restore it, look, and write the page."""
    if os.geteuid() != 0:
        raise SystemExit("bench: needs root, to mount and to make devices")
    ways = [name for name in arguments.tools if machine.is_here(WAYS[name].tool)]
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.work) as directory:
        work = Path(directory).resolve()
        megabytes = 400 + 2 * arguments.largest
        with _disk(work / "source", arguments.on, megabytes) as source:
            tree.make(emptied(source), largest=arguments.largest << 20)
            kept = [_kept(WAYS[name], work / name, source, arguments.on, megabytes) for name in ways]
            page = report_kept.page(kept, {**machine.described(work), "file_system": arguments.on}, len(seen(source)))
    arguments.output.write_text(page)
    print(f"written: {arguments.output}")


def _kept(way: Way, place: Path, source: Path, kind: str, megabytes: int) -> Kept:
    """Let one way do its work; what it cannot do is what is to be seen, so its exit codes are only told."""
    (place / "repository").mkdir(parents=True)
    environ = environment(place)
    for command in way.made_by.setup(place, source):
        subprocess.run(command, env=environ, check=True, capture_output=True)
    made = contained(way.made_by.commands(place, source, 0), place / "repository", place / "log", environ)
    with _disk(place.with_name("restored"), kind, megabytes) as disk:
        to = disk / "to"
        to.mkdir()
        command, where = way.restore(place, source, to)
        restored = contained(command, to, place / "log", environ)
        if not where.is_dir():
            raise SystemExit(f"bench: {way.label} has restored nothing: {_end_of(place / 'log')}")
        found = outcomes(seen(source), seen(where))
    print(f"{way.label}: backup exit {made.exit}, restore exit {restored.exit}", flush=True)
    for label, outcome in found.items():
        if outcome.kept < outcome.of:
            print(f"  {label}: {outcome.kept} of {outcome.of}", *outcome.lost, sep="\n      ")
    if made.exit or restored.exit:
        print(f"  {_end_of(place / 'log')}", file=sys.stderr)
    return Kept(way, version_of(way.made_by), (made.exit, restored.exit), found)


def _end_of(log: Path) -> str:
    return log.read_text(errors="backslashreplace")[-3000:]


@contextmanager
def _disk(place: Path, kind: str, megabytes: int) -> Iterator[Path]:
    """Mount a new file system; it and its file are gone afterwards."""
    image = place.with_suffix(".img")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run([*MKFS[kind], image], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        image.unlink()
        place.rmdir()
