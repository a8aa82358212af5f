"""``cya simulate``: what a policy comes to after years, before there is any data."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cya.archive.settings import calendar as calendar_of
from cya.cli import options, output, simulate_svg, simulated
from cya.cli.prune import keep_of
from cya.config import root as root_config
from cya.config.root import RootConfig
from cya.errors import OK, UsageError
from cya.tree import forecast
from cya.tree.estimate import DAY, Data
from cya.tree.levels import Calendar
from cya.tree.retention import Policy

EXIT = options.exit_status(_0="simulated", _2="wrong usage or config")

_MOST = 100_000
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])", re.ASCII)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?", re.ASCII)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%", re.ASCII)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"h": 3600, "d": DAY, "w": 7 * DAY}


def simulate(
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="LEVEL=N", help="As for cya prune; without it all is kept.", show_default=False),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="ROOT", help="Take levels and keep from this root.", show_default=False),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option("--levels", metavar="LEVEL,…", help="Levels, coarse to fine.", show_default=False),
    ] = None,
    every: Annotated[str, typer.Option("--every", metavar="T", help="A backup every T: 1d, 6h, 1w.")] = "1d",
    years: Annotated[int, typer.Option("--years", metavar="N", help="For so many years.")] = 10,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="S", help="Size of a full backup, as stored: 200G.", show_default=False),
    ] = None,
    change: Annotated[str, typer.Option("--change", metavar="P%", help="The share that changes in a day.")] = "1%",
    hot: Annotated[
        str, typer.Option("--hot", metavar="P%", help="The share that changes fall on again and again.")
    ] = "5%",
    growth: Annotated[
        str, typer.Option("--growth", metavar="S", help="What comes to it in a year, and stays: 20G.")
    ] = "0",
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into this file, too.", show_default=False)
    ] = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Show which backups a policy leaves after years: how many, how far apart, in how long chains, in how much room."""
    start = options.moment(now)
    config = root_config.load(root) if root is not None else RootConfig()
    tree = _calendar(config, levels)
    policy = _policy(config, keep, tree)
    step = _seconds(every)
    count = _count(years, step, start)
    data = _data(size, change, hot, growth)
    seen = list(forecast.moments(tree, policy, int(start.timestamp()), step, count, data))
    title = simulated.title(policy, every, years)
    if svg is not None:
        svg.write_text(simulate_svg.drawn(title, simulated.ages(seen[-1]), simulated.yearly(seen, data)))
    if json:
        output.print_json(simulated.facts(seen, count, policy, data))
    else:
        print(f"{title}: {count:,} backups made, {len(seen[-1].ends):,} left\n")
        simulated.tell(seen, data)
    return OK


def _calendar(config: RootConfig, levels: str | None) -> Calendar:
    if levels is None:
        return calendar_of(config)
    try:
        return Calendar(
            tuple(level.strip() for level in levels.split(",")), config.week_start, calendar_of(config).zone
        )
    except ValueError as error:
        raise UsageError(f"--levels {levels}: {error}") from None


def _policy(config: RootConfig, keep: list[str] | None, tree: Calendar) -> Policy:
    wanted = keep_of(keep) if keep else config.keep
    if foreign := [level for level in wanted if level not in tree.levels]:
        raise UsageError(f"--keep {foreign[0]}: the levels are {', '.join(tree.levels)}")
    return Policy(wanted)


def _seconds(every: str) -> int:
    found = _SPAN.fullmatch(every)
    if found is None:
        raise UsageError(f"--every {every!r}: expected a time such as 1d, 6h or 1w")
    return int(found[1]) * _SECONDS[found[2]]


def _count(years: int, step: int, start: datetime) -> int:
    if not 1 <= years <= 1000 or start.year + years > 9000:
        raise UsageError(f"--years {years}: expected 1 to 1000")
    count = years * 365 * DAY // step
    if not 2 <= count <= _MOST:
        raise UsageError(f"{count:,} backups: between 2 and {_MOST:,} can be simulated; change --every or --years")
    return count


def _data(size: str | None, change: str, hot: str, growth: str) -> Data | None:
    shares = [_share("--change", change), _share("--hot", hot)]
    added = _bytes("--growth", growth) / 365
    if size is None:
        return None
    if not shares[1] > 0:
        raise UsageError("--hot 0%: expected more than 0%")
    return Data(_bytes("--size", size), shares[0], max(shares), added)


def _bytes(option: str, text: str) -> float:
    found = _SIZE.fullmatch(text.upper().replace("I", ""))
    if found is None:
        raise UsageError(f"{option} {text!r}: expected a size such as 500M or 1.5T")
    return float(found[1]) * _UNITS[found[2]]


def _share(option: str, text: str) -> float:
    found = _SHARE.fullmatch(text)
    if found is None or float(found[1]) > 100:
        raise UsageError(f"{option} {text!r}: expected a share of 0% to 100%, such as 1.5%")
    return float(found[1]) / 100
