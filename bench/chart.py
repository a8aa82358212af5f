"""Draws bars: how many times as long as cya each tool takes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from bench.tools import TOOLS

_BAR, _GAP, _LEFT, _WIDTH, _RIGHT = 16, 3, 130, 520, 110
_COLOURS = ("#2a6f97", "#90a4ae", "#b0bec5", "#cfd8dc", "#e57373", "#ffb74d", "#aed581", "#ba68c8")


def drawn(middles: Mapping[tuple[str, str, str], Mapping[str, float]]) -> str:
    """Return an SVG picture.

    :param middles: by tree, job and tool: ``wall`` in seconds and ``ratio``.
    """
    parts: list[str] = []
    top = 10
    for tree, job in dict.fromkeys((tree, job) for tree, job, _ in middles):
        group = {tool: value for (where, what, tool), value in middles.items() if (where, what) == (tree, job)}
        longest = max(value["ratio"] for value in group.values())
        parts.append(_text(10, top + 14, f"{tree}: {job}", "bold"))
        top += 22
        for tool, value in group.items():
            length = max(1.0, _WIDTH * value["ratio"] / longest)
            colour = _COLOURS[list(TOOLS).index(tool) % len(_COLOURS)]
            parts.append(_text(_LEFT - 6, top + 12, TOOLS[tool].label, anchor="end"))
            parts.append(f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>')
            parts.append(_text(_LEFT + length + 6, top + 12, f"{value['ratio']:.1f} x ({value['wall']:.1f} s)"))
            top += _BAR + _GAP
        top += 12
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{top}"'
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
