"""How a simulation is told: tables, pictures, facts for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cya import clock
from cya.cli import output, simulate_plot
from cya.tree import forecast
from cya.tree.estimate import DAY, Data
from cya.tree.forecast import Band, Moment
from cya.tree.retention import Policy


def title(policy: Policy, every: str, years: int) -> str:
    """Return a headline."""
    kept = ", ".join(f"{level} {number}" for level, number in policy.keep.items()) or "everything"
    return f"keep {kept}; every {every} for {years} years"


def tell(seen: Sequence[Moment], data: Data | None) -> None:
    """Print the tables and pictures."""
    rows = [
        [_age(band), f"{band.points}", _time(band.typical), _time(band.greatest), _time(band.worst)]
        for band in forecast.bands(seen)
    ]
    titles = ("age", "backups", "apart", "at most", "within a year")
    output.print_table(titles, rows, right=set(titles[1:]))
    print()
    for line in simulate_plot.timeline(ages(seen[-1])):
        print(line)
    longest = max(max(moment.lengths) for moment in seen)
    last = seen[-1]
    print(f"\nchains: the newest {last.lengths[-1]}, the longest {max(last.lengths)}, ever {longest} increments")
    print(f"directories: {last.directories}, at most {max(moment.directories for moment in seen)}")
    if data is not None:
        most = max(moment.bytes for moment in seen)
        print(f"room: about {output.size(last.bytes)}, at most {output.size(most)}\n")
        for line in simulate_plot.growth(yearly(seen, data)):
            print(line)


def facts(seen: Sequence[Moment], count: int, policy: Policy, data: Data | None) -> dict[str, Any]:
    """Return the same for programs."""
    last = seen[-1]
    return {
        "keep": dict(policy.keep),
        "made": count,
        "left": [clock.iso(end) for end in last.ends],
        "ages": [
            {
                "days": [band.least, band.most],
                "backups": band.points,
                "apart": band.typical,
                "apart_at_most": band.greatest,
                "apart_within_a_year": band.worst,
            }
            for band in forecast.bands(seen)
        ],
        "chain_newest": last.lengths[-1],
        "chain_longest": max(last.lengths),
        "chain_longest_ever": max(max(moment.lengths) for moment in seen),
        "directories": last.directories,
        "bytes": round(last.bytes) if data else None,
        "bytes_at_most": round(max(moment.bytes for moment in seen)) if data else None,
        "bytes_by_year": [round(size) for size in yearly(seen, data)],
    }


def ages(moment: Moment) -> list[float]:
    """Return how many days ago each backup was made that is left."""
    return [(moment.time - end) / DAY for end in moment.ends]


def yearly(seen: Sequence[Moment], data: Data | None) -> list[float]:
    """Return the bytes at the end of each year."""
    if data is None:
        return []
    years: dict[int, float] = {}
    for moment in seen:
        years[int((moment.time - seen[0].time) / (365 * DAY))] = moment.bytes
    return list(years.values())


def _age(band: Band) -> str:
    return f"{_days(band.least)} to {_days(band.most)}" if band.most < 10**6 else f"over {_days(band.least)}"


def _days(days: int) -> str:
    names = {0: "now", 7: "a week", 31: "a month", 92: "3 months", 365: "a year"}
    return names.get(days) or f"{days // 365} years"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds / DAY:.1f} days" if seconds >= DAY else f"{seconds / 3600:.1f} hours"
