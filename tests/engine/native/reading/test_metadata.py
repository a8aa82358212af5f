"""Restoring what the format cannot hold: all of it, some paths, beside what is there, and from whatever ``.dupext``."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cya.engine.protocol import Report
from cya.errors import NotInBackup
from cya.metadata import times
from tests import mounts
from tests.engine.native.reading.histories import History, history

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can set these")
CONTENT = random.Random(3).randbytes(200_000)
MOMENT = 1_234_567_890_123_456_789


@pytest.fixture
def made() -> Iterator[History]:
    with history() as found:
        yield found


def linked(made: History) -> History:
    """``b/stored`` and three other names, before and behind it and in the root."""
    made.write("b/stored", CONTENT)
    for name in ("a/before", "c/behind", "root"):
        (made.source / name).parent.mkdir(exist_ok=True)
        os.link(made.source / "b/stored", made.source / name)
    return made


def backup(made: History, **changes: Any) -> Report:
    return made.backup(metadata=True, **changes)


def well(made: History, place: Path, **changes: Any) -> Path:
    report = made.restore(place, **changes)
    assert (report.lost, report.damaged) == ((), ())
    return place


def test_a_directory_that_is_needed_early_for_another_name_gets_its_attributes(made: History, tmp_path: Path) -> None:
    """The archive has the file before ``between``; ``c`` is made for it, and comes by itself behind that."""
    linked(made)
    made.write("between/file", b"")
    for name, mode in (("between", 0o750), ("c", 0o700)):
        (made.source / name).chmod(mode)
    backup(made)
    place = well(made, tmp_path / "some", paths=(Path("between"), Path("c")))
    assert [stat.S_IMODE((place / name).stat().st_mode) for name in ("between", "c")] == [0o750, 0o700]
    assert (place / "c/behind").read_bytes() == CONTENT


def files(made: History, content: dict[str, bytes]) -> History:
    """A ``.dupext`` as others may have made it: it is in the source, and backed up as it is."""
    for name, data in content.items():
        made.write(f".dupext/{name}", data)
    return made


@pytest.mark.parametrize(
    "names", [["root"], ["a"], ["c", "root"], ["a", "b", "c"], ["b/stored"], ["a/before", "c/behind"]]
)
def test_some_names_of_a_file_are_restored_whichever_of_them_the_archive_has(
    made: History, tmp_path: Path, names: list[str]
) -> None:
    backup(linked(made))
    place = well(made, tmp_path / "to", paths=tuple(map(Path, names)))
    found = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
    assert found == sorted(
        name
        for name in ("b/stored", "a/before", "c/behind", "root")
        if any(f"{name}/".startswith(f"{n}/") for n in names)
    )
    assert len({(place / name).stat().st_ino for name in found}) == 1
    assert (place / found[0]).read_bytes() == CONTENT


def test_names_of_a_file_that_was_changed_afterwards(made: History, tmp_path: Path) -> None:
    backup(linked(made))
    (made.source / "root").write_bytes(CONTENT[:100_000] + b"changed" + CONTENT[100_000:])
    backup(made)
    place = well(made, tmp_path / "to", paths=(Path("c"),))
    assert (place / "c/behind").read_bytes() == CONTENT[:100_000] + b"changed" + CONTENT[100_000:]


def test_a_name_that_is_in_no_backup_is_told(made: History, tmp_path: Path) -> None:
    backup(linked(made))
    with pytest.raises(NotInBackup, match="nothing"):
        made.restore(tmp_path / "to", paths=(Path("nothing"),))
    (lost,) = made.restore(tmp_path / "to", paths=(Path("nothing"), Path("root"))).lost
    assert lost.path == "nothing"
    assert (tmp_path / "to/root").read_bytes() == CONTENT


def test_the_directory_itself_is_restored_only_when_it_is_asked_for(made: History, tmp_path: Path) -> None:
    backup(linked(made))
    assert not (well(made, tmp_path / "to") / ".dupext").exists()
    place = well(made, tmp_path / "asked", paths=(Path(".dupext/format.txt"), Path("root")))
    assert os.listdir(place / ".dupext") == ["format.txt"]
    assert (place / "root").read_bytes() == CONTENT


def test_what_is_kept_is_not_touched_and_missing_names_are_made(made: History, tmp_path: Path) -> None:
    made.write("plain", b"of the backup")
    os.utime(made.source / "plain", ns=(MOMENT, MOMENT))
    os.setxattr(made.source / "plain", "user.of", b"backup")
    backup(linked(made))
    place = well(made, tmp_path / "to", paths=(Path("a"), Path("b")))
    (place / "plain").write_text("mine")
    os.utime(place / "plain", ns=(5, 5))
    (place / "root").write_text("mine, too")
    well(made, place, existing="keep")
    assert (place / "plain").read_text() == "mine"
    assert (place / "plain").stat().st_mtime_ns == 5
    assert os.listxattr(place / "plain") == []
    assert (place / "root").read_text() == "mine, too"
    assert (place / "c/behind").samefile(place / "b/stored")


@pytest.mark.parametrize("existing", ["replace", "resume"])
def test_names_that_are_other_files_are_replaced(made: History, tmp_path: Path, existing: str) -> None:
    backup(linked(made))
    place = well(made, tmp_path / "to")
    for name in ("root", "a/before"):
        (place / name).unlink()
        (place / name).write_text("another file")
    (place / "c/behind").unlink()
    (place / "c/behind").mkdir()
    well(made, place, existing=existing)
    assert len({(place / name).stat().st_ino for name in ("root", "a/before", "b/stored", "c/behind")}) == 1
    assert (place / "root").read_bytes() == CONTENT


def test_a_restore_is_gone_on_with_and_attributes_are_there_in_the_end(made: History, tmp_path: Path) -> None:
    made.write("plain", b"x" * 100)
    os.setxattr(made.source / "plain", "user.a", b"1")
    os.utime(made.source / "plain", ns=(-1_500_000_000, -1_500_000_000))
    backup(linked(made))
    place = well(made, tmp_path / "to")
    inode = (place / "plain").stat().st_ino
    (place / "c/behind").unlink()
    (place / "b/stored").unlink()
    well(made, place, existing="resume")
    assert (place / "plain").stat().st_ino == inode
    assert (place / "plain").stat().st_mtime_ns == -1_500_000_000
    assert os.getxattr(place / "plain", "user.a") == b"1"
    assert (place / "c/behind").samefile(place / "root")


@needs_root
@pytest.mark.parametrize("existing", ["replace", "resume"])
def test_what_is_immutable_or_append_only_is_replaced_and_so_again(
    made: History, tmp_path: Path, existing: str
) -> None:
    made.write("d/fixed", b"fixed")
    made.write("d/log", b"log")
    flags = {"d/fixed": "+i", "d/log": "+ad", "d": "+i"}
    try:
        for name, flag in flags.items():
            subprocess.run(["chattr", flag, name], cwd=made.source, check=True)
        backup(made)
        place = well(made, tmp_path / "to")
        subprocess.run(["chattr", "-i", "d"], cwd=place, check=True)
        subprocess.run(["chattr", "-i", "d/fixed"], cwd=place, check=True)
        (place / "d/fixed").write_text("changed")
        for name, flag in flags.items():
            subprocess.run(["chattr", flag, name], cwd=place, check=True)
        well(made, place, existing=existing)
        assert (place / "d/fixed").read_text() == "fixed"
        for name in flags:
            shown = [
                subprocess.run(["lsattr", "-d", name], cwd=top, check=True, capture_output=True, text=True).stdout
                for top in (made.source, place)
            ]
            assert shown[0] == shown[1]
    finally:
        for top in (made.source, tmp_path / "to"):
            subprocess.run(["chattr", "-R", "-f", "-ia", str(top)], check=False)


@needs_root
@pytest.mark.parametrize(
    ("without", "left"),
    [("acls", "acl"), ("xattrs", "xattr"), ("flags", "flags"), ("times", "time"), ("sparse", "holes")],
)
def test_each_kind_can_be_left_out(made: History, tmp_path: Path, without: str, left: str) -> None:
    made.write("file", b"")
    file = made.source / "file"
    os.truncate(file, 1 << 20)
    subprocess.run(["setfacl", "-m", "u:1000:r", file], check=True)
    subprocess.run(["chattr", "+d", file], check=True)
    os.setxattr(file, "user.a", b"1")
    os.utime(file, ns=(MOMENT, MOMENT))
    backup(made)

    def has(place: Path) -> set[str]:
        found = place / "file"
        there = found.stat()
        flags = subprocess.run(["lsattr", found], check=True, capture_output=True, text=True).stdout.split()[0]
        kinds = {
            "acl": "system.posix_acl_access" in os.listxattr(found),
            "xattr": "user.a" in os.listxattr(found),
            "flags": "d" in flags,
            "time": there.st_mtime_ns == MOMENT,
            "holes": there.st_blocks == 0,
        }
        return {kind for kind, is_there in kinds.items() if is_there}

    every = {"acl", "xattr", "flags", "time", "holes"}
    assert has(well(made, tmp_path / "all")) == every
    assert has(well(made, tmp_path / "some", without=frozenset([without]))) == every - {left}


@needs_root
def test_what_the_file_system_cannot_keep_is_told_once_for_many_files(made: History, tmp_path: Path) -> None:
    for number in range(20):
        made.write(f"file{number}", b"x")
        os.setxattr(made.source / f"file{number}", "user.large", bytes(3000))
    backup(made)
    with mounts.loop_mounted(tmp_path / "small", 8, "mkfs.ext4", "-q", "-b", "1024") as place:
        report = made.restore(place / "to")
        (lost,) = report.lost
    assert "user.*" in lost.reason
    assert "too large" in lost.reason
    assert lost.path.endswith("(and 19 others)")


@needs_root
def test_an_acl_that_the_destination_would_hand_down_is_none_of_the_backup(made: History, tmp_path: Path) -> None:
    made.write("d/file", b"x")
    backup(made)
    place = tmp_path / "to"
    place.mkdir()
    subprocess.run(["setfacl", "-d", "-m", "u:1000:rwx", place], check=True)
    well(made, place)
    assert [os.listxattr(path) for path in (place, place / "d", place / "d/file")] == [[], [], []]


@needs_root
def test_capabilities_survive_the_change_of_owner_and_the_setuid_bit_does(made: History, tmp_path: Path) -> None:
    made.write("tool", b"#!/bin/true")
    tool = made.source / "tool"
    os.chown(tool, 1234, 5678)
    tool.chmod(0o6755)
    os.setxattr(tool, "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    backup(made)
    found = well(made, tmp_path / "to") / "tool"
    there = found.stat()
    assert (there.st_uid, there.st_gid, there.st_mode & 0o7777) == (1234, 5678, 0o6755)
    assert os.getxattr(found, "security.capability") == os.getxattr(tool, "security.capability")


def extents(path: Path) -> list[tuple[int, int]]:
    found = []
    with path.open("rb") as file:
        at, size = 0, path.stat().st_size
        while at < size:
            try:
                data = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), data, os.SEEK_HOLE)
            found.append((data, at))
    return found


@pytest.mark.parametrize("size", [1 << 20, 5 << 20])
def test_holes_are_where_they_were_and_zeros_that_were_written_are_written(
    made: History, tmp_path: Path, size: int
) -> None:
    """In one unit and in several; whole, as a delta, and as a large file of several volumes that has a delta."""
    made.write("file", b"")
    file = made.source / "file"
    os.truncate(file, size)
    with file.open("r+b") as stream:
        stream.seek(300_000)
        stream.write(CONTENT)
        stream.seek(700_000)
        stream.write(bytes(70_000))
    backup(made)
    assert extents(well(made, tmp_path / "1") / "file") == extents(file)
    with file.open("r+b") as stream:
        stream.seek(size - 8192)
        stream.write(b"the end")
    backup(made)
    place = well(made, tmp_path / "2")
    assert extents(place / "file") == extents(file)
    assert (place / "file").read_bytes() == file.read_bytes()


def test_a_large_file_of_holes_needs_little_room(made: History, tmp_path: Path) -> None:
    made.write("file", b"")
    os.truncate(made.source / "file", 300 << 20)
    backup(made)
    with mounts.loop_mounted(tmp_path / "small", 16, "mkfs.ext4", "-q") as place:
        well(made, place / "to")
        assert (place / "to/file").stat().st_size == 300 << 20


ACL_2012 = b"# file: plain\n# owner: 0\n# group: 0\nuser::rw-\nuser:1000:r--\ngroup::r--\nmask::r--\nother::r--\n\n"


@needs_root
def test_a_backup_of_the_cya_of_2012_is_restored_whole(made: History, tmp_path: Path) -> None:
    """All names are in the archive; the files come in no order."""
    linked(made)
    made.write("plain", b"plain")
    inode = (made.source / "root").stat().st_ino
    records = [b"%d 4 %b\0" % (inode, name) for name in (b"./root", b"./c/behind", b"./a/before", b"./b/stored")]
    other = [b"77 2 ./d/one\0", b"77 2 ./gone\0"]
    made.write("d/one", b"one")
    files(
        made,
        {
            "acl.txt": ACL_2012,
            "attr.txt": b'# file: root\nuser.z="1"\n\n# file: plain\nuser.a=0saGk=\n\n',
            "hardlinks.txtz": b"".join([records[0], *other, *records[1:]]),
        },
    )
    made.backup()
    place = well(made, tmp_path / "to")
    assert len({(place / name).stat().st_ino for name in ("root", "a/before", "b/stored", "c/behind")}) == 1
    assert os.getxattr(place / "plain", "user.a") == b"hi"
    assert os.getxattr(place / "c/behind", "user.z") == b"1"
    assert (
        "user:1000:r--"
        in subprocess.run(["getfacl", "-n", "-p", place / "plain"], capture_output=True, text=True).stdout
    )
    assert not (place / ".dupext").exists()
    some = well(made, tmp_path / "some", paths=(Path("c"), Path("root")))
    assert (some / "c/behind").samefile(some / "root")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("hardlinks.txtz", b"not a record\0"),
        ("hardlinks.txtz", b"1 2 ./plain"),
        ("times.txtz", b"@1.0\0"),
        ("times.txtz", b"yesterday\0./plain\0"),
        ("times.txtz", b"@1.0\0./z\0@1.0\0./a\0"),
        ("acl.txt", b"# file: plain\nuser::rubbish\n"),
        ("attr.txt", b"# file: plain\nuser.a=0sNOT\n"),
        ("flags.txtz", b"+\xff\0./plain\0"),
        ("sparse.txtz", b"many\0./plain\0"),
        ("sockets.txtz", b"0755 0\0./s\0"),
    ],
)
def test_what_of_it_cannot_be_read_is_named_and_all_content_restored(
    made: History, tmp_path: Path, name: str, data: bytes
) -> None:
    made.write("plain", b"plain")
    files(made, {"format.txt": b"cya dupext 1\n", name: data})
    made.backup()
    report = made.restore(tmp_path / "to")
    (lost,) = report.lost
    assert lost.path.startswith(".dupext")
    assert "damaged" in lost.reason
    assert (tmp_path / "to/plain").read_bytes() == b"plain"


@pytest.mark.parametrize(
    "path", [b"../outside", b"./../outside", b"/etc/outside", b"./away/outside", b"./plain/x", b"./a//b"]
)
def test_nothing_in_it_leads_out_of_the_destination(made: History, tmp_path: Path, path: bytes) -> None:
    """``away`` is a symbolic link in the backup that leads to the directory above."""
    made.write("plain", b"plain")
    (made.source / "away").symlink_to("..")
    outside = tmp_path / "outside"
    outside.write_text("outside")
    os.utime(outside, (7, 7))
    files(
        made,
        {
            "format.txt": b"cya dupext 1\n",
            "hardlinks.txtz": b"1 2 ./plain\0" + b"1 2 %b\0" % path + b"2 2 %b\0" % path + b"2 2 ./new\0",
            "times.txtz": b"@99.0\0%b\0" % path,
            "flags.txtz": b"+i\0%b\0" % path,
            "attr.txt": b'# file: %b\nuser.a="1"\n\n' % path,
            "sockets.txtz": b"0777 0 0\0%b-socket\0" % path,
        },
    )
    made.backup()
    report = made.restore(tmp_path / "to")
    assert report.lost
    assert (tmp_path / "to/plain").read_bytes() == b"plain"
    assert sorted(os.listdir(tmp_path)) == ["outside", "to"]
    assert (outside.read_text(), outside.stat().st_mtime, os.listxattr(outside)) == ("outside", 7, [])
    assert outside.stat().st_nlink == 1


def test_a_damaged_volume_with_it_is_named_and_the_rest_restored(made: History, tmp_path: Path) -> None:
    made.write("m", random.Random(9).randbytes(1_200_000))
    made.write("zz", random.Random(9).randbytes(500_000))
    backup(linked(made))
    first = next(made.target.glob("*.vol1.difftar.gpg"))
    data = bytearray(first.read_bytes())
    for at in range(1000, 60_000, 500):
        data[at] ^= 1
    first.write_bytes(data)
    report = made.restore(tmp_path / "to")
    assert {each.path for each in report.damaged} == {first.name}
    assert any(each.path.startswith(".dupext") for each in report.lost)
    assert (tmp_path / "to/zz").stat().st_size == 500_000


@pytest.mark.skipif(not ROOT, reason="becomes another user")
def test_an_ordinary_user_gets_what_he_may_and_is_told_the_rest(made: History, tmp_path: Path) -> None:
    made.write("file", b"x")
    os.setxattr(made.source / "file", "user.a", b"1")
    os.setxattr(made.source / "file", "trusted.t", b"1")
    os.utime(made.source / "file", ns=(MOMENT, MOMENT))
    backup(linked(made))
    place = tmp_path / "to"
    place.mkdir()
    subprocess.run(["chown", "-R", "65534:65534", made.place, place, made.home], check=True)
    for above in (made.place, tmp_path, *tmp_path.parents):
        os.chmod(above, os.stat(above).st_mode | 0o011)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            report = made.restore(place)
            assert report.lost == (), report.lost
            assert any("trusted.*: only root" in note for note in report.notes), report.notes
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.getxattr(place / "file", "user.a") == b"1"
    assert (place / "file").stat().st_mtime_ns == MOMENT
    assert (place / "a/before").samefile(place / "root")


def test_a_time_of_any_year_is_restored_or_named(made: History, tmp_path: Path) -> None:
    for number, moment in enumerate((20_000_000_000 * 10**9 + 5, -9_500_000_000 * 10**9 - 7, 2**63 * 10**9)):
        made.write(f"file{number}", b"x")
        made.write(".dupext/format.txt", b"cya dupext 1\n")
        with (made.source / ".dupext/times.txtz").open("ab") as file:
            file.write(times.text(moment) + b"\0./file%d\0" % number)
    made.backup()
    report = made.restore(tmp_path / "to")
    assert [(tmp_path / f"to/file{number}").read_bytes() for number in range(3)] == [b"x"] * 3
    assert all("damaged" in each.reason or "times" in each.reason for each in report.lost)


@needs_root
def test_without_the_acl_the_group_gets_no_more_than_it_had(made: History, tmp_path: Path) -> None:
    """The mode of a file with an ACL has the mask in place of what the group may do."""
    made.write("key", b"secret")
    (made.source / "key").chmod(0o600)
    subprocess.run(["setfacl", "-m", "u:1000:r", made.source / "key"], check=True)
    assert (made.source / "key").stat().st_mode & 0o777 == 0o640
    backup(made)
    assert (well(made, tmp_path / "to") / "key").stat().st_mode & 0o777 == 0o640
    assert (well(made, tmp_path / "less", without=frozenset(["acls"])) / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [b"100", b"100000000000000"])
def test_a_map_of_holes_that_lies_changes_no_size(made: History, tmp_path: Path, size: bytes) -> None:
    made.write("plain", b"plain")
    files(made, {"format.txt": b"cya dupext 1\n", "sparse.txtz": b"%b:0+%b\0./plain\0" % (size, size)})
    made.backup()
    report = made.restore(tmp_path / "to")
    assert report.lost == ()
    assert any("holes" in note for note in report.notes)
    assert (tmp_path / "to/plain").read_bytes() == b"plain"


def test_missing_names_of_a_file_that_was_there_are_not_made_of_that(made: History, tmp_path: Path) -> None:
    backup(linked(made))
    place = tmp_path / "to"
    (place / "a").mkdir(parents=True)
    for name in ("a/before", "b/stored"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("mine")
    report = made.restore(place, existing="keep")
    assert {each.path for each in report.lost} <= {"root", "c/behind", "b/stored"}
    assert report.lost
    for name in ("root", "c/behind"):
        assert not (place / name).exists() or (place / name).read_bytes() == CONTENT
    assert (place / "a/before").read_text() == (place / "b/stored").read_text() == "mine"


@needs_root
def test_where_a_file_cannot_have_another_name_it_is_copied_and_that_is_said(made: History, tmp_path: Path) -> None:
    os.setxattr(linked(made).source / "root", "user.a", b"1")
    os.utime(made.source / "root", ns=(MOMENT, MOMENT))
    backup(made)
    place = tmp_path / "to"
    place.mkdir()
    with mounts.loop_mounted(place / "c", 8, "mkfs.ext4", "-q"):
        report = made.restore(place, existing="replace")
        (lost,) = report.lost
        assert "so they are copies" in lost.reason
        copy = place / "c/behind"
        assert copy.read_bytes() == CONTENT
        assert copy.stat().st_mtime_ns == MOMENT
        assert os.getxattr(copy, "user.a") == b"1"
        assert (place / "root").samefile(place / "b/stored")


@needs_root
def test_flags_that_were_taken_off_come_back_where_nothing_was_replaced(made: History, tmp_path: Path) -> None:
    made.write("a/f", b"x")
    subprocess.run(["chattr", "+i", made.source / "a/f"], check=True)
    try:
        backup(made)
        (tmp_path / "to/a/f/full").mkdir(parents=True)
        subprocess.run(["chattr", "+i", tmp_path / "to/a/f"], check=True)
        (lost,) = made.restore(tmp_path / "to", existing="replace").lost
        assert lost.path == "a/f"
        shown = subprocess.run(["lsattr", "-d", tmp_path / "to/a/f"], check=True, capture_output=True, text=True).stdout
        assert "i" in shown.split()[0]
    finally:
        subprocess.run(["chattr", "-R", "-f", "-i", made.source, tmp_path], check=False)
