"""The pictures of a simulation as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from cya.cli import output
from cya.cli.simulate_plot import MARKS, place

_LEFT, _WIDTH, _ROW, _BAR = 90, 700, 18, 12
_COLOUR = "#2a6f97"


def drawn(title: str, ages: Sequence[float], sizes: Sequence[float]) -> str:
    """Return a picture: a line for each backup by its age, and a bar for each year.

    :param ages: in days.
    :param sizes: in bytes, one for each year; empty: without bars.
    """
    parts = [_text(_LEFT, 20, title, "bold"), _text(_LEFT - 8, 58, "backups", anchor="end")]
    parts.extend(_timeline(ages))
    height = 110
    if sizes:
        parts.append(_text(_LEFT, height, "room they take after each year", "bold"))
        parts.extend(_bars(sizes, height + 10))
        height += 20 + _ROW * len(sizes)
    size = f'width="{_LEFT + _WIDTH + 110}" height="{height}"'
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"


def _timeline(ages: Sequence[float]) -> Iterator[str]:
    oldest = max(ages)
    yield f'<rect x="{_LEFT}" y="38" width="{_WIDTH}" height="32" fill="#eef2f5"/>'
    for age in ages:
        x = _LEFT + place(age, oldest) * _WIDTH
        yield f'<rect x="{x - 0.5:.1f}" y="38" width="1" height="32" fill="{_COLOUR}"/>'
    for days, name in MARKS:
        if days <= oldest:
            yield _text(_LEFT + place(days, oldest) * _WIDTH, 86, name, anchor="middle")


def _bars(sizes: Sequence[float], top: int) -> Iterator[str]:
    most = max(sizes) or 1.0
    for year, size in enumerate(sizes, 1):
        y = top + _ROW * (year - 1)
        length = max(1.0, _WIDTH * size / most)
        yield _text(_LEFT - 8, y + _BAR - 1, f"year {year}", anchor="end")
        yield f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{_COLOUR}"/>'
        yield _text(_LEFT + length + 6, y + _BAR - 1, output.size(size))


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
