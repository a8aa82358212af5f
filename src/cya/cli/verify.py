"""``cya verify``: a backup beside the source, or beside a restored tree."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from cya import clock
from cya.cli import options, output
from cya.cli import source as sources
from cya.cli.looking import opened
from cya.cli.progress import bar
from cya.client import sample as samples
from cya.client import settings as client_settings
from cya.client import signatures
from cya.client.chosen import Chosen
from cya.client.places import excluded
from cya.client.sample import Sample
from cya.client.signatures import Way
from cya.client.verify import Difference, Tree, Verification
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.engine.protocol import Selection
from cya.errors import DONE_WITH_WARNINGS, OK, IntegrityError, UsageError
from cya.format.key import path_of
from cya.printable import printable

EXIT = options.exit_status(
    _0="nothing differs",
    _1="it failed: no backup from that time, a path is nowhere, a wrong passphrase, …",
    _2="wrong usage or config",
    _10="some differ, all of them changed after the backup; or some could not be read (they are named)",
    _13="some differ though their times say that they were not changed since; or the backup's signatures are damaged",
)


def verify(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", show_default=False)] = None,
    config: options.Config = None,
    source: sources.From = None,
    passphrase_file: sources.PassphraseFile = None,
    time: sources.Time = "now",
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="A restored tree, instead of the source.", show_default=False),
    ] = None,
    sample: Annotated[
        str, typer.Option("--sample", metavar="N%", help="Read only a random share of the files; look at all.")
    ] = "100%",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            max=samples.MOST_SEED,
            help="The same sample as that which told N.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Compare a backup with the source: types, modes, owners, times, and contents by their signatures.

    Hard links, ACLs, attributes, exact times, holes, flags and sockets are compared, too, where the backup is on this
    host; all else is told by the signatures alone. What was changed after the backup is told apart from what should
    be the same, by the change time of each file. What the config leaves out is left out here.

    With --against DIR only times of modification tell what was changed, and owners may be the same by name.
    """
    until = clock.parse(time, options.moment(now), end_of_day=True)
    settings = client_config.load(config) if config is not None else None
    tree = _tree(settings, against)
    drawn = Sample(samples.share(sample), seed if seed is not None else secrets.randbelow(2**32))
    with ExitStack() as stack:
        place = stack.enter_context(opened(settings, source, passphrase_file))
        found = signatures.find(place.catalog, until)
        chosen = Chosen(paths or [], place.origin)
        job = Verification(place, found, tree, chosen, drawn)
        watch = stack.enter_context(bar("verify", shown=not json))
        if json:
            output.print_json_list(
                (_facts(difference) for difference in job.differences(watch)),
                "differences",
                lambda: _summary(job, found, tree, drawn),
            )
        else:
            for difference in job.differences(watch):
                _tell(difference)
        chosen.check(f"the backup of {clock.local(found.end)}, nor in {tree.place}")
    if not json and (sys.stdout.isatty() or job.differing or job.since or job.unread):
        _summarize(job, found, drawn)
    if job.differing:
        return IntegrityError.exit_code
    return DONE_WITH_WARNINGS if job.since or job.unread else OK


def _tree(settings: ClientConfig | None, against: Path | None) -> Tree:
    if settings is None:
        if against is None:
            raise UsageError("give --config FILE, which names the source; or --against DIR, and --from SOURCE")
        return Tree(against, against.absolute(), Selection(), restored=True)
    chosen = client_settings.selection(settings, excluded(settings))
    restored = against is not None
    return Tree(against or settings.source, settings.source, chosen, restored, bool(settings.dumps) and not restored)


def _tell(difference: Difference) -> None:
    name = printable(os.fsdecode(path_of(difference.key)))
    if difference.reason:
        print(f"cya: cannot be compared: {name}: {difference.reason}", file=sys.stderr)
    elif difference.since:
        print(f"changed since: {name}: {', '.join(difference.what)}")
    else:
        print(f"cya: differs: {name}: {', '.join(difference.what)}", file=sys.stderr)


def _summarize(job: Verification, found: Way, drawn: Sample) -> None:
    print(
        f"the backup of {clock.local(found.end)}: {job.compared} paths compared; contents of {job.read} files, "
        f"{output.size(job.bytes)}; {job.differing} differ, {job.since} changed since, {job.unread} not read"
        + ("" if job.whole else "; hard links, ACLs and attributes not compared")
        + (f"; sample {drawn.share:.6%} --seed {drawn.seed}" if drawn.share < 1 else "")
    )


def _facts(difference: Difference) -> dict[str, Any]:
    return {
        "path": os.fsdecode(path_of(difference.key)),
        "what": list(difference.what),
        "since": difference.since,
        "reason": difference.reason or None,
    }


def _summary(job: Verification, found: Way, tree: Tree, drawn: Sample) -> dict[str, Any]:
    return {
        "time": clock.iso(found.end),
        "tree": str(tree.place),
        "compared": job.compared,
        "files_read": job.read,
        "bytes_read": job.bytes,
        "differ": job.differing,
        "changed_since": job.since,
        "not_read": job.unread,
        "metadata": job.whole,
        "sample": drawn.share,
        "seed": drawn.seed,
    }
