"""The part of the page that tells what ``decade`` measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bench import chart, report_head
from bench.keeping import DAYS, MONTHS, WEEKS

_HOW = """
## A simulated decade

![What each stores, and how long it restores]({picture})

{days:,} daily backups of a small tree that people and programs work in: edits, new and deleted files, growing mailboxes
and logs that are rotated, a data base, upgrades now and then. It has {files[0]:,} files with {files[1]:.1f} MB on the
first day, and {files[2]:,} with {files[3]:.1f} MB on the last. What is not needed is removed every quarter and at the
end: {DAYS} days, {WEEKS} weeks and {MONTHS} months stay, as near to that as each way of keeping can come.

Borg and restic made only those backups that are still there at the end: so what they store is the least that they can,
with nothing left of what was pruned. Duplicity's two chains were written by cya's engine, since so many runs of stock
duplicity would take days; the files are the same in kind, number and size. Everything is encrypted, and lies in memory,
where an fsync costs nothing.

Restores are of the newest day and of the newest backup that was kept from a year, and from nine years, before it; as on
a new machine, without any cache. What was restored is compared with what the tree was on that day. "Read" is the number
of increments that have to be read for it. Times are medians of {rounds}; what took longer than half a minute was
measured once, and broken off after {patience:.0f} s.

Make it again: `tools/set-up bench && make bench BENCH_ARGS=decade`. It takes an hour.
"""


def lines(results: dict[str, Any], page: Path) -> Iterable[str]:
    """Yield the lines, and draw the chart beside the page; nothing where nothing was measured."""
    decade = results.get("decade")
    if not decade:
        return
    picture = page.with_name(f"{page.stem}-decade.svg")
    picture.write_text(chart.drawn(_bars(decade), left=240))
    first, last = decade["source"]["first"], decade["source"]["last"]
    yield _HOW.format(
        picture=picture.name,
        days=decade["days"],
        files=(first[0], first[1] / 1e6, last[0], last[1] / 1e6),
        DAYS=DAYS,
        WEEKS=WEEKS,
        MONTHS=MONTHS,
        rounds=decade["rounds"],
        patience=decade["patience"],
    )
    yield report_head.measured_on(decade["machine"])
    yield from report_head.versions(decade["tools"])
    yield "\n| kept in | pruned by | backups kept | longest chain | stored MB | in blocks MB |"
    yield "|---|---|--:|--:|--:|--:|"
    for label, keeper in decade["keepers"].items():
        chain = f"{keeper['longest']:,}" if keeper["chains"] else "-"
        yield (
            f"| {label} | {keeper['note']} | {keeper['kept']:,} | {chain} | "
            f"{keeper['stored'] / 1e6:,.1f} | {keeper['allocated'] / 1e6:,.1f} |"
        )
    yield "\n| restored | from | by | days older than wanted | read | wall s | CPU s | memory MB |"
    yield "|---|---|---|--:|--:|--:|--:|--:|"
    for (age, label, program), each in _middles(decade).items():
        read = f"{each['read']:,.0f}" if decade["keepers"][label]["chains"] else "-"
        yield (
            f"| {age} | {label} | {program} | {each['days_off']:.0f} | {read} | {_shown(each)} | "
            f"{each['cpu']:.2f} | {each['memory'] / 1e6:.0f} |"
        )


def _middles(decade: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, float]]:
    """Medians by age, keeper and program; ``broken`` is 1 for what was broken off."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for label, keeper in decade["keepers"].items():
        for each in keeper["restores"]:
            groups.setdefault((each["age"], label, each["program"]), []).append(each)
    ages = list(dict.fromkeys(age for age, _, _ in groups))
    return {
        what: {
            "wall": median(each["wall"] for each in groups[what]),
            "cpu": median(each["user"] + each["kernel"] for each in groups[what]),
            "memory": median(each["memory"] for each in groups[what]),
            "read": groups[what][0]["read"],
            "days_off": groups[what][0]["days_off"],
            "broken": float(any(each["exit"] for each in groups[what])),
        }
        for what in sorted(groups, key=lambda what: ages.index(what[0]))
    }


def _shown(each: dict[str, float]) -> str:
    return f"{'more than ' if each['broken'] else ''}{each['wall']:.2f}"


def _bars(decade: dict[str, Any]) -> dict[str, list[chart.Bar]]:
    labels = list(decade["keepers"])
    groups = {
        "stored": [
            chart.Bar(label, keeper["stored"], f"{keeper['stored'] / 1e6:,.0f} MB, {keeper['kept']:,} kept", number)
            for number, (label, keeper) in enumerate(decade["keepers"].items())
        ]
    }
    for (age, label, program), each in _middles(decade).items():
        by = label if program in label else f"{label}, by {program.partition(' ')[0]}"
        bar = chart.Bar(by, each["wall"], f"{_shown(each)} s", labels.index(label))
        groups.setdefault(f"restoring the {age} day", []).append(bar)
    return groups
