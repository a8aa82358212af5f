"""Inode flags, against chattr and lsattr on file systems that have them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.metadata import inode_flags
from tests import mounts
from tests.metadata.tools import run

EXTENTS = 0x00080000
ON_EXT4 = b"suSiadAct"
"""And j, for whom the kernel lets do that."""
ON_BTRFS = b"SiadAcm"


@pytest.fixture(scope="module", params=["ext4", "btrfs"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount and to set flags")
    place = tmp_path_factory.mktemp("flags") / "disk"
    made = (16, "mkfs.ext4", "-q") if request.param == "ext4" else (128, "mkfs.btrfs", "-q")
    with mounts.loop_mounted(place, *made):
        yield place, request.param


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def test_the_letters_of_each_flag_are_chattrs_and_lsattrs(disk: tuple[Path, str]) -> None:
    place, kind = disk
    file, directory = place / "letters", place / "letters.d"
    file.touch()
    directory.mkdir()
    each = [(file, letter) for letter in (ON_EXT4 if kind == "ext4" else ON_BTRFS)]
    each += [(directory, letter) for letter in (b"DTSdA" if kind == "ext4" else b"DSdAC")]
    for path, byte in each:
        letter = bytes([byte])
        run(place, "chattr", b"+" + letter, path.name)
        fd = opened(path)
        try:
            assert inode_flags.letters(inode_flags.get(fd)) == letter
            assert inode_flags.get(fd) & inode_flags.KEPT == inode_flags.of_letters(letter)
        finally:
            os.close(fd)
        run(place, "chattr", b"-" + letter, path.name)


def test_a_change_makes_exactly_the_wanted_flags_and_lsattr_shows_them(disk: tuple[Path, str]) -> None:
    place, _ = disk
    (place / "changed").write_bytes(b"content")
    fd = opened(place / "changed")
    try:
        others = inode_flags.get(fd) & ~inode_flags.KEPT
        for word in (b"Aid", b"iaS", b"", b"d"):
            inode_flags.change(fd, inode_flags.of_letters(word))
            shown = run(place, "lsattr", "changed").split()[0].replace(b"-", b"").replace(b"e", b"")
            assert shown == inode_flags.letters(inode_flags.of_letters(word))
            assert inode_flags.get(fd) & ~inode_flags.KEPT == others
    finally:
        inode_flags.change(fd, 0)
        os.close(fd)


@pytest.mark.parametrize("disk", ["ext4"], indirect=True)
def test_how_ext4_stores_a_file_is_not_kept_and_not_changed(disk: tuple[Path, str]) -> None:
    place, _ = disk
    (place / "extents").touch()
    fd = opened(place / "extents")
    try:
        assert inode_flags.get(fd) & EXTENTS
        inode_flags.change(fd, EXTENTS | inode_flags.of_letters(b"d"))
        inode_flags.change(fd, 0)
        assert inode_flags.get(fd) == EXTENTS
        assert inode_flags.letters(EXTENTS) == b""
    finally:
        os.close(fd)


def test_a_flag_that_the_file_system_takes_and_forgets_is_an_error(disk: tuple[Path, str]) -> None:
    place, _ = disk
    (place / "forgotten").write_bytes(b"content")
    fd = opened(place / "forgotten")
    try:
        with pytest.raises(OSError, match="the flags C cannot be changed") as caught:
            inode_flags.change(fd, inode_flags.of_letters(b"C"))
        assert caught.value.errno == errno.EOPNOTSUPP
    finally:
        os.close(fd)


def test_what_can_be_changed_is_although_something_else_cannot(disk: tuple[Path, str]) -> None:
    place, _ = disk
    (place / "some").write_bytes(b"content")
    fd = opened(place / "some")
    try:
        inode_flags.change(fd, inode_flags.of_letters(b"iS"))
        with pytest.raises(OSError, match="the flags C cannot be changed"):
            inode_flags.change(fd, inode_flags.of_letters(b"diAC"))
        assert inode_flags.letters(inode_flags.get(fd)) == b"idA"
    finally:
        inode_flags.change(fd, 0)
        os.close(fd)


def test_a_device_is_not_asked() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="only files and directories") as caught:
            inode_flags.change(fd, 0)
        assert caught.value.errno == errno.ENOTTY
    finally:
        os.close(fd)


def test_letters_are_read_with_and_without_a_plus_in_any_order() -> None:
    everything = inode_flags.letters(inode_flags.KEPT)
    assert inode_flags.of_letters(b"+" + everything[::-1]) == inode_flags.of_letters(everything) == inode_flags.KEPT
    assert len(everything) == inode_flags.KEPT.bit_count()
    assert inode_flags.of_letters(b"") == inode_flags.of_letters(b"+") == 0


@pytest.mark.parametrize("word", [b"e", b"+iE", b"-i", b"i ", b"++i", b"V", b"P", b"F", b"\xff"])
def test_letters_that_cannot_be_set_are_refused(word: bytes) -> None:
    with pytest.raises(ValueError, match="not inode flags that can be set"):
        inode_flags.of_letters(word)
