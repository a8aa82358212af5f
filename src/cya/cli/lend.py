"""``cya lend``: let a client read a backup of its own for some time; or show what is lent."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from cya import clock
from cya.archive import lend as archive
from cya.archive import lent
from cya.archive.lend import Lent
from cya.archive.records import Loan
from cya.cli import options, output
from cya.cli.add_client import HostConfig
from cya.cli.clients import all_roots, root_of
from cya.errors import OK, CyaError, UsageError
from cya.tree import layout

EXIT = options.exit_status(
    _0="lent; or listed (also when nothing is lent)",
    _1="it failed: there is no backup from that time, the root is not there, …",
    _2="wrong usage or config",
    _12="another run is at work on the root",
    _13="the backup is not whole",
)

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=366)


def lend(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The client's name, or its root.", show_default=False)
    ] = None,
    time: Annotated[
        str, typer.Option("--time", metavar="T", help="The newest backup up to T; a date means the end of that day.")
    ] = "now",
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 30m, 48h, 7d.")] = "48h",
    wants_list: Annotated[bool, typer.Option("--list", help="Show what is lent, and lend nothing.")] = False,
    config: HostConfig = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Let a client read one backup, with all that it is restored from, in its outgoing/; collect takes it back in time.

    Lent again, the same backup has the new time. The archive never has a key: what it lends is encrypted.
    """
    moment = options.moment(now)
    if wants_list:
        return _list([root_of(name, config)] if name is not None else all_roots(config), moment, json=json)
    if name is None:
        raise UsageError("give the NAME of the client to lend to, or --list")
    length = parse_duration(duration)
    until = clock.parse(time, moment, end_of_day=True)
    done = archive.lend(root_of(name, config), until, length, moment)
    if json:
        output.print_json(_facts(done.root, done.loan, moment) | {"files": done.files, "bytes": done.bytes})
    else:
        _tell(name, done)
    for each in done.damaged:
        print(f"cya: {done.root.name}: {each}: cya check has found it damaged, in every directory", file=sys.stderr)
    return OK


def parse_duration(text: str) -> timedelta:
    """Read how long something is lent.

    :raises UsageError: when it is no duration, or a longer one than a year.
    """
    found = _DURATION.fullmatch(text.strip())
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if length is None or length > _LONGEST:
        raise UsageError(f"--for {text!r}: expected a duration such as 30m, 48h or 7d, 366d at most")
    return length


def _list(roots: list[Path], now: datetime, *, json: bool) -> int:
    found: list[tuple[Path, Loan]] = []
    code = OK
    for root in roots:
        try:
            found += [(root, loan) for loan in lent.loans_of(root)]
        except CyaError as error:
            print(f"cya: {error}", file=sys.stderr)
            code = error.exit_code
    if json:
        output.print_json([_facts(root, loan, now) for root, loan in found])
    elif found:
        titles = ["client", "loan", "backup", "chain", "lent until", ""]
        rows = [
            [
                root.resolve().name,
                loan.name,
                clock.local(loan.end),
                str(len(loan.chain)),
                clock.local(loan.expires),
                "over: collect takes it back" if _is_over(loan, now) else "",
            ]
            for root, loan in found
        ]
        output.print_table(titles, rows, right={"chain"})
    elif code == OK:
        print("Nothing is lent.")
    return code


def _is_over(loan: Loan, now: datetime) -> bool:
    return loan.expires <= int(now.timestamp())


def _facts(root: Path, loan: Loan, now: datetime) -> dict[str, Any]:
    return {
        "client": root.resolve().name,
        "loan": loan.name,
        "path": str(root / layout.OUTGOING / loan.name),
        "time": clock.iso(loan.end),
        "chain_length": len(loan.chain),
        "lent": clock.iso(loan.lent),
        "expires": clock.iso(loan.expires),
        "over": _is_over(loan, now),
    }


def _tell(name: str, done: Lent) -> None:
    loan = done.loan
    before = f" (and was until {clock.local(done.before)})" if done.before is not None else ""
    print(
        f"{done.root.name} may read the backup of {clock.local(loan.end)} until {clock.local(loan.expires)}{before}.\n"
        f"It has {done.files} files, {output.size(done.bytes)}, in {layout.OUTGOING}/{loan.name}.\n"
        f"To take it back before that: cya return {shlex.quote(name)} {loan.name}"
    )
