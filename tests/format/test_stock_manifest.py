"""Manifests that stock duplicity writes are read, and those that are made here are read by stock."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cya.format.collection import collect
from cya.format.manifest import Manifest, parse, serialise
from cya.format.names import manifest as manifest_name
from tests.format.stock import FIRST, FULL, NAMES, SECOND, Backup, plant

FULL_MANIFEST = manifest_name(None, FULL, b"")


def full_manifest(backup: Backup) -> Manifest:
    return parse(backup.manifests()[FULL_MANIFEST])


def restore(backup: Backup, destination: Path, *options: str | Path, status: int | None = 0) -> bytes:
    """Restore with a new local archive directory, so that the target's files alone count."""
    cache = destination.with_name(destination.name + ".cache")
    return backup.stock.run(
        *("restore", "--archive-dir", cache, *backup.options, *options, f"file://{backup.target}", destination),
        status=status,
    )


def contents(directory: Path) -> dict[bytes, bytes]:
    files = {}
    for parent, _, names in os.walk(os.fsencode(directory)):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, os.fsencode(directory))] = file.read()
    return files


def test_every_manifest_is_read_and_made_again(made: Backup) -> None:
    manifests = made.manifests()
    assert len(manifests) == 3
    assert {name: serialise(parse(data)) for name, data in manifests.items()} == manifests


def test_paths_are_those_of_the_source(made: Backup) -> None:
    manifest = full_manifest(made)
    assert manifest.localdir == os.fsencode(made.source)
    assert manifest.volumes[0].start == b"."
    before = contents(made.source).keys() - {b"names/one more\n"} | {b"names/" + NAMES[0]}
    assert dict(manifest.files_changed or ()) == dict.fromkeys(before, "new")


def test_changes_are_listed_with_what_became_of_the_file(made: Backup) -> None:
    manifest = parse(made.manifests()[manifest_name(FULL, FIRST, b"")])
    assert dict(manifest.files_changed or ()) == {
        b"names/" + NAMES[0]: "deleted",
        b"names/" + NAMES[1]: "changed",
        b"names/one more\n": "new",
    }
    unchanged = parse(made.manifests()[manifest_name(FIRST, SECOND, b"")])
    assert unchanged.files_changed == ()


def test_hashes_are_those_of_the_files(made: Backup) -> None:
    volumes = collect(made.names).sets[0].volumes
    for volume in full_manifest(made).volumes:
        data = (made.target / os.fsdecode(volumes[volume.number])).read_bytes()
        assert dict(volume.hashes) == {"SHA1": hashlib.sha1(data).hexdigest()}


@pytest.mark.parametrize("path", [b"a b/" + NAMES[2], b"a/big", b"a-b", b"names/" + NAMES[-1]])
def test_a_path_is_restored_from_its_volumes_alone(backup: Backup, tmp_path: Path, path: bytes) -> None:
    plant(backup.source)
    backup.increment("full", FULL)
    needed = full_manifest(backup).volumes_for(path)
    volumes = collect(backup.names).sets[0].volumes
    assert 0 < len(needed) < len(volumes)
    for number in set(volumes) - set(needed):
        (backup.target / os.fsdecode(volumes[number])).unlink()
    option = "--file-to-restore" if backup.stock.version < (2,) else "--path-to-restore"
    restore(backup, tmp_path / "restored", option, Path(os.fsdecode(path)))
    source = backup.source / os.fsdecode(path)
    if source.is_file():
        assert (tmp_path / "restored").read_bytes() == source.read_bytes()
    else:
        assert contents(tmp_path / "restored") == contents(source)


@pytest.mark.parametrize("filelist", [True, False], ids=["with Filelist", "without"])
def test_stock_restores_and_continues_from_a_manifest_that_is_made_here(
    backup: Backup, tmp_path: Path, filelist: bool
) -> None:
    plant(backup.source)
    backup.increment("full", FULL)
    stocks = full_manifest(backup)
    ours = Manifest(
        stocks.hostname, stocks.localdir, stocks.volumes, ((b'made "here"\n', "deleted"),) if filelist else None
    )
    (backup.target / os.fsdecode(FULL_MANIFEST)).write_bytes(serialise(ours))
    restore(backup, tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(backup.source)
    replace(backup, cache=tmp_path / "new cache").increment("incremental", FIRST)
    assert [each.is_complete for each in collect(backup.names).sets] == [True, True]
    status = backup.stock.run(
        *("collection-status", "--show-changes-in-set", "1", "--archive-dir", tmp_path / "new cache"),
        *(*backup.options, f"file://{backup.target}"),
    )
    assert (rb'"made\x20\x22here\x22\x0a"' in status) == filelist


def test_stock_holds_the_volumes_against_the_hashes_that_are_written_here(backup: Backup, tmp_path: Path) -> None:
    plant(backup.source)
    backup.increment("full", FULL)
    manifest = full_manifest(backup)
    wrong = replace(manifest.volumes[1], hashes={"SHA1": "0" * 40})
    (backup.target / os.fsdecode(FULL_MANIFEST)).write_bytes(
        serialise(replace(manifest, volumes=(manifest.volumes[0], wrong, *manifest.volumes[2:])))
    )
    assert b"0" * 40 in restore(backup, tmp_path / "restored", status=None)


def test_of_a_restarted_backup_the_volumes_that_are_there_count(backup: Backup) -> None:
    plant(backup.source)
    backup.killed("full", FULL, volume=3)
    backup.increment("full", FIRST)
    written = backup.manifests()[FULL_MANIFEST]
    assert written.count(b"\nVolume 3:") == 2
    manifest = parse(written)
    volumes = collect(backup.names).sets[0].volumes
    assert [volume.number for volume in manifest.volumes] == list(volumes)
    for volume in manifest.volumes:
        data = (backup.target / os.fsdecode(volumes[volume.number])).read_bytes()
        assert dict(volume.hashes) == {"SHA1": hashlib.sha1(data).hexdigest()}
    assert parse(serialise(manifest)) == manifest
