"""Writes what each tool has kept as a page with a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench import report_head
from bench.kept_probes import PROBES, Outcome

if TYPE_CHECKING:
    from bench.keeping_what import Kept

_HOW = """\
# What is kept

A tree with all that a backup tends to lose, {paths:,} paths, was made on a file system of its own ({file_system}),
backed up once by each tool, and restored as a whole, as root, to a new file system of the same kind. What came back was
then looked at path by path, by code that belongs to none of them: "yes" means that all paths that have such a thing
have it again, exactly; a number, that so many of those paths have it; "no", that none has. What is missing altogether
counts in each row that it belongs to; but sockets, and what lies below paths longer than PATH_MAX, have rows of their
own and count in no other. Most tools complain of those paths, and so do not exit with 0.

The tree is `tests/awkward/`, the questions are `bench/kept_probes.py`. Make it again: `tools/set-up bench && make bench
BENCH_ARGS=kept`.
"""


def page(kept: Sequence[Kept], machine: Mapping[str, Any], paths: int) -> str:
    """Return the page.

    :param machine: as :func:`bench.machine.described` gives it.
    :param paths: how many the tree has.
    """
    return "\n".join(_lines(kept, machine, paths)) + "\n"


def _lines(kept: Sequence[Kept], machine: Mapping[str, Any], paths: int) -> Iterable[str]:
    yield _HOW.format(paths=paths, **machine)
    yield report_head.measured_on(machine)
    yield from dict.fromkeys(f"* {each.way.made_by.label}: {each.version}" for each in kept)
    yield "\n| | " + " | ".join(each.way.label for each in kept) + " |"
    yield "|---|" + "--:|" * len(kept)
    for probe in PROBES:
        yield f"| {probe.label} | " + " | ".join(_cell(each.outcomes[probe.label]) for each in kept) + " |"
    yield "\nBackups are made by the tools' defaults, as for [the benchmarks](benchmarks.md). Exit codes and options:\n"
    for each in kept:
        options = f", with `{' '.join(each.way.options)}`" if each.way.options else ""
        note = f" ({each.way.note})" if each.way.note else ""
        yield f"* {each.way.label}: backup {each.exits[0]}, restore {each.exits[1]}{options}{note}"


def _cell(outcome: Outcome) -> str:
    if outcome.kept == outcome.of:
        return "yes"
    return f"{outcome.kept} of {outcome.of}" if outcome.kept else "no"
