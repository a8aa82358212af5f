"""The part of the page that tells what ``restores`` measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bench import chart, report_head
from bench.tools import TOOLS

_NOTABLE = 0.05
_HOW = """
## Restoring

![Wall time of each tool's restore as a multiple of cya's]({picture})

Each tool restores from its own encrypted repository on the same disk: all of the tree, one small file that lies deep,
and a directory with about a thousand files; cya by `cya restore` as a whole, from a local archive. "Of 40" is the
newest of 40 backups, between which 1 % of the files changed each time; cya's and duplicity's are one chain. Before each
restore the repository is read once, so that it is in memory for all; each tool has the cache that its backups left. The
destination is a new file system each time. Tools take turns; times are medians of the rounds. Wall time ends with a
`syncfs` of the destination. What was restored is compared with what was backed up: contents, types, permissions,
owners, links, and whole seconds of mtimes; a wrong restore would end the run.

Make it again: `tools/set-up bench && make bench BENCH_ARGS=restores`.
"""


def lines(results: dict[str, Any], page: Path) -> Iterable[str]:
    """Yield the lines, and draw the chart beside the page; nothing where nothing was measured."""
    trees = results.get("restores", {})
    if not trees:
        return
    middles = {tree: _middles(measured["runs"]) for tree, measured in trees.items()}
    picture = page.with_name(f"{page.stem}-restores.svg")
    picture.write_text(chart.drawn(_bars(middles)))
    yield _HOW.format(picture=picture.name)
    for number, (tree, measured) in enumerate(trees.items()):
        if not number:
            yield report_head.measured_on(measured["machine"])
            yield from report_head.versions(measured["tools"])
        rounds = 1 + max(each["round"] for each in measured["runs"])
        yield f"\n### {tree}: {measured['files']:,} files, {measured['bytes'] / 1e9:.2f} GB\n"
        yield f"To {measured['runs'][0]['to']}. {rounds} round{'s' if rounds > 1 else ''}.{_load(measured)}\n"
        yield "| job | of | tool | wall s | x cya | CPU s | memory MB |"
        yield "|---|--:|---|--:|--:|--:|--:|"
        for (job, chain, tool), middle in middles[tree].items():
            yield (
                f"| {job} | {chain} | {TOOLS[tool].label} | {middle['wall']:.2f} | {middle['ratio']:.1f} | "
                f"{middle['cpu']:.2f} | {middle['memory'] / 1e6:.0f} |"
            )


def _load(measured: dict[str, Any]) -> str:
    """Say it where the machine was not ours alone: then times are too long, and ratios and CPU are what counts."""
    runs, cores = measured["runs"], measured["machine"]["cores"]
    # The kernel's threads that write to a loop device count as others, too.
    share = sum(each["foreign"] for each in runs) / sum(each["wall"] for each in runs) / cores
    return f" Meanwhile others used {share:.0%} of the machine." if share > _NOTABLE else ""


def _middles(runs: list[dict[str, Any]]) -> dict[tuple[str, int, str], dict[str, float]]:
    """Medians by job, length of the chain and tool, and how many times as long as the first tool each took."""
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for each in runs:
        groups.setdefault((each["job"], each["chain"], each["tool"]), []).append(each)
    first, found = next(iter(TOOLS)), {}
    for job, chain in dict.fromkeys((job, chain) for job, chain, _ in groups):
        for tool in TOOLS:
            if (job, chain, tool) in groups:
                group = groups[job, chain, tool]
                own = groups.get((job, chain, first), group)
                wall = median(each["wall"] for each in group)
                found[job, chain, tool] = {
                    "wall": wall,
                    "ratio": wall / median(each["wall"] for each in own),
                    "cpu": median(each["user"] + each["kernel"] for each in group),
                    "memory": median(each["memory"] for each in group),
                }
    return found


def _bars(trees: dict[str, dict[tuple[str, int, str], dict[str, float]]]) -> dict[str, list[chart.Bar]]:
    groups: dict[str, list[chart.Bar]] = {}
    for tree, middles in trees.items():
        for (job, chain, tool), middle in middles.items():
            text = f"{middle['ratio']:.1f} x ({middle['wall']:.1f} s)"
            bar = chart.Bar(TOOLS[tool].label, middle["ratio"], text, list(TOOLS).index(tool))
            groups.setdefault(f"{tree}: {job}, of {chain}", []).append(bar)
    return groups
