"""Names and kinds of every odd sort in an upload."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from cya.config.root import RootConfig
from tests.hostile.world import COMMITTED, IGNORED, Outcome, Scene, World, needs_root, open_to_all, refused

pytestmark = needs_root

NOT_A_NAME = refused("is not the name of a Duplicity backup file")


def named(name: bytes) -> Callable[[Scene], object]:
    """An upload with one more file, which the marker cannot name."""

    def attack(it: Scene) -> None:
        it.upload("2012-12-06T03:00:00")
        with open(os.path.join(os.fsencode(it.next), name), "wb") as file:
            file.write(b"x")

    return attack


def of_kind(make: Callable[[str], object], name: str = "odd") -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        it.upload("2012-12-06T03:00:00")
        make(str(it.next / name))

    return attack


def listening(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as it:
        os.chdir(os.path.dirname(path))  # a socket's path is short
        it.bind(os.path.basename(path))


def nested(path: str, depth: int = 5_000) -> None:
    """Directories, one in the other."""
    os.mkdir(path)
    fd = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.symlink("../d", "d", dir_fd=fd)


def many(head: str, count: int = 100_000) -> Callable[[Scene], object]:
    """An upload among so many empty files: hard links of a few, which takes a tenth of the time."""

    def attack(it: Scene) -> None:
        it.upload("2012-12-06T03:00:00")
        directory = os.open(it.next, os.O_RDONLY)
        for number in range(count):
            if number % 50_000 == 0:
                first = f"{head}{number}"
                os.close(os.open(first, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=directory))
            else:
                os.link(first, f"{head}{number}", src_dir_fd=directory, dst_dir_fd=directory)

    return attack


def without_marker(attack: Callable[[Scene], object]) -> Callable[[Scene], object]:
    def unfinished(it: Scene) -> None:
        attack(it)
        (it.next / "FINISHED").unlink()

    return unfinished


def volume_as(number: str) -> Callable[[Scene], object]:
    """A volume with a number that duplicity does not write, or that leaves a gap."""

    def attack(it: Scene) -> None:
        names = it.write("2012-12-06T03:00:00")
        odd = it.volume(names).name.replace("vol1.", f"vol{number}.")
        it.volume(names).rename(it.next / odd)
        it.finish([odd if ".vol1." in name else name for name in names])

    return attack


ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "a newline at the end": (named(b"duplicity-full.20121206T030000Z.manifest\n"), NOT_A_NAME),
    "control bytes and a terminal's escapes": (named(b"\x1b[2J\x07\x01name"), NOT_A_NAME),
    "bytes that are no UTF-8": (named(b"\xff\xfe\xc0\x80"), NOT_A_NAME),
    "255 bytes": (named(b"x" * 255), NOT_A_NAME),
    "a name like an option": (named(b"--force"), NOT_A_NAME),
    "a name in another script, of the same look": (
        named("duplicity-full.20121206T03000０Z.manifest".encode()),
        NOT_A_NAME,
    ),
    "statistics, which duplicity 3 writes": (named(b"duplicity-full.20121206T030000Z.jsonstat.gpg"), NOT_A_NAME),
    "a partial volume": (named(b"duplicity-full.20121206T030000Z.vol1.difftar.part"), NOT_A_NAME),
    "an old-style name": (named(b"duplicity-full.2012-12-06T03:00:00Z.vol1.difftar.gpg"), NOT_A_NAME),
    "a short name": (named(b"df.meeg00.1.dt.g"), NOT_A_NAME),
    "a marker in the making": (named(b"FINISHED.new"), NOT_A_NAME),
    "FINISHED in small letters": (named(b"finished"), NOT_A_NAME),
    "a dot file": (named(b".duplicity-full.part"), COMMITTED),
    "a dot file without UTF-8": (named(b".\xff\n"), COMMITTED),
    "a directory": (of_kind(os.mkdir), NOT_A_NAME),
    "a directory with a dot": (of_kind(os.mkdir, ".d"), NOT_A_NAME),
    "a FIFO": (of_kind(os.mkfifo), NOT_A_NAME),
    "a FIFO with a dot": (of_kind(os.mkfifo, ".f"), COMMITTED),
    "a socket": (of_kind(listening), NOT_A_NAME),
    "5,000 nested directories": (of_kind(nested), NOT_A_NAME),
    "nested directories with a dot": (of_kind(lambda path: nested(path, 500), ".d"), NOT_A_NAME),
    "nested directories, unfinished": (without_marker(of_kind(lambda path: nested(path, 500))), IGNORED),
    "a link to itself": (of_kind(lambda path: os.symlink(os.path.basename(path), path)), NOT_A_NAME),
    "a link to itself with a dot": (of_kind(lambda path: os.symlink(os.path.basename(path), path), ".l"), COMMITTED),
    "a link to the directory": (of_kind(lambda path: os.symlink(".", path)), NOT_A_NAME),
    "100,000 files": (many("junk"), refused("more than 100000 files")),
    "100,000 dot files": (many(".junk"), refused("more than 1000 dot files")),
    "100,000 files, unfinished": (without_marker(many("junk")), IGNORED),
    "volume 0": (volume_as("0"), NOT_A_NAME),
    "volume 01": (volume_as("01"), NOT_A_NAME),
    "volume -1": (volume_as("-1"), NOT_A_NAME),
    "volume 2 and no volume 1": (volume_as("2"), refused("volume 1 of 2 is missing")),
    "volume 999,999,999": (volume_as("999999999"), refused("volume 1 of 999999999 is missing")),
    "volume 1,000,000,000": (volume_as("1000000000"), NOT_A_NAME),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_odd_names_and_kinds_harm_nothing(attack: str) -> None:
    with open_to_all(in_memory="100,000" in attack) as base:
        World(base, RootConfig()).withstands(*ATTACKS[attack])
