"""Golden cases of retention: one file each in ``retention/``, readable by an administrator.

Above the line ``result`` stands how the tree has come about, the policy and the time; below it what becomes of each
directory, why, and which backups are lost and left. To make the results anew after a wanted change:
``CYA_UPDATE_GOLDEN=1 pytest tests/tree/test_retention_golden.py``, and read the difference. Lines are

=============================  =======================================================================
``levels year month …``        the levels of the tree; without it the default ones
``now_levels year month …``    the levels are changed to these
``zone Europe/Berlin``         the archive's time zone
``backups FROM TO every day``  backups from one day up to and with another; ``every 6 hours``, ``every 2 weeks``
``backup T``, ``full T``       one backup; a full one
``lies T says S``              a backup that is served and uploaded at T, and says that it was made at S
``pruned week 2, month 12``    from here on each backup is followed by a prune
``removed DIRECTORY``          deleted by hand
``damaged DIRECTORY T``        this backup is damaged there; ``damaged everywhere T``
``served LEAF``                what the client was served, in which an upload may have begun
``now T``, ``keep week 2``     when it is pruned, and by which policy
``min_age N``, ``min_backups N``  days, and backups
=============================  =======================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Calendar, Period
from cya.tree.placement import Serving, serve
from cya.tree.retention import Policy, Retention, retain
from cya.tree.simulation import Simulation

CASES = Path(__file__).parent / "retention"
RESULT = "\nresult\n"


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def policy(text: str) -> dict[str, int]:
    pairs = (pair.split() for pair in text.split(","))
    return {level: int(number) for level, number in pairs}


@dataclass
class Case:
    """A tree that is built line by line."""

    simulation: Simulation = field(default_factory=lambda: Simulation(Calendar()))
    pruning: Policy | None = None
    policy: Policy = field(default_factory=Policy)
    damaged: list[tuple[Period | None, int]] = field(default_factory=list)
    served: Serving | None = None
    now: int = 0

    def do(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        getattr(self, f"do_{word}")(rest.strip())

    def do_levels(self, text: str) -> None:
        self.simulation = Simulation(replace(self.simulation.calendar, levels=tuple(text.split())))

    def do_now_levels(self, text: str) -> None:
        self.simulation.calendar = replace(self.simulation.calendar, levels=tuple(text.split()))

    def do_zone(self, text: str) -> None:
        self.simulation = Simulation(replace(self.simulation.calendar, zone=ZoneInfo(text)))

    def do_backups(self, text: str) -> None:
        first, last, _, *every = text.split()
        number, unit = (1, every[0]) if len(every) == 1 else (int(every[0]), every[1])
        step = number * int(timedelta(**{f"{unit.rstrip('s')}s": 1}).total_seconds())
        for at in range(moment(first), moment(last) + 1, step):
            self.do_backup(at)

    def do_backup(self, at: str | int, *, full: bool = False) -> None:
        at = at if isinstance(at, int) else moment(at)
        assert self.simulation.backup(at, full=full) is not None, "the client refused"
        self._prune(at)

    def do_full(self, text: str) -> None:
        self.do_backup(moment(text), full=True)

    def do_lies(self, text: str) -> None:
        at, _, says = text.split()
        serving = serve(self.simulation.tree, self.simulation.calendar, moment(at))
        start = serving.chain.end if serving.chain else None
        self.simulation.commit(serving, Increment(start, moment(says)))
        self._prune(moment(at))

    def _prune(self, at: int) -> None:
        if self.pruning is not None:
            self.simulation.prune(self.pruning, at)

    def do_pruned(self, text: str) -> None:
        self.pruning = Policy(policy(text))

    def do_removed(self, text: str) -> None:
        self.simulation.remove(layout.period_of(text))

    def do_damaged(self, text: str) -> None:
        where, at = text.split()
        self.damaged.append((None if where == "everywhere" else layout.period_of(where), moment(at)))

    def do_served(self, text: str) -> None:
        self.served = Serving(layout.period_of(text))

    def do_now(self, text: str) -> None:
        self.now = moment(text)

    def do_keep(self, text: str) -> None:
        self.policy = replace(self.policy, keep=policy(text))

    def do_min_age(self, text: str) -> None:
        self.policy = replace(self.policy, min_age=int(text) * 86400)

    def do_min_backups(self, text: str) -> None:
        self.policy = replace(self.policy, min_backups=int(text))

    def result(self) -> str:
        known = self.simulation.tree
        whole = {
            period: {i for i in found if not {(None, i.end), (period, i.end)} & set(self.damaged)}
            for period, found in known.items()
        }
        return shown(retain(whole, self.simulation.calendar, self.policy, self.now, known, self.served))


def shown(decided: Retention) -> str:
    lines = []
    for verdict in decided.verdicts:
        name = layout.directory(verdict.period)
        if verdict.chain is not None:
            name = f"{name}: the chain {days(verdict.chain.increments)}"
        lines.append(f"{'delete' if verdict.goes else 'keep':7} {name:45} {verdict.reason}")
    lines.append(f"lost    {len(decided.lost)}: {days(decided.lost)}".rstrip(" :"))
    lines.append(f"left    {len(decided.left)}: {days(decided.left)}".rstrip(" :"))
    return "\n".join(lines) + "\n"


def days(increments: tuple[Increment, ...]) -> str:
    names = []
    for increment in increments:
        at = datetime.fromtimestamp(increment.end, UTC)
        time = f"{at:%Y-%m-%d}" if at.hour + at.minute == 0 else f"{at:%Y-%m-%dT%H:%M}"
        names.append(("F" if increment.is_full else "") + time)
    return " ".join(names if len(names) <= 8 else [*names[:4], "…", *names[-4:]])


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.txt")))
def test_golden_retention(case: str) -> None:
    file = CASES / f"{case}.txt"
    text = file.read_text()
    above, _, expected = text.partition(RESULT)
    built = Case()
    for line in above.splitlines():
        if line and not line.startswith("#"):
            built.do(line)
    result = built.result()
    if os.environ.get("CYA_UPDATE_GOLDEN"):
        file.write_text(above + RESULT + result)
    assert result == expected


def test_there_are_golden_cases() -> None:
    assert len(list(CASES.glob("*.txt"))) >= 40
