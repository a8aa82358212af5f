"""What the format cannot hold, in ``.dupext``: what stands there, what it costs, and which names are stored."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cya.engine.native import making, scan
from cya.engine.native.beneath import open_directory
from cya.engine.native.survey import side_entries
from cya.engine.protocol import Report, Selection
from tests.engine.native.conftest import Lab

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set these")
CONTENT = random.Random(5).randbytes(300_000)


@pytest.fixture
def whole(lab: Lab) -> Lab:
    (lab.source / "d").mkdir()
    (lab.source / "plain").write_text("plain")
    return lab


def backup(lab: Lab, **changes: object) -> Report:
    report = lab.backup(metadata=True, **changes)
    assert report.lost == ()
    return report


def side(lab: Lab) -> Path:
    """Restore ``.dupext`` of the last backup, by stock."""
    place = lab.place / f"side {lab.now} {len(list(lab.place.iterdir()))}"
    place.mkdir()
    environment = {**os.environ, "GNUPGHOME": str(lab.home)}
    subprocess.run(
        [
            *("duplicity", "restore", "--no-encryption", "--file-to-restore", ".dupext", f"--time={lab.now}"),
            *(f"--archive-dir={lab.place}/stock", f"file://{lab.target}", str(place / "x")),
        ],
        check=True,
        capture_output=True,
        env=environment,
    )
    return place / "x"


def names(lab: Lab) -> list[list[str]]:
    """The names of each file with several names, as the last backup has them."""
    sets: dict[str, list[str]] = {}
    path = side(lab) / "hardlinks.txtz"
    for record in path.read_text().split("\0")[:-1] if path.exists() else ():
        inode, _, name = record.split(" ", 2)
        sets.setdefault(inode, []).append(name.removeprefix("./"))
    return list(sets.values())


def stored(report: Report) -> int:
    return int(report.statistics["RawDeltaSize"])


def all_paths(top: Path) -> list[str]:
    found = [".", *(str(path.relative_to(top)) for path in top.rglob("*"))]
    return sorted(found, key=lambda path: path.split("/") if path != "." else [])


@needs_root
def test_acls_are_what_getfacl_writes_and_attributes_what_getfattr_writes(whole: Lab) -> None:
    top = whole.source
    for words in (
        ["setfacl", "-m", "u:1000:rw,g:7:r", "plain"],
        ["setfacl", "-m", "u:1000:rwx,m:r,d:g:7:rx", "d"],
        ["setfattr", "-n", "user.a", "-v", 'quote" and \\', "plain"],
        ["setfattr", "-n", "user.b", "-v", "0x00ff", "plain"],
        ["setfattr", "-n", "trusted.t", "-v", "t", "d"],
    ):
        subprocess.run(words, cwd=top, check=True)
    os.symlink("plain", top / "link")
    os.setxattr(top / "link", "trusted.of-a-link", b"x", follow_symlinks=False)
    backup(whole)
    options = {"cwd": top, "check": True, "capture_output": True, "env": {**os.environ, "LC_ALL": "C"}}
    paths = all_paths(top)
    acls = subprocess.run(["getfacl", "--numeric", "--skip-base", "-P", *paths], **options).stdout  # type: ignore[call-overload]
    given = subprocess.run(["getfattr", "-h", "-m", ".", "-d", *paths], **options).stdout  # type: ignore[call-overload]
    place = side(whole)
    assert (place / "acl.txt").read_bytes() == acls
    assert (place / "attr.txt").read_bytes() == given


def test_nothing_is_stored_when_nothing_has_changed(whole: Lab) -> None:
    os.link(whole.source / "plain", whole.source / "another")
    backup(whole)
    for _ in range(2):
        statistics = backup(whole).statistics
        assert (statistics["DeltaEntries"], statistics["RawDeltaSize"]) == (0, 0)


def test_a_change_of_an_attribute_alone_stores_that_and_no_content(whole: Lab) -> None:
    (whole.source / "large").write_bytes(CONTENT)
    backup(whole)
    os.setxattr(whole.source / "large", "user.new", b"value")
    report = backup(whole)
    assert report.statistics["ChangedFiles"] == 0
    assert stored(report) < 1000
    assert (side(whole) / "attr.txt").read_text() == '# file: large\nuser.new="value"\n\n'


def test_a_file_with_several_names_is_stored_once(whole: Lab) -> None:
    (whole.source / "d/m").write_bytes(CONTENT)
    for name in ("a", "z", "d/n"):
        os.link(whole.source / "d/m", whole.source / name)
    assert stored(backup(whole)) < len(CONTENT) + 50_000
    assert names(whole) == [["a", "d/m", "d/n", "z"]]
    (whole.source / "a").write_bytes(CONTENT + b"more")
    assert stored(backup(whole)) < 10_000


@pytest.mark.parametrize("name", ["a", "d/0", "zz"])
def test_a_new_name_costs_no_second_copy_wherever_it_stands(whole: Lab, name: str) -> None:
    (whole.source / "d/m").write_bytes(CONTENT)
    os.link(whole.source / "d/m", whole.source / "z")
    backup(whole)
    os.link(whole.source / "z", whole.source / name)
    assert stored(backup(whole)) < 1000
    (stored_first, *others), *more = names(whole)
    assert (stored_first, sorted(others), more) == ("d/m", sorted(["z", name]), [])
    (whole.source / "z").write_bytes(CONTENT[::-1])
    backup(whole)
    assert (whole.restored() / name).read_bytes() == CONTENT[::-1]


def test_a_file_that_gets_a_second_name_costs_no_second_copy(whole: Lab) -> None:
    (whole.source / "m").write_bytes(CONTENT)
    backup(whole)
    os.link(whole.source / "m", whole.source / "a")
    assert stored(backup(whole)) < 1000
    assert names(whole) == [["m", "a"]]


def test_a_name_that_is_removed_costs_nothing_unless_it_is_the_stored_one(whole: Lab) -> None:
    (whole.source / "a").write_bytes(CONTENT)
    for name in ("b", "c"):
        os.link(whole.source / "a", whole.source / name)
    backup(whole)
    os.unlink(whole.source / "b")
    assert stored(backup(whole)) < 1000
    os.unlink(whole.source / "a")
    backup(whole)
    assert names(whole) == []
    place = whole.restored()
    assert (place / "c").read_bytes() == CONTENT
    assert not (place / "a").exists()


def test_a_stored_name_that_is_renamed_leaves_the_others_whole(whole: Lab) -> None:
    (whole.source / "a").write_bytes(CONTENT)
    os.link(whole.source / "a", whole.source / "b")
    backup(whole)
    (whole.source / "a").rename(whole.source / "d/other")
    backup(whole)
    place = whole.restored()
    assert (place / "b").samefile(place / "d/other")
    assert (place / "b").read_bytes() == CONTENT
    assert not (place / "a").exists()


def test_where_the_first_name_is_excluded_the_next_one_is_stored(whole: Lab) -> None:
    (whole.source / "a").write_bytes(CONTENT)
    for name in ("b", "c"):
        os.link(whole.source / "a", whole.source / name)
    backup(whole, selection=Selection(patterns=(f"- {whole.source}/a",)))
    assert names(whole) == [["b", "c"]]
    assert (side(whole) / "hardlinks.txtz").read_text().split(" ")[1] == "3"
    place = whole.restored()
    assert (place / "b").samefile(place / "c")
    assert not (place / "a").exists()


def test_linked_files_that_were_stored_apart_are_stored_once_from_now_on(whole: Lab) -> None:
    (whole.source / "a").write_bytes(CONTENT)
    os.link(whole.source / "a", whole.source / "b")
    assert stored(whole.backup()) > 2 * len(CONTENT)
    report = backup(whole)
    assert report.statistics["DeletedFiles"] == 1
    assert stored(report) < 20_000
    place = whole.restored()
    assert (place / "a").samefile(place / "b")


def test_two_files_that_become_one_and_one_that_becomes_two(whole: Lab) -> None:
    a, b = whole.source / "a", whole.source / "b"
    a.write_bytes(CONTENT)
    b.write_bytes(CONTENT[::-1])
    backup(whole)
    b.unlink()
    os.link(a, b)
    assert stored(backup(whole)) < 1000
    assert (whole.restored() / "b").samefile(next(whole.place.glob("restored*")) / "a")
    b.unlink()
    b.write_bytes(CONTENT)
    backup(whole)
    place = whole.restored()
    assert not (place / "a").samefile(place / "b")
    assert (place / "b").read_bytes() == CONTENT


def test_links_fifos_and_sockets_with_several_names(whole: Lab) -> None:
    top = whole.source
    os.symlink("plain", top / "s")
    os.link(top / "s", top / "d/s2", follow_symlinks=False)
    os.mkfifo(top / "f")
    os.link(top / "f", top / "d/f2")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(top / "sock"))
    (top / "sock").chmod(0o751)
    backup(whole)
    listening.close()
    place = whole.restored()
    for one, other in (("s", "d/s2"), ("f", "d/f2")):
        assert (place / one).lstat().st_ino == (place / other).lstat().st_ino
    assert (place / "sock").is_socket()
    assert (place / "sock").stat().st_mode & 0o777 == 0o751


def test_times_are_exact_where_the_format_has_whole_seconds(whole: Lab) -> None:
    top = whole.source
    moments = {"plain": 1_234_567_890_123_456_789, "d": 999_999_999, "before": -1, "long-before": -10 * 10**9 - 5}
    for name in ("before", "long-before"):
        (top / name).touch()
    os.symlink("nowhere", top / "link")
    moments["link"] = 86_400 * 10**9
    for name, moment in moments.items():
        os.utime(top / name, ns=(moment, moment), follow_symlinks=False)
    os.utime(top, ns=(5, 5))
    backup(whole)
    place = whole.restored()
    assert {name: (place / name).lstat().st_mtime_ns for name in moments} == moments
    assert place.stat().st_mtime_ns == 5


def test_a_directory_of_that_name_in_the_source_is_not_in_the_backup(whole: Lab) -> None:
    (whole.source / ".dupext").mkdir()
    (whole.source / ".dupext/acl.txt").write_text("of 2012")
    (whole.source / ".dupext-not").write_text("another")
    backup(whole)
    place = side(whole)
    assert not (place / "acl.txt").exists()
    assert (place / "format.txt").read_text().startswith("cya dupext 1\n")
    assert (whole.source / ".dupext/acl.txt").read_text() == "of 2012"
    assert (whole.restored() / ".dupext-not").read_text() == "another"


def test_without_metadata_it_is_gone_again_and_every_name_is_stored(whole: Lab) -> None:
    os.link(whole.source / "plain", whole.source / "a")
    backup(whole)
    whole.backup()
    assert whole.is_restored()
    backup(whole)
    assert names(whole) in ([["a", "plain"]], [["plain", "a"]])


def test_a_dry_run_counts_a_file_with_several_names_once(whole: Lab) -> None:
    (whole.source / "m").write_bytes(CONTENT)
    for name in ("a", "z"):
        os.link(whole.source / "m", whole.source / name)
    report = whole.backup(metadata=True, dry_run=True)
    assert report.statistics["NewFileSize"] < 2 * len(CONTENT)
    assert list(whole.target.iterdir()) == []


@needs_root
def test_what_cannot_be_read_of_attributes_is_named(whole: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    os.setxattr(whole.source / "plain", "user.bad", b"x")
    really = os.getxattr

    def failing(place: Any, name: str, **options: Any) -> bytes:
        if name == "user.bad":
            raise OSError(5, "Input/output error")
        return really(place, name, **options)

    monkeypatch.setattr(os, "getxattr", failing)
    (lost,) = whole.backup(metadata=True).lost
    assert lost.path == "plain"
    assert "user.bad: Input/output error" in lost.reason
    assert (whole.restored() / "plain").read_text() == "plain"


def test_the_machine_is_told_of(whole: Lab) -> None:
    backup(whole, system=True)
    assert list((side(whole) / "system").iterdir())
    statistics = backup(whole, system=True).statistics
    assert statistics["DeltaEntries"] == 0


def test_what_cannot_be_looked_at_keeps_its_names_and_attributes(whole: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in a directory that cannot be listed, of a file that is stored elsewhere, and of one that lies there."""
    top = whole.source
    (top / "a").write_bytes(CONTENT)
    (top / "closed").mkdir()
    os.link(top / "a", top / "closed/another")
    (top / "closed/m").write_bytes(CONTENT[::-1])
    os.link(top / "closed/m", top / "closed/n")
    os.setxattr(top / "closed/m", "user.a", b"1")
    os.utime(top / "closed/m", ns=(5, 5))
    backup(whole)
    before = (side(whole) / "times.txtz").read_bytes()
    really = open_directory

    def closed(name: bytes, dir_fd: int) -> int:
        if name == b"closed":
            raise PermissionError(13, "Permission denied")
        return really(name, dir_fd)

    monkeypatch.setattr(scan, "open_directory", closed)
    for _ in range(2):
        (lost,) = whole.backup(metadata=True).lost
        assert lost.path == "closed"
        assert (side(whole) / "times.txtz").read_bytes() == before
        place = whole.restored()
        assert (place / "closed/another").samefile(place / "a")
        assert (place / "closed/m").samefile(place / "closed/n")
        assert os.getxattr(place / "closed/n", "user.a") == b"1"
    os.unlink(top / "a")
    lost_paths = {each.path for each in whole.backup(metadata=True).lost}
    assert lost_paths == {"closed", "closed/another"}
    monkeypatch.undo()
    backup(whole)
    assert (whole.restored() / "closed/another").read_bytes() == CONTENT


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something done between the walk and the packing of what it found."""
    really = side_entries

    def after(files: Any) -> Any:
        act()
        return really(files)

    monkeypatch.setattr(making, "side_entries", after)


@pytest.mark.parametrize("size", [20, 3_000_000])
def test_a_stored_name_that_is_another_file_by_then_is_read_under_another_name(
    whole: Lab, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    top = whole.source
    for name, other in (("a", "b"), ("m", "n")):
        (top / name).write_bytes(name.encode() * size)
        os.link(top / name, top / other)

    def act() -> None:
        (top / "a").unlink()
        (top / "a").write_bytes(b"another")
        (top / "m").unlink()

    meanwhile(monkeypatch, act)
    backup(whole)
    place = whole.restored()
    assert (place / "b").read_bytes() == b"a" * size
    assert (place / "n").read_bytes() == b"m" * size
    assert (place / "a").samefile(place / "b")
    monkeypatch.undo()
    backup(whole)
    assert whole.is_restored() or (whole.restored() / "a").read_bytes() == b"another"


def test_a_file_that_is_nowhere_any_more_is_named_under_all_its_names(
    whole: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = whole.source
    (top / "a").write_bytes(CONTENT)
    for name in ("b", "c"):
        os.link(top / "a", top / name)

    def act() -> None:
        for name in ("a", "b", "c"):
            (top / name).unlink()

    meanwhile(monkeypatch, act)
    assert {each.path for each in whole.backup(metadata=True).lost} == {"a", "b", "c"}


@needs_root
def test_what_takes_the_place_of_a_file_with_capabilities_does_not_get_them(
    whole: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = whole.source / "tool"
    tool.write_bytes(b"good")
    os.setxattr(tool, "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))

    def act() -> None:
        tool.unlink()
        tool.write_bytes(b"evil")

    meanwhile(monkeypatch, act)
    (lost,) = whole.backup(metadata=True).lost
    assert lost.path == "tool"
    assert not (whole.restored() / "tool").exists()


def test_a_directory_of_that_name_with_something_else_in_it_is_named(whole: Lab) -> None:
    (whole.source / ".dupext").mkdir()
    (whole.source / ".dupext/mine").write_text("mine")
    (lost,) = whole.backup(metadata=True).lost
    assert lost.path == ".dupext"
    assert (whole.source / ".dupext/mine").read_text() == "mine"


@needs_root
def test_too_many_attributes_to_be_listed_are_named_and_acls_kept(whole: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["setfacl", "-m", "u:1000:rw", whole.source / "plain"], check=True)
    really = os.listxattr

    def listing(place: Any, **options: Any) -> list[str]:
        if isinstance(place, int) and os.readlink(f"/proc/self/fd/{place}").endswith("plain"):
            raise OSError(7, "Argument list too long")
        return really(place, **options)

    monkeypatch.setattr(os, "listxattr", listing)
    (lost,) = whole.backup(metadata=True).lost
    assert lost.path == "plain"
    assert "cannot be listed" in lost.reason
    monkeypatch.undo()
    assert "user:1000:rw-" in (side(whole) / "acl.txt").read_text()
