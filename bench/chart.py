"""Draws groups of bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_BAR, _GAP, _LEFT, _WIDTH, _RIGHT = 16, 3, 130, 520, 110
_COLOURS = ("#2a6f97", "#90a4ae", "#b0bec5", "#cfd8dc", "#e57373", "#ffb74d", "#aed581", "#ba68c8")


@dataclass(frozen=True)
class Bar:
    """A bar: what stands before it, its length in any unit, what stands behind it, the number of its colour."""

    label: str
    length: float
    text: str
    colour: int


def drawn(groups: Mapping[str, Sequence[Bar]], left: int = _LEFT) -> str:
    """Return an SVG picture of groups by their titles; the longest bar of each is as long as there is room.

    :param left: pixels for the labels.
    """
    parts: list[str] = []
    top = 10
    for title, bars in groups.items():
        longest = max(bar.length for bar in bars) or 1.0
        parts.append(_text(10, top + 14, title, "bold"))
        top += 22
        for bar in bars:
            length = max(1.0, _WIDTH * bar.length / longest)
            colour = _COLOURS[bar.colour % len(_COLOURS)]
            parts.append(_text(left - 6, top + 12, bar.label, anchor="end"))
            parts.append(f'<rect x="{left}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>')
            parts.append(_text(left + length + 6, top + 12, bar.text))
            top += _BAR + _GAP
        top += 12
    size = f'width="{left + _WIDTH + _RIGHT}" height="{top}"'
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
