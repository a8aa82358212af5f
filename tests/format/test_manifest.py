"""Manifests: what is read, what is refused and why, and where a path lies."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.format.manifest import Manifest, ManifestError, Status, VolumeInfo, parse, serialise
from cya.format.volume_info import components

SHA1 = "7f1e3ef746727c7857683ec4cb2f8430e2610259"
OTHER = "f4f62fd524f729e9fb773be0681719f18410ea1e"

TEXT = b"".join(
    [
        b"Hostname web1\n",
        b'Localdir "/home/a\\x20b"\n',
        b"Volume 1:\n",
        b"    StartingPath   .  \n",
        b"    EndingPath     big/f 15\n",
        b"    Hash SHA1 7f1e3ef746727c7857683ec4cb2f8430e2610259\n",
        b"Volume 2:\n",
        b"    StartingPath   big/f 16\n",
        b'    EndingPath     "new\\x0aline"  \n',
        b"    Hash SHA1 f4f62fd524f729e9fb773be0681719f18410ea1e\n",
        b"Filelist 3\n",
        b"    new      big/f\n",
        b'    changed  "it\\x27s"\n',
        b'    deleted  "new\\x0aline"\n',
    ]
)

MANIFEST = Manifest(
    hostname=b"web1",
    localdir=b"/home/a b",
    volumes=(
        VolumeInfo(1, b".", None, b"big/f", 15, {"SHA1": SHA1}),
        VolumeInfo(2, b"big/f", 16, b"new\nline", None, {"SHA1": OTHER}),
    ),
    files_changed=((b"big/f", "new"), (b"it's", "changed"), (b"new\nline", "deleted")),
)

paths = st.binary(min_size=1, max_size=30).filter(lambda path: b"\0" not in path)
blocks = st.none() | st.integers(0, 10**18 - 1)
statuses: st.SearchStrategy[Status] = st.sampled_from(["new", "changed", "deleted"])
hashes = st.dictionaries(st.sampled_from(["SHA1"]), st.binary(min_size=20, max_size=20).map(bytes.hex))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    names = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: not name.startswith('"')
    )
    count = draw(st.integers(1, 4))
    return Manifest(
        hostname=draw(st.none() | names.map(str.encode)),
        localdir=draw(st.none() | paths),
        volumes=tuple(
            VolumeInfo(number, draw(paths), draw(blocks), draw(paths), draw(blocks), draw(hashes))
            for number in range(1, count + 1)
        ),
        files_changed=draw(st.none() | st.lists(st.tuples(paths, statuses)).map(tuple)),
    )


def block(number: int, digest: str = SHA1) -> bytes:
    """A volume's lines."""
    return b"Volume %d:\n    StartingPath   a  \n    EndingPath     b  \n    Hash SHA1 %b\n" % (number, digest.encode())


def test_a_manifest_is_read_and_made() -> None:
    assert parse(TEXT) == MANIFEST
    assert serialise(MANIFEST) == TEXT


@given(manifests())
def test_what_is_made_is_read_as_it_was(manifest: Manifest) -> None:
    assert parse(serialise(manifest)) == manifest


@given(st.binary())
def test_no_bytes_can_do_harm(data: bytes) -> None:
    with pytest.raises(ManifestError):
        parse(data)


@given(st.data())
def test_a_manifest_with_damage_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(TEXT)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=3))
    try:
        manifest = parse(bytes(damaged))
    except ManifestError:
        return
    assert parse(serialise(manifest)) == manifest


def test_a_manifest_that_is_cut_off_is_refused_or_lacks_its_filelist() -> None:
    unseen = []
    for length in range(len(TEXT)):
        with suppress(ManifestError):
            unseen.append(parse(TEXT[:length]))
    assert all(manifest.files_changed is None for manifest in unseen)
    assert len(unseen) == 4  # after each volume, and before each hash


def test_host_directory_filelist_and_hashes_may_be_absent() -> None:
    manifest = parse(b"Volume 1:\n    StartingPath   .  \n    EndingPath     .  \n")
    assert manifest == Manifest(None, None, (VolumeInfo(1, b".", None, b".", None),), None)


def test_a_filelist_may_come_first_and_be_empty() -> None:
    manifest = parse(b"Hostname web1\nFilelist 0\n" + block(1))
    assert manifest.files_changed == ()
    assert serialise(manifest) == b"Hostname web1\n" + block(1) + b"Filelist 0\n"


@pytest.mark.parametrize(
    ("numbers", "valid"),
    [
        ([1, 2, 3, 2], [0, 3]),
        ([1, 2, 3, 2, 3], [0, 3, 4]),
        ([1, 2, 3, 3, 4], [0, 1, 3, 4]),
        ([1, 2, 1], [2]),
        ([1, 1, 2, 1, 2], [3, 4]),
    ],
)
def test_after_a_restart_what_was_recorded_last_counts(numbers: list[int], valid: list[int]) -> None:
    digests = [f"{place:040x}" for place in range(len(numbers))]
    manifest = parse(b"".join(block(number, digest) for number, digest in zip(numbers, digests, strict=True)))
    assert [volume.number for volume in manifest.volumes] == list(range(1, len(valid) + 1))
    assert [volume.hashes["SHA1"] for volume in manifest.volumes] == [digests[place] for place in valid]


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        (b"Hostname web1", b"Hostname ", 1, "not a host name"),
        (b"Hostname web1", b'Hostname "web1"', 1, "not a host name"),
        (b"Hostname web1", b"Hostname \xff", 1, "not UTF-8"),
        (b"Hostname web1", b"Hostname web1\nHostname web1", 2, "not expected here"),
        (b"Hostname web1", b"", 1, "not expected here"),
        (b"Hostname web1", b"hostname web1", 1, "not expected here"),
        (b"Localdir ", b"Localdir / ", 2, "one path expected"),
        (rb'"/home/a\x20b"', b"", 2, "one path expected"),
        (rb'"/home/a\x20b"', rb'"/home/a\x20b', 2, "not well quoted"),
        (rb'"/home/a\x20b"', rb'"/home/a\x00b"', 2, "not a path"),
        (rb'"/home/a\x20b"', b'""', 2, "not a path"),
        (rb'"/home/a\x20b"', b"/home/a\0b", 2, "not a path"),
        (b"Volume 1:", b"Volume 1", 3, "not a volume's number"),
        (b"Volume 1:", b"Volume 0:", 3, "not a volume's number"),
        (b"Volume 1:", b"Volume 01:", 3, "not a volume's number"),
        (b"Volume 1:", b"Volume -1:", 3, "not a volume's number"),
        (b"Volume 1:", b"Volume 1: ", 3, "not a volume's number"),
        (b"Volume 1:", b"Volume " + b"9" * 5000 + b":", 3, "not a volume's number"),
        (b"Volume 1:", b"Volume 2:", 3, "volume 1 expected"),
        (b"Volume 2:", b"Volume 3:", 7, "volume 2 expected"),
        (b"    StartingPath   .  \n", b"", 4, "StartingPath expected"),
        (b"    EndingPath     big/f 15\n", b"", 5, "EndingPath expected"),
        (b"    EndingPath     big/f 15", b"EndingPath     big/f 15", 5, "EndingPath expected"),
        (b"    EndingPath     big/f 15", b"    EndingPath", 5, "a path and perhaps"),
        (b"    EndingPath     big/f 15", b"    EndingPath     big/f 15 16", 5, "a path and perhaps"),
        (b"big/f 15", b"big/f -1", 5, "number of a block"),
        (b"big/f 15", b"big/f 0x0f", 5, "number of a block"),
        (b"big/f 15", b"big/f 015", 5, "number of a block"),
        (b"big/f 15", "big/f ١".encode(), 5, "number of a block"),
        (b"big/f 15", b"big/f " + b"9" * 5000, 5, "number of a block"),
        (b"big/f 15", b"big f 15", 5, "a path and perhaps"),
        (b"Hash SHA1 7f", b"Hash SHA1 7F", 6, "lower-case hexadecimal"),
        (b"Hash SHA1 7f", b"Hash SHA1 f", 6, "lower-case hexadecimal"),
        (b"Hash SHA1 7f", b"Hash SHA1 ", 6, "SHA1 has 40 digits"),
        (b"Hash SHA1 7f", b"Hash MD5 7f", 6, "MD5 has 32 digits"),
        (b"Hash SHA1 7f", b"Hash SHA1 xx 7f", 6, "lower-case hexadecimal"),
        (b"Hash SHA1 7f", b"Hash 7f", 6, "lower-case hexadecimal"),
        (b"Hash SHA1 7f", b"Hush SHA1 7f", 6, "Hash expected"),
        (b"    Hash SHA1 7f", b"    Hash SHA1 " + SHA1.encode() + b"\n    Hash SHA1 7f", 7, "a second SHA1"),
        (b"Filelist 3", b"Filelist 2", 11, "not as long"),
        (b"Filelist 3", b"Filelist 4", 11, "not as long"),
        (b"Filelist 3", b"Filelist 0", 11, "not as long"),
        (b"Filelist 3", b"Filelist x", 11, "not the length"),
        (b"Filelist 3", b"Filelist -3", 11, "not the length"),
        (b"Filelist 3", b"Filelist 3\nFilelist 3", 11, "not as long"),
        (b"Filelist 3", b"Filelist 0\nFilelist 3", 12, "not expected here"),
        (b"    new      big/f", b"    newest   big/f", 12, "new, changed or deleted"),
        (b"    new      big/f", b"    \xff      big/f", 12, "new, changed or deleted"),
        (b"    new      big/f", b"    big/f", 12, "a status and a path"),
        (b"    new      big/f", b"    new      big f", 12, "a status and a path"),
        (b"    new      big/f", b"    ", 12, "a status and a path"),
        (b"    new      big/f", b'    new      "big/f', 12, "not well quoted"),
        (b'line"\n', b'line"\n\n', 0, ""),
        (b"Volume 2:", b"Comment\nVolume 2:", 7, "not expected here"),
        (b"Volume 2:", b"\nVolume 2:", 7, "not expected here"),
    ],
)
def test_a_malformed_manifest_is_refused_and_the_line_named(old: bytes, new: bytes, line: int, reason: str) -> None:
    assert old in TEXT
    with pytest.raises(ManifestError, match=f"line {line}: .*{reason}" if line else "line"):
        parse(TEXT.replace(old, new, 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "without a volume"),
        (b"\n", "line 1: not expected"),
        (b"Hostname web1\nLocaldir /\n", "line 2: a manifest without a volume"),
        (b"Hostname web1\nFilelist 0\n\n", "line 3: not expected"),
        (TEXT.rstrip(b"\n"), "line 14: cut off"),
        (TEXT.partition(b"    EndingPath")[0], "line 4: cut off"),
        (b"-----BEGIN PGP MESSAGE-----\n", "line 1: not expected"),
        (b"\x8c\x0d\x04\x09\x03\x02", "line 1: cut off"),
        (TEXT.replace(b"\n", b"\r\n"), "line 3"),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        parse(data)


def test_an_error_does_not_repeat_a_huge_line() -> None:
    with pytest.raises(ManifestError) as caught:
        parse(b"x" * 1_000_000 + b"\n")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MANIFEST, hostname=b""),
        replace(MANIFEST, hostname=b"a\nb"),
        replace(MANIFEST, hostname=b"web1\nLocaldir /etc"),
        replace(MANIFEST, hostname=b'"web1"'),
        replace(MANIFEST, hostname=b"\xff"),
        replace(MANIFEST, localdir=b""),
        replace(MANIFEST, localdir=b"/a\0b"),
        replace(MANIFEST, volumes=()),
        replace(MANIFEST, volumes=MANIFEST.volumes[1:]),
        replace(MANIFEST, volumes=MANIFEST.volumes[::-1]),
        replace(MANIFEST, volumes=(*MANIFEST.volumes, MANIFEST.volumes[1])),
        replace(MANIFEST, volumes=(replace(MANIFEST.volumes[0], start=b""), MANIFEST.volumes[1])),
        replace(MANIFEST, volumes=(replace(MANIFEST.volumes[0], end_block=-1), MANIFEST.volumes[1])),
        replace(MANIFEST, volumes=(replace(MANIFEST.volumes[0], hashes={"SHA1": "00"}), MANIFEST.volumes[1])),
        replace(MANIFEST, volumes=(replace(MANIFEST.volumes[0], hashes={"SHA1": "é"}), MANIFEST.volumes[1])),
        replace(MANIFEST, volumes=(replace(MANIFEST.volumes[0], hashes={"": "00"}), MANIFEST.volumes[1])),
        replace(MANIFEST, files_changed=((b"", "new"),)),
        replace(MANIFEST, files_changed=((b"a\0", "new"),)),
        replace(MANIFEST, files_changed=((b"a", "newest"),)),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_read_back_is_not_made(wrong: Manifest) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        serialise(wrong)


@pytest.mark.parametrize(
    ("path", "volumes"),
    [
        (b".", (1, 2, 3)),
        (b"", (1, 2, 3)),
        (b"a", (1, 2)),
        (b"a/", (1, 2)),
        (b"./a", (1, 2)),
        (b"a/a", (1,)),
        (b"a/b", (1, 2)),
        (b"a/b/below", (2,)),
        (b"a/c", (2,)),
        (b"a-b", (2,)),
        (b"a b", (2,)),
        (b"b", (2, 3)),
        (b"b/z", (3,)),
        (b"\xff", (3,)),
        (b"\xff\xff", ()),
        (b"0", (1,)),
    ],
)
def test_volumes_for_a_path(path: bytes, volumes: tuple[int, ...]) -> None:
    manifest = Manifest(
        None,
        None,
        (
            VolumeInfo(1, b".", None, b"a/b", 3),
            VolumeInfo(2, b"a/b", 4, b"b/c", 1),
            VolumeInfo(3, b"b/c", None, b"\xff", None),
        ),
    )
    assert manifest.volumes_for(path) == volumes


def test_entries_are_ordered_by_their_components() -> None:
    ordered = [b".", b"a", b"a/b", b"a/b/c", b"a b", b"a-b", b"a.", b"b", b"\xff"]
    assert sorted(ordered, key=components) == ordered


def is_component(name: bytes) -> bool:
    return name != b"." and b"/" not in name


@given(st.lists(st.lists(st.binary(min_size=1, max_size=2).filter(is_component), max_size=3)))
def test_a_path_that_is_stored_is_found_in_its_volume(entries: list[list[bytes]]) -> None:
    ordered = sorted({(), *map(tuple, entries)})
    stored = [b"/".join(entry) or b"." for entry in ordered]
    manifest = Manifest(
        None, None, tuple(VolumeInfo(number, path, None, path, None) for number, path in enumerate(stored, 1))
    )
    for number, (path, entry) in enumerate(zip(stored, ordered, strict=True), 1):
        below = {n for n, other in enumerate(ordered, 1) if other[: len(entry)] == entry}
        assert below <= set(manifest.volumes_for(path))
        assert number in manifest.volumes_for(path)
