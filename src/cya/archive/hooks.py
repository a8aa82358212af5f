"""Runs the archive host's own commands: after a commit, on a refusal, and once when a client has become overdue.

They run when the root is no longer locked, so that they may use cya themselves; none of them can change what happened.
A run that is killed right after a commit does not run them again: they are no place for what must not be missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cya import clock, hooks
from cya.archive import log, records
from cya.archive.directories import remove
from cya.archive.records import Overdue
from cya.archive.root import read_root, told
from cya.archive.status import overdue_since
from cya.config.archive import ArchiveConfig, parse_age
from cya.config.hooks import ArchiveHooksConfig, Commands
from cya.errors import CyaError
from cya.printable import printable
from cya.tree import layout

if TYPE_CHECKING:
    from cya.archive.collect import Collected

_MOST_LINES = 20
"""Lines of what a command said that are kept in the log."""


@dataclass(frozen=True)
class Hooks:
    """What is run for each root.

    :ivar max_age: how old a client's last backup may be.
    """

    commands: ArchiveHooksConfig
    max_age: timedelta


def of(config: ArchiveConfig) -> Hooks:
    """Return the hooks of an archive host."""
    return Hooks(config.hooks, parse_age(config.max_age))


def run(chosen: Hooks, done: Collected, now: int) -> list[str]:
    """Run what belongs to what a collect did to a root; return what went wrong, as alarms.

    :param now: the archive's clock, seconds since the epoch.
    """
    alarms: list[str] = []
    commands = chosen.commands
    facts = {"CYA_ROOT": str(done.root.resolve()), "CYA_NAME": done.root.resolve().name}
    try:
        with told(done.root):
            for increment in done.committed:
                of_it = {"CYA_TIME": clock.iso(increment.end), "CYA_KIND": "full" if increment.is_full else "inc"}
                alarms += _each("after_commit", commands.after_commit, {**facts, **of_it}, chosen, now)
            for reason in done.refused:
                alarms += _each("on_quarantine", commands.on_quarantine, {**facts, "CYA_REASON": reason}, chosen, now)
            if commands.on_overdue:
                alarms += _overdue(chosen, done.root, facts, now)
    except CyaError as error:
        alarms.append(f"hooks: {error}")
    return alarms


def _overdue(chosen: Hooks, path: Path, facts: Mapping[str, str], now: int) -> list[str]:
    """Run what is to be run once for each silence: that it was is remembered by the backup that was the last one."""
    with read_root(path) as root:
        late = overdue_since(root, now, chosen.max_age)
        known = records.find(root, layout.OVERDUE, Overdue)
        if late is None:
            remove(layout.OVERDUE, root.state)
            return []
        if known == Overdue(late.since):
            return []
        alarms = _each("on_overdue", chosen.commands.on_overdue, {**facts, "CYA_REASON": late.reason}, chosen, now)
        if not alarms:
            records.save(root, layout.OVERDUE, Overdue(late.since))
        return alarms


def _each(event: str, commands: Commands, facts: Mapping[str, str], chosen: Hooks, now: int) -> list[str]:
    alarms = []
    for command in commands:
        environment = {**{name: printable(value) for name, value in facts.items()}, "CYA_HOOK": event}
        done = hooks.run(command, environment, chosen.commands.time_limit)
        with read_root(Path(facts["CYA_ROOT"])) as root:
            log.note(root, now, "hook", f"{event} {list(command)}: {done.trouble or 'done'}")
            for line in done.output.splitlines()[-_MOST_LINES:]:
                log.note(root, now, "said", line)
        if done.trouble:
            alarms.append(f"{facts['CYA_NAME']}: hooks.{event}: {printable(done.told)}")
    return alarms
