"""``cya restore``: bring files back, from an archive root or any directory of Duplicity files."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from cya import clock
from cya.cli import options, output
from cya.cli import source as sources
from cya.cli.progress import bar
from cya.cli.run import interrupted_means
from cya.client import restorable
from cya.client import restore as client
from cya.client.engines import engine_of, reader
from cya.client.places import private_cache
from cya.client.settings import reading_keys
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.engine.protocol import LEAVABLE, Existing
from cya.engine.scratch import temporary
from cya.errors import (
    DONE_WITH_WARNINGS,
    OK,
    ArchiveError,
    DecryptionFailed,
    EngineError,
    IntegrityError,
    NotInBackup,
    UsageError,
)
from cya.printable import printable
from cya.tree import layout

EXIT = options.exit_status(
    _0="restored",
    _1="it failed: no backup from that time, the path is not in it, a wrong passphrase, DEST is not empty, …",
    _2="wrong usage or config",
    _10="restored, but some files could not be restored as they were (they are named)",
    _13="the backup is damaged; all that could be restored is, and what could not is named",
)


def restore(
    destination: Annotated[
        Path | None, typer.Argument(metavar="DEST", help="An empty or a new directory.", show_default=False)
    ] = None,
    config: options.Config = None,
    source: sources.From = None,
    passphrase_file: sources.PassphraseFile = None,
    time: sources.Time = "now",
    path: Annotated[
        list[str] | None, typer.Option("--path", metavar="P", help="Only this file or directory; may be repeated.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Restore what is missing to where it was backed up from.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Restore to DEST only what is not there yet.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", help="Replace what is there. What is not in the backup stays.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted restore to DEST: what is whole already stays, all else is replaced.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be restored, and replaced.")] = False,
    numeric_owner: Annotated[
        bool, typer.Option("--numeric-owner", help="Owners by number, not by name: from a rescue system, say.")
    ] = False,
    no_acls: Annotated[bool, typer.Option("--no-acls", help="Leave ACLs out.")] = False,
    no_xattrs: Annotated[
        bool, typer.Option("--no-xattrs", help="Leave extended attributes out, capabilities and labels among them.")
    ] = False,
    no_flags: Annotated[bool, typer.Option("--no-flags", help="Leave inode flags out (chattr).")] = False,
    no_sparse: Annotated[bool, typer.Option("--no-sparse", help="Make no holes in files.")] = False,
    no_exact_times: Annotated[
        bool, typer.Option("--no-exact-times", help="Whole seconds will do, and links may have any time.")
    ] = False,
    allow_unencrypted: Annotated[
        bool,
        typer.Option(
            "--allow-unencrypted", help="Take also what was made before encryption, or signing, was turned on."
        ),
    ] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Restore everything, or some paths, as they were at a time; says which backup it took.

    From an archive on another host, what it lends is restored: its administrator runs cya lend.

    What Duplicity's format cannot hold (hard links, ACLs, extended attributes, exact times, …) comes from the directory
    .dupext of the backup, which is restored itself only if a --path names it.
    """
    until = clock.parse(time, options.moment(now), end_of_day=True)
    left_out = zip(LEAVABLE, (no_acls, no_xattrs, no_flags, no_sparse, no_exact_times), strict=True)
    without = frozenset(name for name, out in left_out if out)
    settings = client_config.load(config) if config is not None else None
    chosen = _existing(keep=keep, overwrite=overwrite, resume=resume)
    destination, existing = _destination(destination, settings, chosen, in_place=in_place)
    if dry_run:
        from cya.cli import looking, restore_dry_run

        client.check_destination(destination, existing)
        with looking.opened(settings, source, passphrase_file) as known:
            return restore_dry_run.dry_run(known, until, destination, path or [], existing, json=json)
    place = sources.place_of(settings, source)
    origin = settings.source if settings is not None else None
    paths = client.without_those_within([client.relative(each, origin) for each in path or ()])
    with ExitStack() as stack:
        if settings is not None:
            scratch, engine = private_cache(settings), engine_of(settings)
        else:
            scratch = stack.enter_context(temporary())
            engine = reader(scratch)
        keys = reading_keys(settings, passphrase_file)
        found = stack.enter_context(restorable.opened(place, settings, scratch))
        backup = client.find(found.catalog, until, damaged_too=engine.restores_damaged or found.lending is not None)
        watch = stack.enter_context(bar("restore", shown=not json))
        how = _how_to_go_on(existing, clock.iso(backup.increment.end))
        stack.enter_context(interrupted_means(f"{destination} is not whole; {how}"))
        try:
            report = found.restore(
                backup,
                engine,
                destination.absolute(),
                keys,
                scratch,
                paths=paths,
                existing=existing,
                numeric_owner=numeric_owner,
                without=without,
                allow_unencrypted=allow_unencrypted,
                watch=watch,
            )
        except (ArchiveError, EngineError) as error:
            if destination.is_dir() and not isinstance(error, DecryptionFailed | NotInBackup):
                error.add_note(f"cya: {destination} is not whole; {how}")
            raise
    period = layout.directory(backup.directories[0].period) or str(place)
    if json:
        output.print_json(
            {
                "time": clock.iso(backup.increment.end),
                "path": period,
                "chain_length": len(backup.chain or ()),
                "destination": str(destination),
                "lost": report.lost,
                "damaged": report.damaged,
                "statistics": report.statistics,
            }
        )
    else:
        print(f"restored the backup of {clock.local(backup.increment.end)} from {period} to {destination}")
        for note in report.notes:
            print(f"  {note}")
    for each in report.damaged:
        print(f"cya: damaged: {printable(each.path)}: {each.reason}", file=sys.stderr)
    for each in report.lost:
        print(f"cya: not restored as it was: {printable(each.path)}: {each.reason}", file=sys.stderr)
    if report.damaged:
        return IntegrityError.exit_code
    return DONE_WITH_WARNINGS if report.lost else OK


def _existing(*, keep: bool, overwrite: bool, resume: bool) -> Existing | None:
    """Return what is to become of what is there, as far as that was said."""
    if keep + overwrite + resume > 1:
        raise UsageError("--keep, --overwrite and --resume: give one of them")
    return "resume" if resume else "replace" if overwrite else "keep" if keep else None


def _destination(
    given: Path | None, settings: ClientConfig | None, existing: Existing | None, *, in_place: bool
) -> tuple[Path, Existing]:
    """Return where to restore to, and what becomes of what is there."""
    if in_place == (given is not None):
        raise UsageError("give a directory to restore to, or --in-place, and not both")
    if in_place and existing == "resume":
        raise UsageError(
            "--in-place --resume: would replace what was there before, too; run again what was interrupted: what it "
            "has restored already stays"
        )
    if given is not None:
        return given, existing or "refuse"
    if settings is None:
        raise UsageError("--in-place: give --config FILE, too: it tells where the files were backed up from")
    return settings.source, existing or "keep"


def _how_to_go_on(existing: Existing, end: str) -> str:
    """Say how to go on with a restore that did not come to its end; a later backup may be the newest by then."""
    if existing in ("refuse", "resume"):
        return f"to go on, run the same with --resume --time {end}"
    rest = ", though directories that it has made keep the mode 0700 until --overwrite" if existing == "keep" else ""
    return f"to go on, run the same again, with --time {end}{rest}"
