"""``cya restore --dry-run``: what a restore would do."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from cya import clock
from cya.cli import listing, output
from cya.client import signatures
from cya.client.chosen import Chosen
from cya.client.signatures import Source
from cya.client.would_restore import Would, WouldRestore
from cya.engine.protocol import Existing
from cya.errors import OK

_TOLD = {"new": "restore", "replaced": "replace", "kept": "keep", "in the way": "fail at"}
"""What is the same already is not named: there is nothing to be done."""


def dry_run(
    source: Source, until: datetime, destination: Path, paths: list[str], existing: Existing, *, json: bool
) -> int:
    """Print what would be restored, and what would become of what is there; only sigtars are read."""
    found = signatures.find(source.catalog, until)
    chosen = Chosen(paths, source.origin)
    job = WouldRestore(source, found, destination, chosen, existing)
    if json:
        output.print_json_list(
            (_facts(would) for would in job.paths()),
            "paths",
            lambda: {"time": clock.iso(found.end), "destination": str(destination), "counts": dict(job.counted)},
        )
    else:
        for would in job.paths():
            if would.fate in _TOLD:
                print(_line(would))
    chosen.check(f"the backup of {clock.local(found.end)}")
    if not json:
        counts = ", ".join(f"{number:,} {fate}" for fate, number in job.counted.items())
        print(f"the backup of {clock.local(found.end)} to {destination}: {counts}; nothing was written")
    return OK


def _line(would: Would) -> str:
    why = would.reason or ", ".join(would.differing)
    return f"would {_TOLD[would.fate]}: {listing.name(would.record) or '.'}{f': {why}' if why else ''}"


def _facts(would: Would) -> dict[str, Any]:
    return {
        "path": os.fsdecode(would.record.path) or ".",
        "fate": would.fate,
        "differing": list(would.differing),
        "reason": would.reason or None,
    }
