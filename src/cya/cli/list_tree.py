"""``cya list --tree``: the tree of directories, with how much room each takes."""

from __future__ import annotations

from typing import Any

from cya.archive.levels import level_of
from cya.archive.sizes import Sizes, sizes
from cya.catalog import Catalog, Directory
from cya.cli import output
from cya.tree import layout
from cya.tree.levels import Calendar


def show(found: Catalog, levels: Calendar) -> None:
    """Print a line for each directory, below the one that it lies in."""
    measured = sizes(found.directories)
    rows = [_row(directory, measured, levels) for directory in _in_order(found)]
    output.print_table(
        ("directory", "level", "backups", "chains", "size", "own", "shared"),
        rows,
        right={"backups", "chains", "size", "own", "shared"},
    )
    whole = sum(backup.chain is not None for backup in found.backups)
    print(f"{len(rows)} directories, {whole} backups; {output.size(measured.total)} in all, each file counted once")
    print("size: what is in it; own: what comes free when it is deleted, with all in it; shared: what others hold, too")


def facts(found: Catalog, levels: Calendar) -> list[dict[str, Any]]:
    """Return the same for programs; sizes in bytes."""
    measured = sizes(found.directories)
    return [
        {
            "directory": layout.directory(directory.period),
            "level": level_of(directory.period, levels),
            "backups": _backups(directory),
            "chains": _chains(directory),
            "bytes": measured.all[directory.period],
            "own": measured.own[directory.period],
            "shared": _shared(directory, measured),
        }
        for directory in _in_order(found)
    ]


def _in_order(found: Catalog) -> list[Directory]:
    return sorted(found.directories, key=lambda directory: directory.period)


def _row(directory: Directory, measured: Sizes, calendar: Calendar) -> list[str]:
    period = directory.period
    lengths = "+".join(map(str, _chains(directory))) or "damaged"
    return [
        "  " * (len(period) - 1) + period[-1],
        level_of(period, calendar),
        str(_backups(directory)),
        lengths,
        output.size(measured.all[period]),
        output.size(measured.own[period]),
        output.size(_shared(directory, measured)),
    ]


def _chains(directory: Directory) -> list[int]:
    return [len(chain) for chain in directory.chains.chains]


def _backups(directory: Directory) -> int:
    return sum(_chains(directory))


def _shared(directory: Directory, measured: Sizes) -> int:
    return measured.shared[directory.period]
