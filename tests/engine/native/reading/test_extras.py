"""Items are found by key in any order of asking, as a dictionary would find them."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cya.engine.native.reading.extras import NOTHING, Extras, Item, write

keys = st.lists(st.binary(min_size=1, max_size=2).filter(lambda name: not set(b"/\0") & set(name)), max_size=3).map(
    b"\0".join
)
items = st.builds(
    Item,
    mtime_ns=st.none() | st.integers(-(2**90), 2**90),
    attributes=st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=2).map(tuple),
    flags=st.integers(0, 2**32 - 1),
    size=st.integers(0, 2**62),
    group=st.none() | st.integers(0, 7),
    extents=st.none() | st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=2).map(tuple),
)


@given(st.dictionaries(keys, items, max_size=100), st.lists(keys, max_size=100))
def test_any_key_is_found_or_not_in_any_order(there: dict[bytes, Item], asked: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "extras"
        write(path, sorted(there.items()))
        with closing(Extras(path)) as found:
            for key in (*asked, *sorted(asked), *sorted(there), *sorted(there, reverse=True)):
                assert found.of(key) == there.get(key, NOTHING)
            assert list(found.items()) == sorted(there.items())
            assert list(found.backwards()) == sorted(there.items(), reverse=True)


def test_where_nothing_is_kept_nothing_is_found() -> None:
    with closing(Extras(None)) as found:
        assert found.of(b"a") == NOTHING
        assert list(found.items()) == []
