"""The names of the files that stock duplicity writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cya.format.collection import FileSet, collect
from cya.format.manifest import parse as parse_manifest
from cya.format.names import FileName, Kind, OldStyle, Style, make, parse, parse_strict
from tests.format.stock import FIRST, FULL, SECOND, Backup, plant


def only(version: str) -> pytest.MarkDecorator:
    """Run a test with the one version of stock that has the option."""
    return pytest.mark.parametrize("stock", [version], indirect=True)


def read(name: bytes) -> FileName:
    found = parse(name)
    assert found is not None, name
    return found


def times(sets: tuple[FileSet, ...]) -> list[tuple[int | None, int]]:
    return [(each.start, each.end) for each in sets]


def test_every_name_of_a_backup_is_read_and_made_again(made: Backup) -> None:
    names = made.names | made.cached
    assert len(names) > 10
    assert {make(read(name)) for name in names} == names
    assert all(parse_strict(name) == read(name) for name in names)


def test_a_target_holds_complete_increments_at_the_times_of_the_runs(made: Backup) -> None:
    collection = collect(made.names)
    assert times(collection.sets) == [(None, FULL), (FULL, FIRST), (FIRST, SECOND)]
    assert all(each.is_complete for each in collection.sets)
    assert collection.foreign == ()
    assert len(collection.sets[0].volumes) > 3


def test_the_manifest_knows_as_many_volumes_as_there_are(made: Backup) -> None:
    manifests = {read(name).increment: parse_manifest(data) for name, data in made.manifests().items()}
    for each in collect(made.names).sets:
        assert [volume.number for volume in manifests[each.start, each.end].volumes] == list(each.volumes)


def test_the_local_archive_directory_is_metadata_only(made: Backup) -> None:
    collection = collect(made.cached)
    assert times(collection.sets) == [(None, FULL), (FULL, FIRST), (FIRST, SECOND)]
    assert all(each.is_metadata_only for each in collection.sets)


def test_a_volume_that_is_taken_away_is_missing(made: Backup) -> None:
    full = collect(made.names).sets[0]
    without = collect(set(full.names) - {full.volumes[2]}).sets[0]
    assert without.missing_volumes == (range(2, 3),)
    assert not without.is_complete


@only("3")
def test_statistics_are_read_and_made_again(backup: Backup) -> None:
    replace(backup, options=("--no-encryption", "--jsonstat")).make()
    statistics = {name for name in backup.names if read(name).kind is Kind.STATISTICS}
    assert {read(name).increment for name in statistics} == {(None, FULL), (FULL, FIRST), (FIRST, SECOND)}
    assert {make(read(name)) for name in statistics} == statistics
    assert all(each.is_complete and len(each.other) == 1 for each in collect(backup.names).sets)


def test_what_an_unfinished_run_leaves_is_partial(backup: Backup) -> None:
    plant(backup.source)
    backup.killed("full", FULL, volume=2)
    partial = {name for name in backup.cached if read(name).partial}
    assert {read(name).kind for name in partial} == {Kind.MANIFEST, Kind.SIGTAR}
    assert {make(read(name)) for name in partial} == partial
    assert not any(map(parse_strict, partial))
    left = collect(backup.cached | backup.names).sets[0]
    assert set(left.other) == partial
    assert not left.is_complete
    assert not left.is_metadata_only


@only("0.8")
def test_short_names_are_read_and_made_again(backup: Backup) -> None:
    replace(backup, options=("--no-encryption", "--short-filenames")).make()
    assert {make(read(name)) for name in backup.names} == backup.names
    assert {read(name).style for name in backup.names} == {Style.SHORT}
    assert not any(map(parse_strict, backup.names))
    collection = collect(backup.names)
    assert times(collection.sets) == [(None, FULL), (FULL, FIRST), (FIRST, SECOND)]
    assert all(each.is_complete for each in collection.sets)


@only("0.8")
@pytest.mark.parametrize("separator", [":", "_"])
@pytest.mark.parametrize(
    ("zone", "offsets"),
    [
        ("UTC", (0, 0, 0)),
        ("Europe/Berlin", (60, 120, 60)),
        ("America/St_Johns", (-150, -150, -210)),
        ("Asia/Kolkata", (330, 330, 330)),
        ("Pacific/Marquesas", (-570, -570, -570)),
    ],
)
def test_old_names_are_read_and_made_again(
    backup: Backup, zone: str, offsets: tuple[int, int, int], separator: str
) -> None:
    options = ("--no-encryption", "--old-filenames", "--time-separator", separator)
    replace(backup, options=options, environment={"TZ": zone}).make()
    assert {make(read(name)) for name in backup.names} == backup.names
    assert not any(map(parse_strict, backup.names))
    collection = collect(backup.names)
    assert times(collection.sets) == [(None, FULL), (FULL, FIRST), (FIRST, SECOND)]
    assert all(each.is_complete for each in collection.sets)
    assert {read(name).style for each in collection.sets[1:] for name in each.names} == {
        OldStyle(offsets[:2], separator.encode()),
        OldStyle(offsets[1:], separator.encode()),
    }
