"""``cya collect``: commit what clients have finished, and serve what they are to continue."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cya import clock
from cya.archive import collect as archive
from cya.archive import hooks
from cya.archive.collect import Collected
from cya.cli import options, output, pruned
from cya.config import archive as archive_config
from cya.errors import BatchRefused, UsageError, gravest
from cya.tree import layout

EXIT = options.exit_status(
    _0="done (also when nothing had been uploaded, or an upload waits because it is still open)",
    _1="a root could not be collected; nothing is lost, run again when the cause is removed",
    _2="wrong usage or config",
    _12="another run is at work on a root",
    _13="an upload was refused, and is in quarantine",
)


def collect(
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="[ROOT]...", help="Clients' directories.", show_default=False)
    ] = None,
    config: options.ArchiveConfig = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Commit finished uploads and serve the next, all roots side by side. Run it often, from a timer."""
    chosen = roots_of(roots or [], config)
    run = hooks.of(archive_config.load(config)) if config is not None else None
    done = archive.collect_all(chosen, options.moment(now), run)
    if json:
        output.print_json([_facts(each) for each in done])
    elif sys.stdout.isatty():
        for each in done:
            _tell(each)
    complain(done)
    return exit_code(done)


def complain(done: list[Collected]) -> None:
    """Say on stderr what went wrong, and what an administrator should look at."""
    for each in done:
        for message in [*each.refused, *each.alarms, *each.deferred, *([str(each.error)] if each.error else [])]:
            print(f"cya: {message}", file=sys.stderr)


def roots_of(roots: list[Path], config: Path | None) -> list[Path]:
    """Return the roots that are named on the command line, or in the archive's config.

    :raises UsageError: when neither or both are given.
    """
    if bool(roots) == (config is not None):
        raise UsageError("give either one or more roots, or --config with the archive's config file")
    chosen = roots if config is None else archive_config.expand(archive_config.load(config))
    return list({os.path.realpath(root): root for root in chosen}.values())


def exit_code(done: list[Collected]) -> int:
    """Return the gravest of what happened: a refusal, a failure, a lock."""
    codes = {each.error.exit_code for each in done if each.error is not None}
    codes |= {BatchRefused.exit_code for each in done if each.refused}
    return gravest(codes)


def _facts(each: Collected) -> dict[str, Any]:
    return {
        "root": str(each.root),
        "state": each.state.name.lower(),
        "committed": [clock.iso(increment.end) for increment in each.committed],
        "refused": each.refused,
        "deferred": each.deferred,
        "alarms": each.alarms,
        "returned": each.returned,
        "pruned": pruned.facts(each.pruned) if each.pruned else None,
        "served": layout.directory(each.served.leaf) if each.served else None,
        "base": layout.directory(each.served.base) if each.served and each.served.base else None,
        "adopted": each.adopted,
        "error": str(each.error) if each.error else None,
    }


def _tell(each: Collected) -> None:
    if each.error:
        return
    if each.adopted is not None:
        print(f"{each.root}: adopted from the 2012 cya; {each.adopted} files completed")
    for ended in each.returned:
        print(f"{each.root}: {ended}")
    for increment in each.committed:
        print(f"{each.root}: committed the backup of {clock.local(increment.end)}")
    if each.pruned:
        pruned.summarize(each.pruned)
    if each.served:
        base = f"continues {layout.directory(each.served.base)}" if each.served.base else "begins with a full"
        print(f"{each.root}: served {layout.directory(each.served.leaf)}, which {base}")
    print(f"{each.root}: {each.state.value}")
