"""``cya list`` for an archive on another host: what that lets its client know."""

from __future__ import annotations

from typing import Any

from cya import clock
from cya.cli import output
from cya.client.remote_list import Known, remote_list
from cya.config.client import ClientConfig
from cya.errors import OK


def list_remote(config: ClientConfig, *, json: bool) -> int:
    """List what an archive on another host lets its client know."""
    found = remote_list(config)
    if json:
        output.print_json([_remote_facts(each) for each in found.backups])
        return OK
    if found.backups:
        rows = [
            [
                clock.local(each.end),
                "full" if each.full else "inc",
                "damaged" if each.damaged else str(each.chain_length or ""),
                clock.local(int(each.lent_until.timestamp())) if each.lent_until else "",
                " ".join(each.levels),
            ]
            for each in found.backups
        ]
        output.print_table(["time", "kind", "chain", "lent until", "levels"], rows, right={"chain"})
    if not found.complete:
        print(
            f"{config.archive}: these are the chain that the next backup continues, and what is lent; all backups are "
            "listed on the archive host only (cya list ROOT), or here, too, with index = true in the root's cya.toml"
            if found.backups
            else f"{config.archive}: the next backup begins a chain"
        )
    elif not found.backups:
        print(f"{config.archive}: no backups yet")
    return OK


def _remote_facts(known: Known) -> dict[str, Any]:
    return {
        "time": clock.iso(known.end),
        "kind": "full" if known.full else "inc",
        "levels": known.levels,
        "path": None,
        "chain_length": known.chain_length,
        "bytes": None,
        "files": None,
        "damage": "something of it is missing" if known.damaged else None,
        "lent_until": clock.iso(int(known.lent_until.timestamp())) if known.lent_until else None,
    }
