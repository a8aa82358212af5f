"""``cya prune``: keep the newest few of each time scale, and delete the rest."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from cya.archive import prune as archive
from cya.archive.prune import Pruned
from cya.cli import options, output, pruned
from cya.cli.collect import roots_of
from cya.errors import IntegrityError, UsageError, gravest
from cya.tree.levels import check_levels

EXIT = options.exit_status(
    _0="done (also when there was nothing to delete)",
    _1="a root could not be pruned; what was begun is finished by the next run",
    _2="wrong usage or config",
    _12="another run is at work on a root",
    _13="there is a reason to wait: damage in what would stay, an alarm, or a client that is silent; "
    "nothing was deleted. Look at it, then --force",
)

_KEEP = re.compile(r"([a-z]+)=([1-9][0-9]{0,8})", re.ASCII)


def prune(
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="[ROOT]...", help="Clients' directories.", show_default=False)
    ] = None,
    config: options.ArchiveConfig = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="LEVEL=N",
            help="Keep the newest N of a level, such as week=8; of a level that is not named, all. In place of the "
            "keep of the root's cya.toml.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted, and why.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete although there is a reason to wait (exit status 13).")
    ] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Delete the directories of the tree that need not be kept, and say of each one why it stays or goes.

    What the next backup goes on from, and the newest backups that can be restored, always stay.
    """
    wanted = keep_of(keep) if keep else None
    done = archive.prune_all(roots_of(roots or [], config), options.moment(now), wanted, dry_run=dry_run, force=force)
    if json:
        output.print_json([pruned.facts(each) for each in done])
    else:
        for each in done:
            if each.error is None:
                pruned.tell(each)
    _complain(done)
    return exit_code(done)


def keep_of(words: list[str]) -> dict[str, int]:
    """Read ``LEVEL=N`` words.

    :raises UsageError: for one that is none, or names a level twice.
    """
    keep: dict[str, int] = {}
    for word in words:
        found = _KEEP.fullmatch(word)
        if found is None:
            raise UsageError(f"--keep {word!r}: expected LEVEL=N with N from 1 up, such as --keep week=8")
        try:
            check_levels((found[1],))
        except ValueError as error:
            raise UsageError(f"--keep {word}: {error}") from None
        if found[1] in keep:
            raise UsageError(f"--keep {word}: {found[1]} is named twice")
        keep[found[1]] = int(found[2])
    return keep


def exit_code(done: list[Pruned]) -> int:
    """Return the gravest of what happened: a reason to wait, a failure, a lock."""
    codes = {each.error.exit_code for each in done if each.error is not None}
    codes |= {IntegrityError.exit_code for each in done if each.held and not each.deleted}
    return gravest(codes)


def _complain(done: list[Pruned]) -> None:
    for each in done:
        if each.error is not None:
            print(f"cya: {each.error}", file=sys.stderr)
        told = "pruned in spite of" if each.deleted else "not pruned:"
        for reason in each.held:
            print(f"cya: {each.root.name}: {told} {reason}", file=sys.stderr)
        if each.held and not each.deleted:
            print(f"cya: {each.root.name}: when that is all right: cya prune --force", file=sys.stderr)
