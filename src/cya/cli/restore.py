"""``cya restore``: bring files back, from an archive root or any directory of Duplicity files."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from cya import catalog, clock
from cya.cli import options, output
from cya.cli.progress import bar
from cya.cli.run import interrupted_means
from cya.client import restore as client
from cya.client.engines import engine_of, reader
from cya.client.places import local_archive, private_cache
from cya.client.settings import encryption, given_keys
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.errors import DONE_WITH_WARNINGS, OK, UsageError
from cya.printable import printable
from cya.tree import layout

EXIT = options.exit_status(
    _0="restored",
    _1="it failed: no backup from that time, the path is not in it, a wrong passphrase, DEST is not empty, …",
    _2="wrong usage or config",
    _10="restored, but some files could not be restored as they were (they are named)",
    _13="the backup is damaged",
)


def restore(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="An empty or a new directory.")],
    config: options.Config = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="SOURCE", help="An archive root, or any directory of Duplicity files.", show_default=False
        ),
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", metavar="F", help="Instead of the config's.", show_default=False)
    ] = None,
    time: Annotated[
        str, typer.Option("--time", metavar="T", help="The newest backup up to T; a date means the end of that day.")
    ] = "now",
    path: Annotated[
        list[str] | None, typer.Option("--path", metavar="P", help="Only this file or directory; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Restore although DEST is not empty.")] = False,
    numeric_owner: Annotated[bool, typer.Option("--numeric-owner", help="Owners by number, not by name.")] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Restore everything, or some paths, as they were at a time; says which backup it took."""
    until = clock.parse(time, options.moment(now), end_of_day=True)
    settings = client_config.load(config) if config is not None else None
    place = _place(settings, source)
    origin = settings.source if settings is not None else None
    paths = client.without_those_within([client.relative(each, origin) for each in path or ()])
    with ExitStack() as stack:
        if settings is not None:
            scratch, engine = private_cache(settings), engine_of(settings)
        else:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cya-")))
            engine = reader(scratch)
        keys = given_keys(passphrase_file) if passphrase_file or settings is None else encryption(settings)
        found = catalog.read(place)
        backup = client.find(found, until)
        watch = stack.enter_context(bar("restore", shown=not json))
        stack.enter_context(interrupted_means(f"{destination} is not whole; restore again, with --force"))
        done = client.restore(
            found,
            backup,
            engine,
            destination.absolute(),
            keys,
            scratch,
            paths=paths,
            force=force,
            numeric_owner=numeric_owner,
            watch=watch,
        )
    lost = [each for report in done.reports for each in report.lost]
    period = layout.directory(backup.directories[0].period) or str(place)
    if json:
        output.print_json(
            {
                "time": clock.iso(backup.increment.end),
                "path": period,
                "chain_length": len(backup.chain or ()),
                "destination": str(destination),
                "lost": lost,
            }
        )
    else:
        print(f"restored the backup of {clock.local(backup.increment.end)} from {period} to {destination}")
    for each in lost:
        print(f"cya: not restored as it was: {printable(each.path)}: {each.reason}", file=sys.stderr)
    return DONE_WITH_WARNINGS if lost else OK


def _place(settings: ClientConfig | None, source: str | None) -> Path:
    if source is not None:
        if "://" in source:
            raise UsageError(f"--from {source}: only directories of this machine can be restored from in this version")
        return Path(source)
    if settings is None:
        raise UsageError("give --config FILE, or --from SOURCE (and --passphrase-file F if it is encrypted)")
    here = local_archive(settings)
    if here is None:
        raise UsageError(
            f"the archive {settings.archive} is on another machine, and hands nothing out by itself: ask its admin for "
            "a copy of its root, or of one of its files/ directories, and give that with --from DIR (the keys stand in "
            "the config); or restore on the archive host, with --from ROOT and --passphrase-file F"
        )
    return here
