"""Why a prune waits for an administrator, although the policy would let something go."""

from __future__ import annotations

from collections.abc import Iterator

from cya import clock
from cya.archive import log
from cya.archive.check import damage
from cya.archive.root import Root
from cya.catalog import Catalog
from cya.tree import layout
from cya.tree.chain import chains
from cya.tree.placement import FUTURE
from cya.tree.retention import Retention

_RECENT = 14 * 86400
"""For so many seconds an alarm holds."""
_DAY = 86400


def holds(root: Root, catalog: Catalog, decided: Retention, now: int) -> Iterator[str]:
    """Yield the reasons, for people.

    :param catalog: the tree, what is known to be damaged in it being incomplete.
    :param now: the archive's clock, seconds since the epoch.
    """
    yield from _damage(root, catalog, decided)
    yield from _silence(root, decided, now)
    alarms = log.tail(root, now - _RECENT, "alarm")
    if alarms:
        yield f"an alarm of the last {_RECENT // _DAY} days: {alarms[-1]}"


def _damage(root: Root, catalog: Catalog, decided: Retention) -> Iterator[str]:
    """What goes may be what could still be restored."""
    stays = {verdict.period for verdict in decided.verdicts if not verdict.goes}
    reasons = {each.increment: each.reason for each in damage.find(root)}
    for directory in catalog.directories:
        if directory.period not in stays:
            continue
        sound = {i for chain in chains(catalog.tree[directory.period]).chains for i in chain.increments}
        bad = sorted(set(catalog.known[directory.period]) - sound, key=lambda i: i.end)
        if bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            reason = reasons.get(bad[0], "something that it needs is missing")
            where = layout.directory(directory.period)
            yield f"damage in {where}, which would stay: the backup of {clock.local(bad[0].end)}{more}: {reason}"


def _silence(root: Root, decided: Retention, now: int) -> Iterator[str]:
    """Of a dead client nothing is pruned: what it has is all there will ever be."""
    ends = [i.end for i in (*decided.lost, *decided.left) if i.end <= now + FUTURE]
    silent = now - max(ends, default=0)
    if root.config.max_silence and silent > root.config.max_silence * _DAY:
        last = f"the last backup is of {clock.local(max(ends))}" if ends else "no backup can be restored"
        yield f"{last}, and max_silence is {root.config.max_silence} days: is the client still there?"
