"""What every part of the page says first: the machine and the programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.tools import TOOLS


def measured_on(machine: Mapping[str, Any]) -> str:
    """Return a sentence on the machine, as :func:`bench.machine.described` gives it."""
    return (
        f"Measured on {machine['date']}: {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory'] / 2**30:.0f} GiB, Linux {machine['kernel']}, {machine['file_system']}, "
        f"Python {machine['python']}.\n"
    )


def versions(tools: Mapping[str, str]) -> Iterable[str]:
    """Yield a line for each program, given by the name of the tool."""
    for name, version in tools.items():
        note = f" ({TOOLS[name].notes})" if TOOLS[name].notes else ""
        yield f"* {TOOLS[name].label}: {version}{note}"
