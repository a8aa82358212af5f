"""Which names are one file, and which of them is stored."""

from __future__ import annotations

import stat
from typing import NamedTuple

import pytest

from cya.metadata.link_sets import KNOWN, NEW, STORED, LinkSets, is_linked


class Status(NamedTuple):
    st_mode: int = stat.S_IFREG
    st_dev: int = 1
    st_ino: int = 10
    st_nlink: int = 2
    st_ctime_ns: int = 100


def records(sets: LinkSets) -> list[bytes]:
    return list(sets.records())


def test_directories_have_many_links_and_one_name() -> None:
    assert is_linked(Status())
    assert not is_linked(Status(st_nlink=1))
    assert not is_linked(Status(st_mode=stat.S_IFDIR, st_nlink=5))


@pytest.mark.parametrize(
    ("how", "stored"),
    [
        ((NEW, NEW, NEW), b"a"),
        ((NEW, NEW, STORED), b"c"),
        ((NEW, KNOWN, STORED), b"c"),
        ((NEW, KNOWN, NEW), b"b"),
        ((KNOWN, STORED, STORED), b"b"),
    ],
)
def test_the_name_that_the_chain_has_it_under_stays(how: tuple[int, ...], stored: bytes) -> None:
    sets = LinkSets()
    names = (b"a", b"b", b"c")
    for name, each in zip(names, how, strict=True):
        sets.add(name, Status(), each)
    assert [name for name in names if sets.is_stored(name, Status())] == [stored]
    others = [name for name in names if name != stored]
    assert records(sets) == [b"10 2 ./%b\0" % name for name in (stored, *others)]


def test_two_devices_with_the_same_inode_are_two_files() -> None:
    sets = LinkSets()
    for name, device in ((b"a", 1), (b"b", 2), (b"c", 1), (b"d", 2), (b"e", 3), (b"f", 3)):
        sets.add(name, Status(st_dev=device), NEW)
    assert records(sets) == [
        *(b"10 2 ./a\0", b"10 2 ./c\0", b"10.1 2 ./b\0", b"10.1 2 ./d\0", b"10.2 2 ./e\0", b"10.2 2 ./f\0"),
    ]
    assert all(sets.is_stored(name, Status(st_dev=device)) for name, device in ((b"a", 1), (b"b", 2), (b"e", 3)))


def test_one_whose_other_names_are_not_in_the_backup_is_a_file_as_others() -> None:
    sets = LinkSets()
    sets.add(b"a", Status(st_nlink=3), NEW)
    assert sets.is_stored(b"a", Status(st_nlink=3))
    assert records(sets) == []


def test_an_inode_that_was_given_to_another_file_meanwhile_is_another_file() -> None:
    sets = LinkSets()
    sets.add(b"a", Status(), NEW)
    sets.add(b"b", Status(), NEW)
    sets.add(b"c", Status(st_ctime_ns=200), NEW)
    sets.add(b"d", Status(st_ctime_ns=200), NEW)
    assert records(sets) == [b"10 2 ./a\0", b"10 2 ./b\0", b"10.1 2 ./c\0", b"10.1 2 ./d\0"]
    assert sets.others(b"c", Status(st_ctime_ns=200)) == (b"d",)
