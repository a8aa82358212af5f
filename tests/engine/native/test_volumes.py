"""Volumes: their size, what the manifest says of them, and how they are handed over."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cya.engine.protocol import Encryption
from cya.format import manifest
from tests.engine.native.conftest import Lab


def read(path: Path, home: Path) -> bytes:
    """What is in a file of an increment."""
    if path.suffix == ".gpg":
        command = [
            "gpg",
            "--homedir",
            str(home),
            "--batch",
            "--quiet",
            "--pinentry-mode=loopback",
            "--passphrase=secret",
        ]
        return subprocess.run([*command, "--decrypt", str(path)], check=True, capture_output=True).stdout
    data = path.read_bytes()
    content = b""
    while path.suffix == ".gz" and data:
        inflate = zlib.decompressobj(31)
        content += inflate.decompress(data)
        data = inflate.unused_data
    return content or data


def entries(content: bytes) -> list[tuple[bytes, int | None]]:
    """Path and number (of a piece) of each entry of a difftar."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(content), errors="surrogateescape") as tar:
        members = list(tar)
    for member in members:
        kind, _, path = member.name.partition("/")
        number = None
        if kind.startswith("multivol_"):
            path, _, piece = path.rpartition("/")
            number = int(piece)
        found.append((os.fsencode(path), number))
    return found


@pytest.mark.parametrize("encryption", [Encryption(), Encryption("secret")])
@pytest.mark.parametrize("size", [1, 3])
def test_what_the_manifest_says_of_the_volumes_is_so(lab: Lab, encryption: Encryption, size: int) -> None:
    chance = random.Random(size)
    for number in range(300):
        (lab.source / f"file {number}").write_bytes(chance.randbytes(chance.choice((0, 10, 5000, 30_000))))
    (lab.source / "large").write_bytes(chance.randbytes(9_000_000))
    lab.job = replace(lab.job, encryption=encryption, volume_size=size)
    for made in range(2):
        lab.backup()
        ending = ".gpg" if encryption.enabled else ""
        (path,) = [path for path in lab.target.glob(f"*.manifest{ending}") if made == 0 or lab.stamp() in path.name]
        told = manifest.parse(read(path, lab.home))
        volumes = [
            path
            for path in sorted(lab.target.glob("*.difftar*"), key=number_of)
            if (lab.stamp() in path.name) == bool(made)
        ]
        assert len(told.volumes) == len(volumes) > 1
        changed: set[bytes] = set()
        for info, volume in zip(told.volumes, volumes, strict=True):
            assert volume.stat().st_size <= size << 20
            if info.number < len(volumes):
                assert volume.stat().st_size > (size << 20) * 0.75
            hashes = dict(info.hashes)
            assert (hashes.pop("CYA-INDEX", None) is not None) == encryption.enabled
            assert hashes == {"SHA1": hashlib.sha1(volume.read_bytes()).hexdigest()}
            inside = entries(read(volume, lab.home))
            assert (info.start, info.end) == tuple(path.rstrip(b"/") or b"." for path in (inside[0][0], inside[-1][0]))
            last_piece = max((number or 0 for path, number in inside if path == b"large"), default=0)
            for block, (_, piece) in ((info.start_block, inside[0]), (info.end_block, inside[-1])):
                assert block in (piece, None)
                assert block is not None or piece in (None, last_piece)
            changed.update(path for path, _ in inside)
        assert told.files_changed is not None
        assert {path for path, _ in told.files_changed} <= changed
        assert [status for _, status in told.files_changed] == ["new" if made == 0 else "changed"] * len(
            told.files_changed
        )
        assert lab.is_restored()
        for number in range(0, 300, 2):
            (lab.source / f"file {number}").write_bytes(chance.randbytes(20_000))
        (lab.source / "large").write_bytes(chance.randbytes(2_000_000) + (lab.source / "large").read_bytes())
        os.utime(lab.source / "large", (10**9 + made, 10**9 + made))


def number_of(path: Path) -> int:
    return int(path.name.partition(".vol")[2].partition(".")[0])


class Room:
    """A spool with room for one file, which says when it has none."""

    def __init__(self, place: Path, seen: Callable[[], set[str]]) -> None:
        self.place, self.seen = place, seen
        self.names: list[str] = []
        self.waited = 0
        place.mkdir()

    def deliver(self, file: Path, name: bytes) -> None:
        assert all(self.place.joinpath(old).exists() for old in self.names)
        os.link(file, self.place / os.fsdecode(name))
        self.names.append(os.fsdecode(name))

    def reuse(self, place: Path) -> bool:
        return False

    def has_room(self, patience: float = 0) -> bool:
        self.waited += 1
        # Nothing but volumes is handed over, and none stays behind; not more than one is being made meanwhile.
        assert len([name for name in self.seen() if "difftar" in name]) <= 1
        return self.waited % 3 == 0


def test_volumes_are_handed_over_as_they_are_finished_and_the_next_waits_for_room(lab: Lab) -> None:
    (lab.source / "large").write_bytes(random.Random(1).randbytes(6_000_000))
    room = Room(lab.place / "spool", lambda: set(os.listdir(lab.target)))
    lab.backup(spool=room)
    assert [name.split(".")[2] for name in room.names] == [f"vol{number}" for number in range(1, len(room.names) + 1)]
    assert len(room.names) > 5
    assert room.waited == 3 * len(room.names)
    assert sorted(path.name.split(".", 2)[2] for path in lab.target.iterdir()) == ["manifest", "sigtar.gz"]
    for name in room.names:
        os.link(room.place / name, lab.target / name)
    assert lab.is_restored()


class Reusing(Room):
    """A spool that has sent what it gets at once, and keeps a copy of it."""

    inodes: set[int]

    def deliver(self, file: Path, name: bytes) -> None:
        if not hasattr(self, "inodes"):
            self.inodes = set()
        self.inodes.add(file.stat().st_ino)
        (self.place / os.fsdecode(name)).write_bytes(file.read_bytes())
        os.link(file, self.place / "spare")
        self.names.append(os.fsdecode(name))

    def reuse(self, place: Path) -> bool:
        if not (self.place / "spare").exists():
            return False
        (self.place / "spare").rename(place)
        return True

    def has_room(self, patience: float = 0) -> bool:
        return True


@pytest.mark.parametrize("encryption", [Encryption(), Encryption("secret")])
def test_volumes_are_written_over_one_another(lab: Lab, encryption: Encryption) -> None:
    """Whatever was in the file is gone, and it is as long as what is in it now."""
    lab.job = replace(lab.job, encryption=encryption)
    (lab.source / "large").write_bytes(random.Random(1).randbytes(6_000_000))
    (lab.source / "zeros").write_bytes(bytes(9_000_000))
    room = Reusing(lab.place / "spool", lambda: set())
    lab.backup(spool=room)
    assert len(room.names) > 5
    assert len(room.inodes) == 1
    for name in room.names:
        os.link(room.place / name, lab.target / name)
    assert lab.is_restored()


def test_an_increment_without_a_change_has_one_empty_volume(lab: Lab) -> None:
    lab.backup()
    lab.backup()
    (volume,) = lab.volumes()
    assert entries(read(volume, lab.home)) == []
    assert lab.is_restored()
