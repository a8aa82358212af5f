"""What is searched for in a file of pairs is what reading all of it would have found."""

from __future__ import annotations

import io
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.metadata.records import dotted, key_of_dotted, pairs
from cya.metadata.searching import pairs_of

names = (
    st.text("ab./-0 \n", min_size=1, max_size=3)
    .map(str.encode)
    .filter(lambda name: name not in (b".", b"..") and b"/" not in name)
)
keys = st.lists(names, max_size=4).map(b"\0".join)


def lies_in(key: bytes, top: bytes) -> bool:
    return key == top or key.startswith(top + b"\0")


@given(st.sets(keys, max_size=30), st.sets(keys.filter(bool), min_size=1, max_size=3), st.integers(0, 2))
def test_it_is_what_reading_all_of_it_would_find(there: set[bytes], wanted: set[bytes], times: int) -> None:
    chosen = sorted(key for key in wanted if not any(key != other and lies_in(key, other) for other in wanted))
    content = b"".join(b"@%d.5\0%b\0" % (times, dotted(key)) for key in sorted(there))
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        found = list(pairs_of(file, chosen))
    expected = [
        pair for pair in pairs(io.BytesIO(content)) if any(lies_in(key_of_dotted(pair[1]), key) for key in chosen)
    ]
    assert found == expected


def test_what_is_cut_off_is_named() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"@1.5\0./a\0@1.5\0./a/b")
        file.flush()
        with pytest.raises(ValueError, match="cut off"):
            list(pairs_of(file, [b"a"]))
