"""``cya snapshots``: of what snapshots would be taken, and what a killed run left of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cya.cli import options, output
from cya.client import snapshots as client
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.errors import OK, CyaError, Locked
from cya.snapshot.choosing import NONE

EXIT = options.exit_status(
    _0="told; with --remove: nothing is left",
    _1="it cannot be found out, the source cannot be taken as the config asks, or something could not be removed",
    _2="wrong usage or config",
    _12="a backup with this config is running, to which the snapshots belong (only with --remove)",
)


def snapshots(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The client's config file.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what a killed run left. Run it at boot; every backup does it, too.")
    ] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Show of which file systems a backup would take snapshots, which it would read as they are, and what was left."""
    moment = options.moment(now)
    settings = client_config.load(config)
    if remove:
        trouble = client.remove_left_behind(settings, moment)
        for each in trouble:
            print(f"cya: {each}", file=sys.stderr)
        return CyaError.exit_code if trouble else OK
    found, live = client.planned(settings, moment)
    try:
        behind, running = client.left_behind(settings), False
    except Locked:
        behind, running = [], True
    if json:
        output.print_json(
            {
                "source": str(settings.source),
                "kind": settings.snapshot.kind,
                "taken": [{"place": str(e.mount.target), "what": e.what, "costs": e.costs} for e in found],
                "live": [{"place": str(each.target), "what": f"{each.type} on {each.source}"} for each in live],
                "left": behind,
                "running": running,
            }
        )
        return OK
    _tell(settings)
    for taken in found:
        print(f"  {taken.mount.target}: {taken.what}: {taken.costs}")
    stored = [each for each in live if "/" in each.source or ":" in each.source or each.type.startswith("fuse.")]
    for mount in stored:
        print(f"  {mount.target}: {mount.type} on {mount.source}: read as it is")
    if others := sorted({each.type for each in live if each not in stored}):
        print(f"  what has no device ({', '.join(others)}): read as it is, where patterns do not leave it out")
    for name in behind:
        print(f"left by a run that was killed: {name}; cya snapshots --remove")
    if running:
        print("a backup is running, and may have snapshots now")
    return OK


def _tell(settings: ClientConfig) -> None:
    kind = settings.snapshot.kind
    if kind == NONE:
        print(f'{settings.source}: read as it is (snapshot.kind = "none")')
    else:
        print(f'{settings.source}: what a backup would do (snapshot.kind = "{kind}"):')
