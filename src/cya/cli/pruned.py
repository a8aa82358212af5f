"""How what was pruned, or would be, is told."""

from __future__ import annotations

from typing import Any

from cya import clock
from cya.archive.prune import Pruned
from cya.cli import output
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.retention import Verdict

_FEW = 10
"""Backups that are named; --json names all."""


def tell(each: Pruned) -> None:
    """Print each directory with its reason, and what it comes to."""
    if each.policy is not None:
        rows = [("delete" if v.goes else "keep", _what(v), v.reason) for v in each.decided.verdicts]
        if rows:
            output.print_table(("", "directory", "reason"), rows)
    summarize(each)


def summarize(each: Pruned) -> None:
    """Print what it comes to, in a few lines."""
    for ended in each.returned:
        print(f"{each.root}: {ended}")
    for slot in each.expired:
        print(f"{each.root}: deleted the refused upload {slot}")
    if each.policy is None:
        print(f"{each.root}: everything is kept: cya.toml has no keep")
        return
    going = each.decided.going
    if not going:
        print(f"{each.root}: nothing to prune; {_backups(len(each.decided.left))} can be restored")
        return
    done = "deleted" if each.deleted else "to delete"
    chains = sum(verdict.chain is not None for verdict in going)
    what = [_number(len(going) - chains, "directory", "directories")] if len(going) > chains else []
    what += [_number(chains, "superseded chain", "superseded chains")] if chains else []
    print(f"{each.root}: {done}: {' and '.join(what)}; {output.size(each.freed)} come free")
    lost = each.decided.lost
    if lost:
        shown = ", ".join(clock.local(increment.end) for increment in lost[:_FEW])
        more = f", … and {len(lost) - _FEW} more" if len(lost) > _FEW else ""
        print(f"{each.root}: {_backups(len(lost))} lost: {shown}{more}")
    print(f"{each.root}: {_backups(len(each.decided.left))} left")


def facts(each: Pruned) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "root": str(each.root),
        "keep": dict(each.policy.keep) if each.policy else None,
        "deleted": each.deleted,
        "held": list(each.held),
        "directories": [_facts(verdict) for verdict in each.decided.verdicts],
        "lost": _times(each.decided.lost),
        "left": _times(each.decided.left),
        "freed": each.freed,
        "refused_deleted": each.expired,
        "returned": each.returned,
        "error": str(each.error) if each.error else None,
    }


def _facts(verdict: Verdict) -> dict[str, Any]:
    return {
        "directory": layout.directory(verdict.period),
        "action": "delete" if verdict.goes else "keep",
        "reason": verdict.reason,
        "chain": _times(verdict.chain.increments) if verdict.chain else None,
    }


def _what(verdict: Verdict) -> str:
    name = layout.directory(verdict.period)
    return f"{name}, chain of {clock.local(verdict.chain.increments[0].end)}" if verdict.chain else name


def _times(increments: tuple[Increment, ...]) -> list[str]:
    return [clock.iso(increment.end) for increment in increments]


def _backups(number: int) -> str:
    return _number(number, "backup", "backups")


def _number(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
