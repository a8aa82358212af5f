"""File names of all styles for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from cya.format.names import MAX_VOLUME, FileName, Kind, OldStyle, Style
from cya.format.times import EARLIEST, LATEST

times = st.integers(EARLIEST, LATEST)
recent = st.integers(0, 2**33)


@st.composite
def file_names(draw: st.DrawFn) -> FileName:
    """Every name that can be made, years that no clock shows included."""
    style: Style | OldStyle = draw(st.sampled_from(Style) | st.just(OldStyle(())))
    time = times if style is Style.CURRENT else recent
    start = draw(st.none() | time)
    kinds = set(Kind) - ({Kind.STATISTICS} if style is Style.SHORT else set())
    kind = draw(st.sampled_from(sorted(kinds, key=str)))
    suffixes = [b"", b".gz", b".gpg"] + ([] if style is Style.SHORT else [b".p7m"])
    if isinstance(style, OldStyle):
        offsets = st.integers(-23 * 60, 23 * 60 + 59)
        count = 1 if start is None else 2
        style = OldStyle(
            tuple(draw(st.lists(offsets, min_size=count, max_size=count))),
            draw(st.sampled_from([b":", b"_", b".", b"+"])),
        )
    return FileName(
        kind=kind,
        start=start,
        end=draw(time),
        volume=draw(st.integers(1, MAX_VOLUME)) if kind is Kind.VOLUME else None,
        suffix=draw(st.sampled_from(suffixes)),
        partial=draw(st.booleans()),
        style=style,
    )
