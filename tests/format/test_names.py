"""File names: what is read, what is foreign, and that each has one way of writing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cya.format.names import (
    MAX_VOLUME,
    FileName,
    Kind,
    OldStyle,
    Style,
    make,
    manifest,
    parse,
    parse_strict,
    sigtar,
    volume,
)
from cya.format.times import EARLIEST, LATEST
from tests.format.strategies import file_names

NOON = 1354449600
FULL_VOLUME = b"duplicity-full.20121202T120000Z.vol1.difftar.gpg"
INC_VOLUME = b"duplicity-inc.20121202T120000Z.to.20121203T120000Z.vol12.difftar.gz"

KNOWN = {
    FULL_VOLUME: FileName(Kind.VOLUME, None, NOON, 1, b".gpg"),
    INC_VOLUME: FileName(Kind.VOLUME, NOON, NOON + 86400, 12, b".gz"),
    b"duplicity-full.20121202T120000Z.manifest": FileName(Kind.MANIFEST, None, NOON),
    b"duplicity-inc.20121202T120000Z.to.20121203T120000Z.manifest.gpg": FileName(
        Kind.MANIFEST, NOON, NOON + 86400, suffix=b".gpg"
    ),
    b"duplicity-full-signatures.20121202T120000Z.sigtar.p7m": FileName(Kind.SIGTAR, None, NOON, suffix=b".p7m"),
    b"duplicity-new-signatures.20121202T120000Z.to.20121203T120000Z.sigtar.part": FileName(
        Kind.SIGTAR, NOON, NOON + 86400, partial=True
    ),
    b"duplicity-inc.20121202T120000Z.to.20121203T120000Z.jsonstat.gz": FileName(
        Kind.STATISTICS, NOON, NOON + 86400, suffix=b".gz"
    ),
    b"df.m1f1g0.1.dt.g": FileName(Kind.VOLUME, None, 1332637200, 1, b".gpg", style=Style.SHORT),
    b"di.m1f1g0.m7ddhs.m.p.z": FileName(
        Kind.MANIFEST, 1332637200, 1342637200, suffix=b".gz", partial=True, style=Style.SHORT
    ),
    b"dfs.m1f1g0.st": FileName(Kind.SIGTAR, None, 1332637200, style=Style.SHORT),
    b"dns.m1f1g0.m7ddhs.st.z": FileName(Kind.SIGTAR, 1332637200, 1342637200, suffix=b".gz", style=Style.SHORT),
    b"duplicity-full.2012-12-02T13:00:00+01:00.vol1.difftar.gz": FileName(
        Kind.VOLUME, None, NOON, 1, b".gz", style=OldStyle((60,))
    ),
    b"duplicity-inc.2012-12-02T12_00_00Z.to.2012-12-03T09_30_00-03_30.manifest": FileName(
        Kind.MANIFEST, NOON, NOON + 86400, style=OldStyle((0, -150), b"_")
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_names_are_read_and_made(name: bytes) -> None:
    assert parse(name) == KNOWN[name]
    assert make(KNOWN[name]) == name


def test_a_name_tells_its_increment() -> None:
    assert KNOWN[INC_VOLUME].increment == (NOON, NOON + 86400)
    assert KNOWN[FULL_VOLUME].increment == (None, NOON)
    assert [KNOWN[INC_VOLUME].is_full, KNOWN[FULL_VOLUME].is_full] == [False, True]


def test_current_names_are_made_from_their_parts() -> None:
    assert volume(None, NOON, 1, b".gpg") == FULL_VOLUME
    assert volume(NOON, NOON + 86400, 12, b".gz") == INC_VOLUME
    assert sigtar(None, NOON, b".gz") == b"duplicity-full-signatures.20121202T120000Z.sigtar.gz"
    assert manifest(NOON, NOON + 1, b"") == b"duplicity-inc.20121202T120000Z.to.20121202T120001Z.manifest"


@given(file_names())
def test_what_is_made_is_read_as_it_was(name: FileName) -> None:
    assert parse(make(name)) == name
    assert len(make(name)) <= 98


@given(st.binary(max_size=200))
def test_no_bytes_can_do_harm(name: bytes) -> None:
    assert parse(name) is None
    assert parse_strict(name) is None


@given(st.sampled_from(sorted(KNOWN)), st.data())
def test_what_is_read_is_made_as_it_was(name: bytes, data: st.DataObject) -> None:
    """Names that are nearly right: some bytes replaced, dropped or put in."""
    near = bytearray(name)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(near)))
        near[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [b"", b"0", b"1", b"9", b".", b"-", b"+", b"T", b"Z", b"z", b"\n", b"\0", b"_", b":", b"/", b".part"]
            )
        )
    read = parse(bytes(near))
    assert read is None or make(read) == near


@pytest.mark.parametrize(
    "junk",
    [b"\n", b" ", b"\0", b"/", b".", b".gz", b".gpg", b".part", b".par2", b".tmp", b"~", b".vol000+200.par2"],
)
def test_a_name_with_junk_around_it_is_foreign(junk: bytes) -> None:
    assert parse(FULL_VOLUME + junk) is None
    assert parse(junk + FULL_VOLUME) is None


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"..",
        b"/",
        b"../" + FULL_VOLUME,
        b"prefix-" + FULL_VOLUME,
        FULL_VOLUME.upper(),
        FULL_VOLUME.replace(b"vol1", b"vol0"),
        FULL_VOLUME.replace(b"vol1", b"vol01"),
        FULL_VOLUME.replace(b"vol1", b"vol"),
        FULL_VOLUME.replace(b"vol1", b"vol-1"),
        FULL_VOLUME.replace(b"vol1", b"vol1_0"),
        FULL_VOLUME.replace(b"vol1", b"vol1000000000"),
        FULL_VOLUME.replace(b"vol1", b"vol" + b"9" * 5000),
        FULL_VOLUME.replace(b"vol1", "vol١".encode()),
        FULL_VOLUME.replace(b"20121202T", b"20120230T"),
        FULL_VOLUME.replace(b"20121202T", b"00001202T"),
        FULL_VOLUME.replace(b"T120000Z", b"T240000Z"),
        FULL_VOLUME.replace(b"T120000Z", b"T235960Z"),
        FULL_VOLUME.replace(b"T120000Z", b"t120000z"),
        FULL_VOLUME.replace(b"T120000Z", b"T120000"),
        FULL_VOLUME.replace(b".gpg", b".gpg.gz"),
        FULL_VOLUME.replace(b".gpg", b".gpg.part"),
        FULL_VOLUME.replace(b".gpg", b".xz"),
        FULL_VOLUME.replace(b".difftar", b".sigtar"),
        FULL_VOLUME.replace(b".difftar", b".manifest"),
        FULL_VOLUME.replace(b".vol1", b""),
        INC_VOLUME.replace(b"inc", b"full"),
        INC_VOLUME.replace(b"20121202T120000Z.to.", b""),
        INC_VOLUME.replace(b".to.", b".TO."),
        INC_VOLUME.replace(b"20121202T120000Z", b"2012-12-02T12:00:00Z"),
        b"duplicity-full.20121202T120000Z.sigtar.gz",
        b"duplicity-full-signatures.20121202T120000Z.manifest",
        b"duplicity-new-signatures.20121202T120000Z.sigtar.gz",
        b"duplicity-full-signatures.20121202T120000Z.vol1.difftar.gz",
        b"duplicity-full.1354449600.manifest",
        b"duplicity-full.now.manifest",
        b"duplicity-full.2012-12-02.manifest",
        b"duplicity-full.2012-12-02T13:00:00.manifest",
        b"duplicity-full.2012-12-02T13:00:00+00:00.manifest",
        b"duplicity-full.2012-12-02T13:00:00-00:30.manifest",
        b"duplicity-full.2012-12-02T13:00:00+24:00.manifest",
        b"duplicity-full.2012-12-02T13:00:00+01:60.manifest",
        b"duplicity-full.2012-12-02T13:00:00+01_00.manifest",
        b"duplicity-full.2012-12-02T13-00-00+01-00.manifest",
        b"duplicity-full.2012-12-02T13000000+01000.manifest",
        b"duplicity-full.0001-01-01T00:00:00+01:00.manifest",
        b"duplicity-inc.2012-12-02T13:00:00+01:00.to.2012-12-03T13_00_00+01_00.manifest",
        b"df.m1f1g0.dt",
        b"df.m1f1g0.0.dt",
        b"df.m1f1g0.01.dt",
        b"df.0m1f1g0.1.dt",
        b"df.m1f1g0.1.dt.gz",
        b"df.m1f1g0.1.dt.part",
        b"df.M1F1G0.1.dt",
        b"df.zzzzzzzzz.1.dt",
        b"df.m1f1g0.zzzzzzzzz.dt",
        b"df.m1f1g0.m1f1g0.m",
        b"di.m1f1g0.m",
        b"di.m1f1g0.m1f1g0.1.2.dt",
        b"dfs.m1f1g0.m",
        b"dns.m1f1g0.st",
        b"df.m1f1g0.st",
    ],
)
def test_what_duplicity_does_not_write_is_foreign(name: bytes) -> None:
    assert parse(name) is None


@pytest.mark.parametrize("name", [name for name, read in KNOWN.items() if read.style is Style.CURRENT])
def test_an_archive_takes_finished_files_with_a_known_suffix(name: bytes) -> None:
    taken = not KNOWN[name].partial and KNOWN[name].suffix != b".p7m"
    assert parse_strict(name) == (KNOWN[name] if taken else None)


@pytest.mark.parametrize("name", [name for name, read in KNOWN.items() if read.style is not Style.CURRENT])
def test_an_archive_takes_no_other_style(name: bytes) -> None:
    assert parse_strict(name) is None


@pytest.mark.parametrize("length", [0, -1, -86400])
def test_an_archive_takes_no_increment_that_ends_before_it_starts(length: int) -> None:
    name = volume(NOON, NOON + length, 1, b".gz")
    assert parse(name) is not None
    assert parse_strict(name) is None


@given(file_names())
@example(KNOWN[FULL_VOLUME])
def test_an_archive_takes_only_what_is_read_too(name: FileName) -> None:
    assert parse_strict(make(name)) in (None, name)


@pytest.mark.parametrize(
    "change",
    [
        {"volume": None},
        {"volume": 0},
        {"volume": -1},
        {"volume": MAX_VOLUME + 1},
        {"kind": Kind.MANIFEST},
        {"suffix": b".xz"},
        {"suffix": b".g"},
        {"suffix": b".gz\n"},
        {"end": EARLIEST - 1},
        {"end": LATEST + 1},
        {"style": OldStyle(())},
        {"style": OldStyle((0, 0))},
        {"style": OldStyle((24 * 60,))},
        {"style": OldStyle((-24 * 60,))},
        {"style": OldStyle((60,), b"-")},
        {"style": OldStyle((60,), b"/")},
        {"style": OldStyle((60,), b"0")},
        {"style": OldStyle((60,), b"")},
        {"style": OldStyle((60,), b"::")},
        {"style": OldStyle((0,), b"\n")},
        {"style": Style.SHORT, "suffix": b".p7m"},
        {"style": Style.SHORT, "end": -1},
        {"style": Style.SHORT, "end": LATEST + 1},
        {"style": Style.SHORT, "kind": Kind.STATISTICS, "volume": None},
    ],
    ids=str,
)
def test_what_cannot_be_a_name_is_not_made(change: dict[str, object]) -> None:
    wrong = replace(KNOWN[FULL_VOLUME], **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"."):
        make(wrong)
