"""Tar headers: tarfile's, byte for byte."""

from __future__ import annotations

import os
import tarfile
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cya.format.tar_header import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    END,
    FIFO,
    MAX_EXTENDED,
    MAX_OWNER,
    REGULAR,
    SYMLINK,
    header,
    padding,
    size_bound,
)

Values = dict[str, Any]

pieces = st.sampled_from(
    [b"a", b"/", b"name", b"\n", b"n" * 31, b"long " * 20, "ä".encode(), "€𝄞".encode()]
) | st.sampled_from([b"\xff", b"\xed\xa0\x80", b"caf\xe9", b"\xc3"])
names = st.lists(pieces, max_size=8).map(b"".join) | st.binary(max_size=300).map(lambda name: name.replace(b"\0", b""))
owners = st.sampled_from([b"", b"root", b"u" * 32, b"u" * 33, "bjørn".encode(), b"\xf8"])


def near(limit: int) -> st.SearchStrategy[int]:
    """Numbers of all sizes, and those around what fits into a field."""
    return st.integers(0, 10**4) | st.sampled_from([limit - 1, limit, 2**63 - 1]) | st.integers(0, 2**63 - 1)


@st.composite
def members(draw: st.DrawFn) -> Values:
    """What a header is made of."""
    values: Values = {
        "name": draw(names),
        "kind": draw(st.sampled_from([b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"])),
        "mode": draw(st.integers(0, 0o7777)),
        "uid": draw(near(8**7)),
        "gid": draw(near(8**7)),
        "size": draw(near(8**11)),
        "mtime": draw(near(8**11)),
    }
    if draw(st.booleans()):
        values |= {"linkname": draw(names), "uname": draw(owners), "gname": draw(owners)}
    if values["kind"] in (b"3", b"4"):
        values |= {key: draw(st.integers(0, 8**7 - 1)) for key in ("devmajor", "devminor")}
    return values


def by_tarfile(values: Values) -> bytes:
    """Return the header that tarfile makes of the same values."""
    info = tarfile.TarInfo()
    for key, value in values.items():
        setattr(info, "type" if key == "kind" else key, value)
    for key in ("name", "linkname", "uname", "gname"):
        setattr(info, key, os.fsdecode(values.get(key, b"")))
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def plain(**changes: Any) -> Values:
    return {"name": b"a/b", "kind": b"0", "mode": 0o644, "uid": 0, "gid": 0, "size": 5, "mtime": 10**9, **changes}


CASES = [
    plain(),
    plain(name=b"n" * 100),
    plain(name=b"n" * 101),
    plain(name=b"d/" * 49 + b"n" * 40),
    plain(name=b"d" * 99, kind=DIRECTORY),
    plain(name=b"d" * 100, kind=DIRECTORY),
    plain(name=b"d/", kind=DIRECTORY),
    plain(name=b"", kind=DIRECTORY),
    plain(name="ä€𝄞".encode()),
    plain(name="ä".encode() * 80),
    plain(name=b"caf\xe9", uname="bjørn".encode()),
    plain(name="ä".encode(), linkname=b"\xed\xa0\x80\xff", kind=SYMLINK),
    plain(linkname=b"l" * 100, kind=SYMLINK),
    plain(linkname=b"l" * 101, kind=SYMLINK),
    plain(uname=b"u" * 32, gname=b"g" * 32),
    plain(uname=b"u" * 33, gname=b"g" * 33),
    plain(uid=8**7 - 1, gid=8**7 - 1, size=8**11 - 1, mtime=8**11 - 1),
    plain(uid=8**7, gid=2**32 - 2, size=8**11, mtime=8**11),
    plain(kind=CHARACTER, devmajor=8**7 - 1, devminor=8**7 - 1),
    plain(kind=BLOCK_DEVICE, devmajor=253, devminor=2**20),
    plain(kind=FIFO, devmajor=1, devminor=3),
    # Records whose length has one digit more because of its own digits: 99 is not possible, and 999.
    *(plain(name=b"n" * length) for length in (*range(80, 130), *range(980, 1000), *range(9980, 10000))),
    *(plain(uid=10**digits) for digits in range(7, 19)),
]


@pytest.mark.parametrize("values", CASES)
def test_a_header_is_tarfiles(values: Values) -> None:
    assert header(**values) == by_tarfile(values)


@given(members())
def test_any_header_is_tarfiles(values: Values) -> None:
    assert header(**values) == by_tarfile(values)


@given(members())
@example(CASES[-1])
def test_the_bound_of_the_size_is_kept(values: Values) -> None:
    size = len(header(**values))
    lengths = len(values["name"]), len(values["linkname"]) if "linkname" in values else 0
    assert size <= size_bound(*lengths, len(values.get("uname", b"") + values.get("gname", b"")))
    assert size <= size_bound(*lengths)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, MAX_OWNER), st.integers(0, MAX_OWNER))
@example(9980, 990, 984, 984)
def test_the_bound_of_the_size_is_kept_by_the_longest_values(name: int, link: int, user: int, group: int) -> None:
    most = 2**63 - 1
    made = header(
        *(b"\xff" * name, DIRECTORY, 0, most, most, most, most),
        linkname=b"\xff" * link,
        uname=b"\xff" * user,
        gname=b"\xff" * group,
    )
    assert 0 <= size_bound(name, link, user + group) - len(made) <= BLOCK


def test_the_blocks_are_whole() -> None:
    assert [padding(size) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
    assert len(END) == 1024
    assert not END.strip(b"\0")


@pytest.mark.parametrize(
    "changes",
    [
        *({key: -1} for key in ("mode", "uid", "gid", "size", "mtime")),
        *({key: 2**63} for key in ("uid", "gid", "size", "mtime")),
        {"mode": 0o10000},
        {"kind": b""},
        {"kind": b"x"},
        {"kind": b"00"},
        {"kind": b"\0"},
        *({"name": name} for name in (b"\0", b"a\0b", b"a\0", b"\xff\0", b"n" * 200 + b"\0")),
        *(
            {key: name}
            for key in ("linkname", "uname", "gname")
            for name in (b"\0", b"a\0", b"\xff\0", b"n" * 200 + b"\0")
        ),
        *({"kind": CHARACTER, key: number} for key in ("devmajor", "devminor") for number in (-1, 8**7)),
        {"uname": b"u" * (MAX_OWNER + 1)},
        {"gname": b"g" * (MAX_OWNER + 1)},
        {"name": b"n" * MAX_EXTENDED},
    ],
)
@pytest.mark.parametrize("name", [b"plain", b"long" * 100, b"\xff"])
def test_what_cannot_be_written_is_refused(name: bytes, changes: Values) -> None:
    with pytest.raises(ValueError, match=r"can(not)? be written into a tar header"):
        header(**plain(name=name) | changes)


def test_a_regular_file_is_the_default_of_tarfile() -> None:
    assert tarfile.REGTYPE == REGULAR
    assert (tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE) == (SYMLINK, CHARACTER, BLOCK_DEVICE)
    assert (tarfile.DIRTYPE, tarfile.FIFOTYPE) == (DIRECTORY, FIFO)
