"""The part of the page that tells what ``peers`` measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bench import chart, report_head
from bench.tools import TOOLS

_ABOUT = {
    "system": "real system files",
    "large": "a few large files: half of them random, half like a data base's",
    "million": "generated files of up to 2 KiB in 1,000 directories",
}
_HOW = """\
Each tool makes an encrypted repository on the same disk, as its users do: cya by `cya backup` as a whole, with a local
archive (it is collected, too), a passphrase, and everything made sure to be on the disk; the others with their
defaults. Tools take turns within each round; every round begins with new repositories and the tree as it was first,
read once so that it is in memory. Times are medians of the rounds. Wall time ends with a `syncfs` of the repository.
CPU is of all processes, memory the largest sum of their proportional set sizes, stored what the repository holds after
the job. The last job changes 1 % of the files (half rewritten, the rest appended to, deleted or new) and 64 KiB in the
middle of the largest file; in the tree of large files 1 % of the pages of each second one.

Make it again: `tools/set-up bench && make bench BENCH_ARGS="peers --trees system large million"`.
"""


def lines(results: dict[str, Any], page: Path) -> Iterable[str]:
    """Yield the lines, and draw the chart beside the page; nothing where nothing was measured."""
    if not results["runs"]:
        return
    picture = page.with_suffix(".svg")
    picture.write_text(chart.drawn(_bars(_middles(results))))
    yield f"![Wall time of each tool as a multiple of cya's]({picture.name})\n"
    yield _HOW
    yield report_head.measured_on(results["machine"])
    yield from report_head.versions(results["tools"])
    for tree, counted in results["trees"].items():
        rounds = 1 + max(each["round"] for each in results["runs"] if each["tree"] == tree)
        yield f"\n## {tree}: {counted['files']:,} files, {counted['bytes'] / 1e9:.2f} GB\n"
        yield f"{_ABOUT[tree].capitalize()}. {rounds} round{'s' if rounds > 1 else ''}.\n"
        yield "| job | tool | wall s | x cya | CPU s | memory MB | stored MB |"
        yield "|---|---|--:|--:|--:|--:|--:|"
        for (where, job, tool), middle in _middles(results).items():
            if where == tree:
                yield (
                    f"| {job} | {TOOLS[tool].label} | {middle['wall']:.2f} | {middle['ratio']:.1f} | "
                    f"{middle['cpu']:.2f} | {middle['memory'] / 1e6:.0f} | {middle['stored'] / 1e6:,.1f} |"
                )


def _bars(middles: dict[tuple[str, str, str], dict[str, float]]) -> dict[str, list[chart.Bar]]:
    groups: dict[str, list[chart.Bar]] = {}
    for (tree, job, tool), middle in middles.items():
        text = f"{middle['ratio']:.1f} x ({middle['wall']:.1f} s)"
        bar = chart.Bar(TOOLS[tool].label, middle["ratio"], text, list(TOOLS).index(tool))
        groups.setdefault(f"{tree}: {job}", []).append(bar)
    return groups


def _middles(results: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, float]]:
    """Medians by tree, job and tool, and how many times as long as the first tool each took."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for each in results["runs"]:
        groups.setdefault((each["tree"], each["job"], each["tool"]), []).append(each)
    jobs = list(dict.fromkeys((tree, job) for tree, job, _ in groups))
    found = {}
    for tree, job in jobs:
        for tool in TOOLS:
            runs = groups.get((tree, job, tool))
            if runs:
                wall = median(each["wall"] for each in runs)
                own = groups.get((tree, job, next(iter(TOOLS))), runs)
                found[tree, job, tool] = {
                    "wall": wall,
                    "ratio": wall / median(each["wall"] for each in own),
                    "cpu": median(each["user"] + each["kernel"] for each in runs),
                    "memory": median(each["memory"] for each in runs),
                    "stored": median(each["stored"] for each in runs),
                }
    return found
