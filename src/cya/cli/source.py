"""Where verbs that look into backups find them, and the keys to them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cya import catalog
from cya.client.places import local_archive, private_cache
from cya.client.settings import encryption, given_keys
from cya.client.signatures import Source
from cya.config.client import ClientConfig
from cya.engine.duplicity_options import NAME
from cya.engine.native.gpg import Gpg
from cya.engine.native.reading.opening import Opener
from cya.engine.private import Private
from cya.errors import UsageError

From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="SOURCE", help="An archive root, or any directory of Duplicity files.", show_default=False
    ),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="F", help="Instead of the config's.", show_default=False)
]
Time = Annotated[
    str, typer.Option("--time", metavar="T", help="The newest backup up to T; a date means the end of that day.")
]


@contextmanager
def opened(settings: ClientConfig | None, given: str | None, passphrase_file: Path | None) -> Iterator[Source]:
    """Read which backups there are, and prepare to look into them.

    :param given: what ``--from`` names.
    :raises UsageError: when it is not said where they are, or they are on another machine.
    :raises ArchiveError: when they are not there.
    :raises ConfigError: when the passphrase cannot be read.
    """
    place = _place(settings, given)
    with ExitStack() as stack:
        if settings is not None:
            work = stack.enter_context(Private(private_cache(settings)).reading())
        else:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cya-")))
        keys = given_keys(passphrase_file) if passphrase_file or settings is None else encryption(settings)
        opener = Opener(keys.passphrase, Gpg(work, settings.gnupg_home if settings is not None else None))
        yield Source(catalog.read(place), opener, work, settings.source if settings is not None else None)


def _place(settings: ClientConfig | None, given: str | None) -> Path:
    if given is not None:
        if "://" in given:
            raise UsageError(f"--from {given}: only directories of this machine can be looked into in this version")
        return Path(given)
    if settings is None:
        raise UsageError("give --config FILE, or --from SOURCE (and --passphrase-file F if it is encrypted)")
    return local_archive(settings) or _cached(settings)


def _cached(settings: ClientConfig) -> Path:
    """Return where the engine keeps what it knows of the chain that it goes on with: the archive is elsewhere."""
    known = Private(private_cache(settings)).archive_dir / NAME
    if not any(known.glob("*.sigtar*")):
        raise UsageError(
            f"the archive {settings.archive} is on another machine, and hands nothing out by itself, and {known} holds "
            "nothing of it yet: make a backup first; or ask the archive's admin for a copy of its root, or of one of "
            "its files/ directories, and give that with --from DIR (the keys stand in the config)"
        )
    print(
        f"cya: the archive {settings.archive} is on another machine: what follows is from {known}, where the engine "
        "keeps what it knows of the newest chain; older backups are there only",
        file=sys.stderr,
    )
    return known
