"""Times as touch takes them."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cya.metadata import times
from tests.metadata.tools import run


@settings(max_examples=60, deadline=None)
@example(ns=-1)
@example(ns=-1_500_000_000)
@example(ns=0)
@given(ns=st.integers(-(2**31 - 1) * 10**9, 2**33 * 10**9) | st.integers(-3 * 10**9, 3 * 10**9))
def test_touch_sets_the_time_that_is_written(tmp_path_factory: pytest.TempPathFactory, ns: int) -> None:
    place = tmp_path_factory.mktemp("times")
    path = place / "f"
    path.touch()
    os.utime(path, ns=(0, ns))
    if path.stat().st_mtime_ns != ns:
        pytest.skip("this file system does not have nanoseconds")
    os.utime(path, ns=(0, 42))
    run(place, "touch", "-h", "-c", "-m", "-d", times.text(ns), "f")
    assert path.stat().st_mtime_ns == ns
    assert times.nanoseconds(times.text(ns)) == ns


@given(st.integers(-(2**63 - 1) * 10**9, (2**63 - 1) * 10**9))
def test_a_time_is_read_as_it_was_written(ns: int) -> None:
    assert times.nanoseconds(times.text(ns)) == ns


@pytest.mark.parametrize(
    ("text", "ns"), [(b"@1", 10**9), (b"@-1.5", -1_500_000_000), (b"@0.000000001", 1), (b"@-0.25", -250_000_000)]
)
def test_fewer_digits_are_read_too(text: bytes, ns: int) -> None:
    assert times.nanoseconds(text) == ns


@pytest.mark.parametrize(
    "text", [b"", b"1", b"@", b"@1.", b"@+1", b"@1.0000000001", b"@1e9", b"@ 1", b"@1\n", b"@" + b"9" * 19]
)
def test_what_is_not_a_time_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        times.nanoseconds(text)


@pytest.mark.parametrize(
    ("ns", "kind", "needed"),
    [
        (5 * 10**9, stat.S_IFREG, False),
        (5 * 10**9 + 1, stat.S_IFREG, True),
        (-(10**9), stat.S_IFREG, True),
        (0, stat.S_IFDIR, False),
        (1, stat.S_IFDIR, True),
        (5 * 10**9, stat.S_IFLNK, True),
        (5 * 10**9, stat.S_IFIFO, True),
        (5 * 10**9, stat.S_IFCHR, True),
        (5 * 10**9, stat.S_IFBLK, True),
        (5 * 10**9, stat.S_IFSOCK, True),
    ],
)
def test_a_time_is_kept_where_an_archive_or_stock_duplicity_loses_it(ns: int, kind: int, needed: bool) -> None:
    assert times.is_needed(ns, kind | 0o644) is needed
