"""``cya drill``: prove that backups can be restored, by restoring a little of them and comparing it."""

from __future__ import annotations

import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cya import clock
from cya.cli import options, output
from cya.cli import source as sources
from cya.cli.looking import opened
from cya.cli.progress import bar
from cya.cli.run import interrupted_means
from cya.client import drill as client
from cya.client import restorable
from cya.client import restore as restores
from cya.client import sample as samples
from cya.client.chosen import Chosen
from cya.client.draw import Rules
from cya.client.drill import Drilled, Tools
from cya.client.engines import engine_of, reader
from cya.client.places import private_cache
from cya.client.settings import reading_keys
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.errors import OK, IntegrityError, UsageError
from cya.format.key import path_of
from cya.printable import printable

EXIT = options.exit_status(
    _0="everything that was drawn came back as it was backed up",
    _1="it failed: no backup from that time, a wrong passphrase, not enough room, nothing small enough, …",
    _2="wrong usage or config",
    _13="something differs, is lost or is damaged; each is named",
)

MOST_SHOWN = 50
"""Paths of one kind of trouble in one backup that are printed; --json has all."""

_SIZE = re.compile(r"(\d{1,12})([KMGT]?)(?:i?B)?", re.ASCII)


def drill(
    config: options.Config = None,
    source: sources.From = None,
    passphrase_file: sources.PassphraseFile = None,
    time: sources.Time = "now",
    older: Annotated[int, typer.Option("--older", metavar="N", min=0, help="Drill N random older backups, too.")] = 1,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=0, max=1_000_000, help="Random files of each backup.")
    ] = 20,
    directory: Annotated[
        str | None,
        typer.Option("--directory", metavar="D", help="This directory, instead of a random one.", show_default=False),
    ] = None,
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="The most to restore of a backup: 500M, 20G.")
    ] = "1G",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            max=samples.MOST_SEED,
            help="Draw the same as the run that told N.",
            show_default=False,
        ),
    ] = None,
    scratch: Annotated[
        Path | None,
        typer.Option("--scratch", metavar="DIR", help="Restore in here, not in the cache.", show_default=False),
    ] = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Prove that backups can be restored: restore random files and a whole directory, and compare them strictly.

    It takes the newest backup up to T, and a random older one. What comes back is compared with the signatures that
    were recorded, in a private directory that is removed afterwards. Run it monthly from cron: it says nothing when
    all is well. Half of --max-size is for the files, and none is drawn that has more.

    Of an archive on another host, what it lends is drilled.
    """
    until = clock.parse(time, options.moment(now), end_of_day=True)
    settings = client_config.load(config) if config is not None else None
    most = _bytes(max_size)
    drawn = seed if seed is not None else secrets.randbelow(2**32)
    done = []
    with _opened(settings, source, passphrase_file) as tools:
        wanted = _directory(directory, tools.source.origin)
        rules = Rules(sample, most, drawn, wanted, client.left_out())
        parent = (
            scratch or (private_cache(settings) if settings is not None else Path(tempfile.gettempdir()))
        ).resolve()
        newest = restores.find(tools.restorable.catalog, until)
        for backup in (newest, *client.older(tools.restorable.catalog, newest, older, drawn)):
            with bar("drill", shown=not json) as watch, interrupted_means(f"nothing of it is left in {parent}"):
                result = client.drill(tools, backup, rules, parent, watch)
            done.append(result)
            _complain(result)
            if not json and (sys.stdout.isatty() or not result.well):
                _tell(result, drawn)
            rules = rules._replace(directory=None)  # an older one need not have it
    if json:
        output.print_json({"seed": drawn, "well": all(each.well for each in done), "backups": [*map(_facts, done)]})
    return OK if all(each.well for each in done) else IntegrityError.exit_code


@contextmanager
def _opened(settings: ClientConfig | None, given: str | None, passphrase_file: Path | None) -> Iterator[Tools]:
    """Find the backups, and what restores them."""
    place = sources.place_of(settings, given)
    keys = reading_keys(settings, passphrase_file)
    with opened(settings, given, passphrase_file) as source:
        work = private_cache(settings) if settings is not None else source.work
        with restorable.opened(place, settings, work) as found:
            yield Tools(source, found, (lambda own: engine_of(settings) if settings is not None else reader(own)), keys)


def _directory(given: str | None, origin: Path | None) -> bytes | None:
    """Return the key of a path that a person gave."""
    return Chosen([given], origin).keys[0] if given is not None else None


def _bytes(text: str) -> int:
    """Read a size such as ``500M``.

    :raises UsageError: when it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--max-size {text!r}: expected a size such as 500M, 20G or 1T")
    return int(found[1]) << (10 * " KMGT".index(found[2] or " "))


def _complain(done: Drilled) -> None:
    of = f"the backup of {clock.local(done.time)}"
    if done.error:
        print(f"cya: {of}: {done.error}", file=sys.stderr)
    for title, troubles in (
        ("damaged", [(each.path, each.reason) for each in done.damaged]),
        ("not restored as it was", [(each.path, each.reason) for each in done.lost]),
        ("differs", [(_name(each.key), each.reason or ", ".join(each.what)) for each in done.differences]),
    ):
        for path, reason in troubles[:MOST_SHOWN]:
            print(f"cya: {of}: {title}: {printable(path)}: {reason}", file=sys.stderr)
        if len(troubles) > MOST_SHOWN:
            print(f"cya: {of}: {title}: … and {len(troubles) - MOST_SHOWN} more; --json tells all", file=sys.stderr)


def _tell(done: Drilled, seed: int) -> None:
    of = f"the backup of {clock.local(done.time)}"
    if done.lot is None:
        print(f"{of}: could not be drilled; --seed {seed}")
        return
    what = f"{len(done.lot.files)} files"
    if done.lot.directory is not None:
        what += f" and the directory {printable(_name(done.lot.directory))}"
    troubles = len(done.differences) + len(done.lost) + len(done.damaged)
    print(
        f"{of}: restored {what}: {done.compared} paths compared, {output.size(done.bytes)} in {done.files} files, in "
        f"{done.seconds:.1f} s; "
        + ("NOT all well" if troubles else "all as it was backed up")
        + (f"; {done.lot.too_large} files are too large to be drawn (--max-size)" if done.lot.too_large else "")
        + "".join(f"; not compared: {printable(each.reason)}" for each in done.unset)
        + f"; --seed {seed}"
    )


def _facts(done: Drilled) -> dict[str, Any]:
    lot = done.lot
    return {
        "time": clock.iso(done.time),
        "well": done.well,
        "error": done.error or None,
        "files": [_name(key) for key in lot.files] if lot else [],
        "directory": _name(lot.directory) if lot and lot.directory is not None else None,
        "too_large": lot.too_large if lot else None,
        "compared": done.compared,
        "files_read": done.files,
        "bytes_read": done.bytes,
        "seconds": round(done.seconds, 3),
        "differences": [
            {"path": _name(each.key), "what": list(each.what), "reason": each.reason or None}
            for each in done.differences
        ],
        "not_compared": [each.reason for each in done.unset],
        "lost": [{"path": each.path, "reason": each.reason} for each in done.lost],
        "damaged": [{"path": each.path, "reason": each.reason} for each in done.damaged],
    }


def _name(key: bytes) -> str:
    return os.fsdecode(path_of(key))
