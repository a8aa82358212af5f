"""Tars are read as tarfile reads them; damaged ones are refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cya.format.tar_header import BLOCK, END, MAX_EXTENDED, header, padding
from cya.format.tar_reader import Member, TarError, TarReader
from tests.format.stock import FIRST, FULL, Backup, change, plant
from tests.format.test_tar_header import Values, by_tarfile, members

T = 10**9
WITH_DATA = (b"0", b"7")
Format = Literal[0, 1, 2]
FORMATS: dict[str, Format] = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}

Read = list[tuple[Member, bytes]]


def read(data: bytes, at_once: int | None = None) -> Read:
    """Read all members and their data, from an input that gives so many bytes at once."""
    file = io.BytesIO(data)
    reader = TarReader(lambda size: file.read(min(size, at_once or size)))
    return [(member, reader.read_data(1 << 24)) for member in reader]


def by_tarfile_read(data: bytes) -> list[tuple[object, ...]]:
    """Give what tarfile reads, as :func:`comparable` does."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for info in tar:
            # At which kinds and formats it takes slashes off a name's end differs by the version.
            names = [os.fsencode(text) for text in (info.name.rstrip("/"), info.linkname, info.uname, info.gname)]
            file = tar.extractfile(info) if info.isreg() else None
            content = file.read() if file else b""
            size = info.size if info.isreg() else 0
            numbers = (info.mode, info.uid, info.gid, size, int(info.mtime), info.devmajor, info.devminor)
            found.append((info.type, *names, *numbers, info.offset_data, content))
    return found


def comparable(found: Read) -> list[tuple[object, ...]]:
    """Leave out what tarfile does not tell: slashes at the end of a name."""
    return [
        (
            *(each.kind, each.name.rstrip(b"/"), each.linkname, each.uname, each.gname),
            *(each.mode, each.uid, each.gid, each.size, each.mtime, each.devmajor, each.devminor, each.offset, content),
        )
        for each, content in found
    ]


def info(name: str = "a", **values: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(made, key, value)
    return made


def tar_of(*infos: tarfile.TarInfo, form: Format = tarfile.PAX_FORMAT) -> bytes:
    """Write members, each with as many bytes as its size says."""
    blocks = [one.tobuf(form, "utf-8", "surrogateescape") + b"d" * one.size + bytes(padding(one.size)) for one in infos]
    return b"".join(blocks) + END


def block(name: bytes, length: int, **fields: bytes) -> bytes:
    """Make a header and put other bytes into its fields, with the right checksum."""
    places = {"mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "kind": 156, "magic": 257, "prefix": 345}
    made = bytearray(header(name, b"0", 0o644, 0, 0, length, T))
    for key, value in fields.items():
        made[places[key] : places[key] + len(value)] = value
    return summed(made)


def summed(made: bytearray) -> bytes:
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def extended(kind: bytes, data: bytes) -> bytes:
    return block(b"././@x", len(data), kind=kind) + data + bytes(padding(len(data)))


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    length += len(str(length + len(str(length))))
    return b"%d %b=%b\n" % (length, key, value)


def only(data: bytes) -> Member:
    ((member, _),) = read(data)
    return member


@given(st.lists(members(), max_size=4), st.sampled_from([None, 1, 511, 513, 1000]))
def test_what_is_written_is_read(values: list[Values], at_once: int | None) -> None:
    for number, each in enumerate(values):
        each["size"] %= 3000
        each["mtime"] %= 2**53  # tarfile reads times as floating point
        each["name"] = each["name"] or b"%d" % number
    data = b"".join(
        header(**each) + (b"d" * each["size"] + bytes(padding(each["size"])) if each["kind"] in WITH_DATA else b"")
        for each in values
    )
    found = read(data + END, at_once)
    assert comparable(found) == by_tarfile_read(data + END)
    for (member, content), each in zip(found, values, strict=True):
        size = each["size"] if each["kind"] in WITH_DATA else 0
        name = each["name"] + (b"/" if each["kind"] == b"5" and not each["name"].endswith(b"/") else b"")
        expected = {"linkname": b"", "uname": b"", "gname": b"", "devmajor": 0, "devminor": 0, **each}
        assert member._asdict() == {**expected, "size": size, "name": name, "offset": member.offset}
        assert content == b"d" * size


@given(st.lists(members(), min_size=1, max_size=4), st.sampled_from(sorted(FORMATS)))
@example([{"name": b"/", "kind": b"0", "mode": 0, "uid": 0, "gid": 0, "size": 0, "mtime": 0}], "gnu")
def test_every_format_of_tarfile_is_read_as_tarfile_does(values: list[Values], form: str) -> None:
    blocks = []
    for each in values:
        one = info(**{"type" if key == "kind" else key: value for key, value in each.items()})
        one.size = one.size % 3000 if each["kind"] in WITH_DATA else 0
        one.mtime %= 2**53
        for key in ("name", "linkname", "uname", "gname"):
            setattr(one, key, os.fsdecode(each.get(key, b"")))
        one.name = one.name or "empty"
        with suppress(ValueError):  # what ustar has no room for
            blocks.append(
                one.tobuf(FORMATS[form], "utf-8", "surrogateescape") + b"d" * one.size + bytes(padding(one.size))
            )
    data = b"".join(blocks) + END
    assert comparable(read(data)) == by_tarfile_read(data)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["a", "d" * 90 + "/" + "n" * 90, "d/" * 60 + "ä" * 20, "x\udcff/y"])
def test_names_are_those_on_the_disk(form: str, name: str) -> None:
    member = only(tar_of(info(name, type=tarfile.DIRTYPE, uname="u", gname="g"), form=FORMATS[form]))
    assert (member.name, member.uname, member.gname) == (os.fsencode(name) + b"/", b"u", b"g")


@pytest.mark.parametrize("form", ["pax", "gnu"])
def test_large_and_negative_numbers_are_read(form: str) -> None:
    made = info(uid=2**32 - 2, gid=8**7, mtime=-5, linkname="l" * 300, type=tarfile.SYMTYPE, name="n" * 300)
    member = only(tar_of(made, form=FORMATS[form]))
    assert member[:8] == (b"n" * 300, b"2", 0o644, 2**32 - 2, 8**7, 0, -5, b"l" * 300)


def test_a_large_size_is_read() -> None:
    for form in ("pax", "gnu"):
        data = info(size=8**12).tobuf(FORMATS[form], "utf-8", "surrogateescape")
        assert next(iter(TarReader(io.BytesIO(data).read))).size == 8**12


def test_python_2_wrote_negative_times_without_a_sign() -> None:
    written = b"\x80" + (2**64 - 5).to_bytes(11, "big")
    assert only(block(b"a", 0, mtime=written) + END).mtime == -5


@pytest.mark.parametrize(
    ("value", "time"),
    [(b"5", 5), (b"5.9", 5), (b"-5.9", -5), (b"-0.5", 0), (b"7.", 7), (b"1e-05", 0), (b"1.5e+17", 15 * 10**16)],
)
def test_times_are_cut_to_the_second(value: bytes, time: int) -> None:
    assert only(extended(b"x", record(b"mtime", value)) + block(b"a", 0) + END).mtime == time


def test_global_records_are_for_all_that_follow_and_give_way_to_the_members_own() -> None:
    data = b"".join(
        [
            extended(b"g", record(b"uname", b"all") + record(b"comment", b"\xff\0") + record(b"uid", b"7")),
            block(b"a", 0),
            extended(b"x", record(b"uname", b"one") + record(b"uid", b"")),
            block(b"b", 0),
            block(b"c", 0),
            END,
        ]
    )
    assert [(member.uname, member.uid) for member, _ in read(data)] == [(b"all", 7), (b"one", 0), (b"all", 7)]


def test_old_kinds_and_prefixes_are_read() -> None:
    old = [block(b"file", 3, kind=b"\0") + b"abc" + bytes(509), block(b"dir/", 0, kind=b"\0")]
    assert [(each.kind, each.name) for each, _ in read(b"".join(old) + END)] == [(b"0", b"file"), (b"5", b"dir/")]
    assert only(block(b"n", 0, prefix=b"a/b") + END).name == b"a/b/n"
    assert only(block(b"n", 0, prefix=b"14000000000", magic=b"ustar  \0") + END).name == b"n"


def test_a_sum_of_signed_bytes_is_right_too() -> None:
    made = bytearray(block(b"xx", 0))
    made[:2] = b"\xff\xfe"
    assert only(summed(made)).name == b"\xff\xfe"
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % (sum(made) - 512)
    assert only(bytes(made)).name == b"\xff\xfe"


def test_data_are_taken_once_copied_or_skipped() -> None:
    data = tar_of(*(info(str(number), size=300_000) for number in range(4)))
    reader = TarReader(io.BytesIO(data).read)
    with pytest.raises(RuntimeError):
        reader.read_data(10)
    members = iter(reader)
    next(members)
    with pytest.raises(TarError, match=r"offset 512: 300000 bytes of data where 299999 are the most"):
        reader.read_data(299_999)
    pieces: list[bytes] = []
    reader.copy_data(pieces.append)
    assert b"".join(pieces) == b"d" * 300_000
    with pytest.raises(RuntimeError):
        reader.copy_data(pieces.append)
    next(members)
    assert next(members).name == b"2"
    assert reader.read_data(300_000) == b"d" * 300_000
    assert [member.name for member in reader] == [b"3"]
    assert list(reader) == []
    with pytest.raises(RuntimeError):
        reader.read_data(10)


@given(
    st.lists(st.tuples(members(), st.booleans()), max_size=6),
    st.sampled_from([None, 1, 511, 513, 1000]),
    st.sampled_from(sorted(FORMATS)),
)
def test_what_is_passed_over_leaves_the_rest_as_it_is(
    values: list[tuple[Values, bool]], at_once: int | None, form: str
) -> None:
    blocks = []
    for number, (each, is_wanted) in enumerate(values):
        one = info(**{"type" if key == "kind" else key: value for key, value in each.items()})
        one.size = one.size % 3000 if each["kind"] in WITH_DATA else 0
        one.mtime %= 2**53
        for key in ("linkname", "uname", "gname"):
            setattr(one, key, os.fsdecode(each.get(key, b"")))
        # In front, so that it is what the block itself says of a name that goes on in another header.
        one.name = f"{'wanted' if is_wanted else 'other'}{number}/{os.fsdecode(each['name'])}"
        with suppress(ValueError):  # what ustar has no room for
            blocks.append(
                one.tobuf(FORMATS[form], "utf-8", "surrogateescape") + b"d" * one.size + bytes(padding(one.size))
            )
    data = b"".join(blocks) + END
    asked: list[bytes] = []

    def passed(name: bytes) -> bool:
        asked.append(name)
        return not name.startswith(b"wanted")

    file = io.BytesIO(data)
    reader = TarReader(lambda size: file.read(min(size, at_once or size)), passed)
    found = [(member, reader.read_data(1 << 24)) for member in reader]
    everything = read(data)
    assert found == [each for each in everything if each[0].name.startswith(b"wanted")]
    assert set(asked) == {member.name for member, _ in everything}


def test_of_what_is_passed_over_only_what_has_to_be_known_is_looked_at() -> None:
    data = bytearray(tar_of(info("a", size=3000), info("b"), info("c")))
    data[3584 + 150] ^= 1
    with pytest.raises(TarError, match="offset 3584: the checksum"):
        read(bytes(data))
    assert [member.name for member in TarReader(io.BytesIO(data).read, lambda name: name != b"c")] == [b"c"]
    with pytest.raises(TarError, match="offset 3584: the checksum"):
        list(TarReader(io.BytesIO(data).read, lambda name: name == b"c"))


def test_it_ends_at_the_first_zero_block_or_with_the_input() -> None:
    one = tar_of(info(size=5))[: -len(END)]
    assert len(read(one)) == len(read(one + bytes(512) + b"anything")) == 1
    assert read(b"") == read(END) == []


LONG = extended(b"L", b"n" * 200 + b"\0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x" * 100, r"offset 100: cut off within a header"),
        (b"x" * 512, r"offset 0: the checksum"),
        (block(b"a", 5) + b"abc", r"offset 515: cut off within data"),
        (block(b"a", 5) + b"abcde", r"offset 517: cut off within data"),
        (LONG, r"offset 1024: cut off within a header"),
        (LONG + END, r"offset 1024: the end"),
        (LONG[:600], r"offset 600: cut off within an extended header"),
        (LONG * 9 + block(b"a", 0), r"offset 8192: too many"),
        (extended(b"L", b"a\0b\0"), r"offset 0: a zero byte"),
        (extended(b"x", b"n" * (MAX_EXTENDED + 1)), r"offset 0: an extended header of 1048577 bytes"),
        (block(b"a", 0, kind=b"S"), r"offset 0: a sparse file"),
        *(
            (block(b"a", 0, **{key: value}), r"offset 0: .* number")
            for key in ("mode", "uid", "gid", "size")
            for value in (b"8", b"+1", b"0 1", b"0_1", b"-000001\0", b"\xff" * 8, b"0x1")
        ),
        (block(b"a", 0, mtime=b"9"), r"offset 0: .* not a number"),
        (block(b"a", 0, mtime=b"\x80" + b"\xff" * 11), r"offset 0: .* 64 bits"),
        *(
            (extended(b"x", records) + block(b"a", 0) + END, r"offset \d+: ")
            for records in (
                *(b"x", b"5", b"5 a=b", b"0 a=\n", b"3 \n", b"2 a=\n", b"99 a=b\n", b"5 ab\n", b"5 =b\n", b"6 a=bcd\n"),
                *(b"9" * 5000, b"\0x", b"6 a=b\n\0x", record(b"path", b"a\0b"), record(b"uid", b"9" * 5000)),
                *(record(key, b"-1") for key in (b"uid", b"gid", b"size")),
                *(record(b"mtime", value) for value in (b"nan", b"inf", b"1e99", b"9" * 20, b"1_0", b" 1", b"x")),
            )
        ),
    ],
)
def test_what_is_damaged_is_refused_and_the_offset_named(data: bytes, reason: str) -> None:
    reader = TarReader(io.BytesIO(data).read)
    with pytest.raises(TarError, match=r"^tar, " + reason):
        list(reader)
    with pytest.raises(TarError, match=reason):
        list(reader)


def test_what_the_input_raises_goes_through() -> None:
    def fail(size: int) -> bytes:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        list(TarReader(fail))


GOOD = tar_of(
    info("plain", size=700), info("n" * 300, uid=2**31, mtime=1.5), info("x\udcff", linkname="ä", type=tarfile.SYMTYPE)
) + tar_of(info("n" * 300, linkname="l" * 300, uid=2**31), form=tarfile.GNU_FORMAT)
GOOD = GOOD.replace(END, b"", 1) if GOOD.count(END) > 1 else GOOD


@given(st.binary(max_size=2000))
def test_anything_is_read_or_refused(data: bytes) -> None:
    with suppress(TarError):
        read(data)


@given(st.binary(max_size=600), st.sampled_from([b"x", b"g", b"L", b"K"]))
@example(b"11 path=\xff\n", b"x")
def test_anything_in_an_extended_header_is_read_or_refused(data: bytes, kind: bytes) -> None:
    with suppress(TarError):
        (member, _) = read(extended(kind, data) + block(b"a", 0) + END)[0]
        assert b"\0" not in member.name + member.linkname


def test_a_flipped_byte_is_noticed_in_every_header_and_harms_nothing_elsewhere() -> None:
    good = read(GOOD)
    headers = [at for at in range(0, len(GOOD), BLOCK) if GOOD[at + 257 : at + 262] == b"ustar"]
    assert len(headers) > 5
    for at in range(len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[at] ^= 0x41
        try:
            found = read(bytes(damaged))
        except TarError:
            continue
        # A checksum's last two bytes are blanks, and do not count.
        assert at - at % BLOCK not in headers or at % BLOCK in (154, 155), at
        assert len(found) <= len(good)


def test_a_tar_that_is_cut_off_is_refused_or_gives_its_first_members() -> None:
    good = read(GOOD)
    for length in range(0, len(GOOD), 7):
        with suppress(TarError):
            found = read(GOOD[:length])
            assert found == good[: len(found)]


def awkward(source: Path) -> None:
    """Add what is hard to write into a header."""
    root = os.fsencode(source)
    long = os.path.join(root, b"d" * 120, b"\xc3" * 60, b"e" * 100)
    os.makedirs(long)
    for name in (b"n" * 255, "ä".encode() * 127, b"\xff" * 255, b"f" * 42, b"f" * 43):
        with open(os.path.join(long, name), "wb") as file:
            file.write(name)
    for target in (b"t" * 100, b"t" * 101, b"\xff" * 4000, "€".encode() * 50):
        os.symlink(target, os.path.join(root, b"link%d" % len(target)))
    os.mkfifo(os.path.join(root, b"fifo"), 0o640)
    with open(os.path.join(root, b"owned"), "wb") as file:
        file.write(b"o" * 1000)
    if os.geteuid() == 0:
        os.chown(os.path.join(root, b"owned"), 3_000_000_000, 2_500_000)


def test_stocks_tars_are_read_and_their_headers_made_again(backup: Backup) -> None:
    plant(backup.source)
    awkward(backup.source)
    backup.increment("full", FULL)
    change(backup.source)
    backup.increment("incremental", FIRST)
    seen: set[bytes] = set()
    for path in sorted([*backup.target.glob("*.sigtar.gz"), *backup.target.glob("*.difftar.gz")]):
        data = gzip.decompress(path.read_bytes())
        found = read(data)
        assert comparable(found) == by_tarfile_read(data)
        end = 0
        for member, _ in found:
            values = member._asdict()
            values.pop("offset")
            assert header(**values) == by_tarfile(values) == data[end : member.offset]
            end = member.offset + member.size + padding(member.size)
            seen.add(member.name)
        assert not data[end:].strip(b"\0")
    assert {b"signature/owned", b"snapshot/owned", b"snapshot/fifo", b"deleted/names/a b"} <= seen
    assert any(name.endswith(b"\xff" * 255) for name in seen)
