"""Writes what was measured as a page with tables and charts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench import report_decade, report_peers, report_restores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("results", type=Path, nargs="?", default=Path("docs/benchmarks.json"))
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))


def run(arguments: argparse.Namespace) -> None:
    """Write the page again."""
    write(read(arguments.results), arguments.output)


def read(results: Path) -> dict[str, Any]:
    """Return what was measured before, by any bench; nothing where there is no such file."""
    try:
        found: dict[str, Any] = json.loads(results.read_text())
    except FileNotFoundError:
        return {"trees": {}, "runs": []}
    return found


def write(results: dict[str, Any], page: Path) -> None:
    """Write the page, and the charts beside it: of each bench what was measured last."""
    lines = ["# Benchmarks\n"]
    for part in (report_peers, report_restores, report_decade):
        lines += part.lines(results, page)
    page.write_text("\n".join(lines) + "\n")
