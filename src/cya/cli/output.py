"""How results are shown: sizes for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec


def print_json(value: Any) -> None:
    """Print a value as JSON, indented."""
    json.dump(msgspec.to_builtins(value), sys.stdout, indent=2)  # in ASCII: paths need not be valid UTF-8
    sys.stdout.write("\n")


def print_json_list(items: Iterable[Any], name: str = "", rest: Callable[[], Mapping[str, Any]] = dict) -> None:
    """Print a list as JSON, each item in a line of its own as soon as it is there: it may be of any length.

    An error in between leaves the list open, so that no program takes it for whole.

    :param name: makes it one key of an object.
    :param rest: the object's other keys, asked for at the end.
    """
    sys.stdout.write(f"{{{json.dumps(name)}: [" if name else "[")
    border = "\n"
    for item in items:
        sys.stdout.write(border + json.dumps(item))
        border = ",\n"
    sys.stdout.write("\n]")
    if name:
        sys.stdout.write("".join(f",\n{json.dumps(key)}: {json.dumps(value)}" for key, value in rest().items()) + "}")
    sys.stdout.write("\n")


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print rows in columns as wide as they need to be; the columns named in ``right`` are flush right.

    Plain text, since drawing 10 000 rows with Rich takes several seconds.
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = (
            cell.rjust(width) if title in right else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())


def size(number: float) -> str:
    """Return a number of bytes for people, in units of 1024: ``613.2 MiB``."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if abs(number) < 1024 or unit == units[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
