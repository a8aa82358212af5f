"""Opens backups for the verbs that look into them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cya import catalog
from cya.cli.source import place_of
from cya.client.known import sigtars_of
from cya.client.places import private_cache
from cya.client.settings import reading_keys
from cya.client.signatures import Source
from cya.config.client import ClientConfig
from cya.engine.native.reading.opening import Opener
from cya.engine.private import Private
from cya.engine.scratch import temporary


@contextmanager
def opened(settings: ClientConfig | None, given: str | None, passphrase_file: Path | None) -> Iterator[Source]:
    """Read which backups there are, and prepare to look into them.

    :param given: what ``--from`` names.
    :raises UsageError: when it is not said where they are.
    :raises ArchiveError: when they are not there.
    :raises RestoreError: when they are on another host, and nothing of them is lent, nor known here.
    :raises ConfigError: when the passphrase cannot be read.
    """
    place = place_of(settings, given)
    with ExitStack() as stack:
        if settings is not None:
            work = stack.enter_context(Private(private_cache(settings)).reading())
        else:
            work = stack.enter_context(temporary())
        keys = reading_keys(settings, passphrase_file)
        opener = Opener.of(keys, work, settings.gnupg_home if settings is not None else None)
        if isinstance(place, Path):
            found = catalog.read(place)
        else:
            found = stack.enter_context(sigtars_of(place, settings, given=given is not None, say=_say))
        yield Source(found, opener, work, settings.source if settings is not None else None)


def _say(message: str) -> None:
    print(f"cya: {message}", file=sys.stderr)
