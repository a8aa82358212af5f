"""Names grouped into increments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.format.collection import FileSet, collect
from cya.format.names import MAX_VOLUME, FileName, make, manifest, sigtar, volume
from tests.format.strategies import file_names

T = 1354449600
DAY = 86400


def full(*numbers: int, suffix: bytes = b".gz") -> list[bytes]:
    """A full with these volumes."""
    return [volume(None, T, number, suffix) for number in numbers] + metadata(None, T)


def inc(start: int, end: int) -> list[bytes]:
    """An increment of one volume."""
    return [volume(start, end, 1, b".gz"), *metadata(start, end)]


def metadata(start: int | None, end: int) -> list[bytes]:
    return [sigtar(start, end, b".gz"), manifest(start, end, b"")]


def only(names: list[bytes]) -> FileSet:
    (found,) = collect(names).sets
    return found


def test_an_empty_directory() -> None:
    assert collect([]).sets == ()
    assert collect([]).foreign == ()


def test_files_of_an_increment_come_together() -> None:
    found = only(full(2, 1, 10))
    assert (found.start, found.end, found.is_full) == (None, T, True)
    assert list(found.volumes) == [1, 2, 10]
    assert found.volumes[10] == volume(None, T, 10, b".gz")
    assert found.metadata == (sigtar(None, T, b".gz"), manifest(None, T, b""))
    assert found.names == (*found.volumes.values(), *found.metadata)


def test_sets_are_ordered_by_end_and_a_full_comes_first() -> None:
    names = inc(T + DAY, T + 2 * DAY) + inc(T, T + DAY) + inc(T - DAY, T) + full(1)
    assert [(each.start, each.end) for each in collect(reversed(names)).sets] == [
        (None, T),
        (T - DAY, T),
        (T, T + DAY),
        (T + DAY, T + 2 * DAY),
    ]


def test_other_names_are_foreign() -> None:
    found = collect([*full(1), b"README", full(1)[0] + b".par2", b"\xff", b"README"])
    assert found.foreign == (b"README", full(1)[0] + b".par2", b"\xff")
    assert found.sets[0].is_complete


def test_a_name_that_comes_twice_counts_once() -> None:
    assert only(full(1) + full(1)) == only(full(1))


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1], []),
        ([1, 2, 3], []),
        ([2], [1]),
        ([1, 3], [2]),
        ([2, 3, 6, 10], [1, 4, 5, 7, 8, 9]),
    ],
)
def test_gaps_are_missing_volumes(numbers: list[int], missing: list[int]) -> None:
    found = only(full(*numbers))
    assert [number for gap in found.missing_volumes for number in gap] == missing
    assert found.is_complete == (not missing)


def test_the_last_volume_is_not_missed() -> None:
    """Documented: only the manifest can tell."""
    assert only(full(1, 2)).is_complete


def test_a_huge_volume_number_costs_nothing() -> None:
    assert only(full(MAX_VOLUME)).missing_volumes == (range(1, MAX_VOLUME),)
    assert not only(full(MAX_VOLUME)).is_complete


@pytest.mark.parametrize("left_out", [0, 1, 2], ids=["volume", "sigtar", "manifest"])
def test_an_increment_without_one_of_its_parts_is_not_complete(left_out: int) -> None:
    names = full(1)
    del names[left_out]
    found = only(names)
    assert not found.is_complete
    assert found.is_metadata_only == (left_out == 0)


def test_what_is_served_is_metadata_only() -> None:
    assert only(metadata(None, T)).is_metadata_only
    assert not only(full(1)).is_metadata_only


def test_statistics_and_partial_files_are_kept_apart() -> None:
    extra = [
        b"duplicity-full.20121202T120000Z.jsonstat.gz",
        b"duplicity-full.20121202T120000Z.manifest.part",
        b"duplicity-full.20121202T120000Z.vol2.difftar.part.gz",
    ]
    found = only(full(1) + extra)
    assert found.other == tuple(extra)
    assert set(found.names) == {*full(1), *extra}
    assert found.is_complete
    assert not only(extra).is_complete


@pytest.mark.parametrize(
    "rival",
    [
        volume(None, T, 1, b".gpg"),
        volume(None, T, 1, b""),
        sigtar(None, T, b".gpg"),
        manifest(None, T, b".gpg"),
        b"duplicity-full.2012-12-02T12:00:00Z.manifest",
        b"duplicity-full.2012-12-02T13:00:00+01:00.vol1.difftar.gz",
    ],
)
def test_of_two_names_for_one_place_none_is_chosen(rival: bytes) -> None:
    found = only([*full(1, 2), rival])
    assert len(found.conflicts) == 2
    assert rival in found.conflicts
    assert set(found.names) == {*full(1, 2), rival}
    assert len(found.names) == 5
    assert not set(found.conflicts) & {*found.volumes.values(), *found.metadata}
    assert found.missing_volumes == ()
    assert not found.is_complete
    assert not found.is_metadata_only


def test_metadata_in_conflict_is_not_metadata_only() -> None:
    assert not only([*metadata(None, T), manifest(None, T, b".gpg")]).is_metadata_only


@given(st.lists(file_names()), st.lists(st.binary(max_size=20)))
def test_no_name_gets_lost_or_doubled(names: list[FileName], junk: list[bytes]) -> None:
    given_names = {*map(make, names), *junk}
    found = collect(given_names)
    grouped = [*found.foreign, *(name for each in found.sets for name in each.names)]
    assert sorted(grouped) == sorted(given_names)
    assert [each.end for each in found.sets] == sorted(each.end for each in found.sets)
