"""``cya demo``: the main job on real files, over simulated days, in a scratch directory."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cya import catalog
from cya.archive import settings
from cya.archive.levels import levels_of
from cya.cli import demo_files, options, output
from cya.errors import OK, CyaError, UsageError
from cya.tree import layout

EXIT = options.exit_status(_0="every file came back as it was", _1="something failed, or differs")

DAYS = [
    *("2025-12-26", "2025-12-27", "2025-12-28", "2025-12-30", "2025-12-31", "2026-01-01"),
    *("2026-01-03", "2026-01-04", "2026-01-05", "2026-01-11", "2026-01-31", "2026-02-01"),
]
"""Over changes of week, month and year."""

say = Console(highlight=False, soft_wrap=True).print


def demo(
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="DIR", help="Real files to work on; they are copied.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Work in this new directory and keep it.", show_default=False),
    ] = None,
) -> int:
    """Show the main job: days are simulated, the tree grows, files come back. Needs about 200 MB for a minute."""
    with ExitStack() as stack:
        if keep is not None:
            try:
                keep.mkdir(parents=True)
            except FileExistsError:
                raise UsageError(f"--keep {keep}: is there already; give a new directory") from None
        scratch = (
            keep.absolute() if keep else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cya-demo-")))
        )
        return _Demo(scratch, source or demo_files.default_source()).run()


class _Demo:
    """One run; every step is a command that a user could type."""

    def __init__(self, scratch: Path, material: Path) -> None:
        self.scratch, self.material = scratch, material
        self.source, self.root, self.config = scratch / "files", scratch / "archive", scratch / "host.toml"
        self.seen: set[str] = set()

    def run(self) -> int:
        say(
            f"[bold]1. Real files[/bold]: some of {self.material}, copied to {self.source}\n"
            f"What follows happens in {self.scratch}"
        )
        demo_files.copy_some(self.material, self.source)
        say("\n[bold]2. Set up[/bold] a client with an archive on this machine")
        where = ("--config", "host.toml", "--source", "files", "--archive", "archive", "--cache-dir", "cache")
        self.cya("init", *where, now=DAYS[0], quiet=True)
        say("\n[bold]3. Days go by[/bold]; each is backed up once, and the tree grows")
        pictures = self.backups()
        say("\n[bold]4. The tree[/bold]: each directory is a complete backup; what they share is stored once")
        self.tree()
        say("\n[bold]5. What can be restored[/bold]")
        self.cya("list", "archive")
        say("\n[bold]6. Files come back[/bold]")
        wrong = self.restore(DAYS[4], pictures[DAYS[4]]) + self.restore_with_duplicity(DAYS[-1], pictures[DAYS[-1]])
        say("\n[bold]7. What need not be kept[/bold]: years on, this is all that happens to the tree")
        self.cya("prune", "archive", "--keep", "week=2", "--keep", "month=2", now=f"{DAYS[-1]}T12:00:00Z")
        say(
            "\n[bold]Every file came back as it was.[/bold]"
            if not wrong
            else f"\n[bold red]{wrong} files differ[/bold red]"
        )
        return OK if not wrong else 1

    def backups(self) -> dict[str, demo_files.Picture]:
        chance = random.Random(2012)  # noqa: S311 - the same story every time
        pictures: dict[str, demo_files.Picture] = {}
        for day in DAYS:
            changes = demo_files.live_a_day(self.source, chance, day) if pictures else None
            pictures[day] = demo_files.picture(self.source)
            say(f"\n[cyan]{date.fromisoformat(day):%A, %d %B %Y}[/cyan]: {changes or f'{len(pictures[day]):,} files'}")
            self.cya("backup", "--config", "host.toml", now=f"{day}T02:00:00Z")
            found = catalog.read(self.root)
            newest = found.backups[-1]
            into = ", ".join(levels_of(newest, settings.calendar_of(self.root)))
            say(f"  {output.size(newest.bytes)} into {into}")
            for directory in found.directories:
                name = layout.directory(directory.period)
                if name not in self.seen:
                    self.seen.add(name)
                    say(f"  [green]+ {name}[/green]  a chain of {len(directory.chains.chains[-1])}")
        return pictures

    def tree(self) -> None:
        counted: set[int] = set()
        for directory in sorted(catalog.read(self.root).directories, key=lambda d: d.period):
            sizes = {f.stat().st_ino: f.stat().st_size for f in directory.path.iterdir()}
            own = sum(size for inode, size in sizes.items() if inode not in counted)
            counted |= sizes.keys()
            name = "  " * len(directory.period) + directory.period[-1]
            chain = len(directory.chains.chains[-1])
            say(f"{name:<24} chain of {chain:>2}  {output.size(sum(sizes.values())):>10}, {output.size(own):>10} new")

    def restore(self, day: str, was: demo_files.Picture) -> int:
        place = self.scratch / f"restored-{day}"
        self.cya("restore", place.name, "--config", "host.toml", "--time", day)
        return self.compare(day, was, place)

    def restore_with_duplicity(self, day: str, was: demo_files.Picture) -> int:
        place = self.scratch / f"duplicity-{day}"
        place.mkdir()
        leaf = max(catalog.read(self.root).directories, key=lambda d: (len(d.period), d.period)).path
        command = ["duplicity", "restore", "--archive-dir", "other-cache", f"file://{leaf}", place.name]
        say(f"[dim]$ PASSPHRASE=… {shlex.join(command)}[/dim]      (without cya)")
        passphrase = self.config.with_suffix(".passphrase").read_text().strip()
        self.check(command, {"PASSPHRASE": passphrase}, quiet=True)
        command = ["sh", f"{place.name}/.dupext/restore.sh", "--remove"]
        say(f"[dim]$ {shlex.join(command)}[/dim]      (hard links, exact times, ACLs)")
        self.check(command, {}, quiet=True)
        return self.compare(day, was, place)

    def compare(self, day: str, was: demo_files.Picture, place: Path) -> int:
        wrong = demo_files.differences(was, demo_files.picture(place))
        say(f"  compared with {day}, byte by byte: {len(was):,} files, directories, links; {len(wrong)} differences")
        for path in wrong[:10]:
            say(f"  [red]differs: {path}[/red]")
        return len(wrong)

    def cya(self, *arguments: str | Path, now: str | None = None, quiet: bool = False) -> None:
        words = [str(argument) for argument in arguments] + (["--now", now] if now else [])
        say(f"[dim]$ cya {shlex.join(words)}[/dim]")
        self.check([sys.executable, "-m", "cya", *words], {}, quiet=quiet)

    def check(self, command: list[str], environment: dict[str, str], *, quiet: bool) -> None:
        ran = subprocess.run(
            command,
            cwd=self.scratch,
            env={**os.environ, "COLUMNS": "160", **environment},
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise CyaError(f"the demo failed: {shlex.join(command)} ended with {ran.returncode}\n{ran.stdout or ''}")
