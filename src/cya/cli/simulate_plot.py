"""Pictures of a simulation for a terminal: where the backups lie, and how the room they take grows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cya.cli import output

WIDTH = 72
_SHADES = " ░▒▓█"
_DAY = 86400
MARKS = ((1, "1 d"), (7, "1 w"), (30, "1 m"), (365, "1 y"), (3652, "10 y"), (10957, "30 y"))
"""Days that are named on the axis."""


def place(days: float, oldest: float) -> float:
    """Return where an age lies on a logarithmic axis, from 0 (half a day) to 1 (the oldest)."""
    return math.log(max(days, 0.5) / 0.5) / math.log(max(oldest, 1.0) / 0.5)


def timeline(ages: Sequence[float]) -> Iterator[str]:
    """Yield lines that show by their shade how many backups there are of each age; ages are in days."""
    oldest = max(ages)
    counts = [0] * WIDTH
    for age in ages:
        counts[min(WIDTH - 1, int(place(age, oldest) * WIDTH))] += 1
    most = max(counts)
    shades = (_SHADES[math.ceil(count / most * (len(_SHADES) - 1))] for count in counts)
    yield f"|{''.join(shades)}|"
    axis = [" "] * (WIDTH + 2)
    for days, name in MARKS:
        at = 1 + int(place(days, oldest) * WIDTH)
        if days <= oldest and at + len(name) < len(axis) and set(axis[at - 1 : at + len(name)]) <= {" "}:
            axis[at : at + len(name)] = name
    yield "".join(axis).rstrip()


def growth(sizes: Sequence[float]) -> Iterator[str]:
    """Yield a bar for each year; sizes are in bytes."""
    most = max(sizes) or 1.0
    for year, size in enumerate(sizes, 1):
        eighths = round(size / most * 8 * (WIDTH - 20))
        bar = "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]
        yield f"year {year:>3}  {output.size(size):>10}  {bar}"
