"""Snapshots of a real btrfs, by both engines: the top itself, subvolumes in it, and other file systems on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import loop_mounted
from tests.snapshot.site import Site, changing, fill, picture, same


def subvolume(path: Path) -> Path:
    subprocess.run(["btrfs", "-q", "subvolume", "create", path], check=True)
    return path


def subvolumes(top: Path) -> str:
    return subprocess.run(["btrfs", "subvolume", "list", top], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def other(site: Site) -> Iterator[Path]:
    """An XFS, or an ext4, that is mounted in the source."""
    kind = {"native": "xfs", "duplicity": "ext4"}[site.engine]
    with loop_mounted(site.place / "boot", 320, f"mkfs.{kind}", "-q") as place:
        (site.source / "boot").mkdir()
        subprocess.run(["mount", "--move", place, site.source / "boot"], check=True)
        yield site.source / "boot"
        subprocess.run(["mount", "--move", site.source / "boot", place], check=True)


def test_what_changes_while_the_backup_runs_is_as_it_was_at_the_snapshot(site: Site, other: Path) -> None:
    nested = subvolume(site.source / "home")
    deep = subvolume(nested / "anna \n*")
    for top in (site.source, nested, deep, other):
        fill(top / "files")
    was = picture(site.source)
    change = changing(site.place, [top / "files" for top in (site.source, nested, deep)])
    site.configure("auto", hooks={"release": [change]})
    done = site.backup()
    assert [each.partition(":")[0] for each in done["snapshots"]] == [str(site.source)]
    assert (site.source / "files/etc/passwd").read_text().endswith("changed\n")
    assert same(was, site.restored()) == []
    assert subvolumes(site.source).count(" path ") == 2
    site.nothing_left()


def test_subvolumes_of_a_subvolume_that_is_mounted_in_the_source(site: Site, tmp_path: Path) -> None:
    """Each file system has subvolumes of its own; one over which something is mounted is not to be seen."""
    with loop_mounted(tmp_path / "second", 300, "mkfs.btrfs", "-q") as second:
        fill(subvolume(second / "deep") / "files")
        fill(subvolume(second / "hidden") / "files")
        (site.source / "mounted").mkdir()
        subprocess.run(["mount", "--move", second, site.source / "mounted"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", site.source / "mounted/hidden"], check=True)
        (site.source / "mounted/hidden/seen").touch()
        tops = [site.source / "mounted/deep/files"]
        was = picture(site.source)
        site.configure("auto", hooks={"release": [changing(site.place, tops)]})
        assert len(site.backup()["snapshots"]) == 2
        assert same(was, site.restored()) == []
        site.nothing_left()
        subprocess.run(["umount", site.source / "mounted/hidden"], check=True)
        subprocess.run(["mount", "--move", site.source / "mounted", second], check=True)


def test_what_is_not_a_snapshot_is_read_only_and_as_it_is(site: Site, other: Path) -> None:
    fill(other / "files")
    site.configure("auto", hooks={"release": [changing(site.place, [other / "files"])]})
    site.backup()
    assert same(picture(other), site.restored() / "boot") == []


def test_changing_to_a_snapshot_and_back_sends_nothing_again(site: Site, other: Path) -> None:
    fill(subvolume(site.source / "home") / "files")
    fill(other / "files")
    fill(site.source / "files")
    site.backup()
    for kind in ("auto", "btrfs", "none"):
        site.configure(kind)
        counted = site.backup()["statistics"]
        assert [counted[name] for name in ("NewFiles", "ChangedFiles", "DeletedFiles", "RawDeltaSize")] == [0, 0, 0, 0]
    assert same(picture(site.source), site.restored()) == []


def test_patterns_are_written_for_the_real_paths(site: Site, other: Path) -> None:
    fill(subvolume(site.source / "home") / "files")
    fill(site.source / "files")
    source = site.source
    patterns = [f"+ {source}/home/**/passwd", f"- {source}/**/etc/*", f"- {source}/files/data", f"- {other}"]
    site.configure(selection={"patterns": patterns})
    site.backup()
    plain = picture(site.restored())
    site.configure("auto", selection={"patterns": patterns})
    counted = site.backup()["statistics"]
    assert [counted[name] for name in ("NewFiles", "ChangedFiles", "DeletedFiles")] == [0, 0, 0]
    site.backup("--full")
    assert picture(site.restored()) == plain
    assert {"home/files/etc/passwd", "files/etc"} <= plain.keys()
    assert not {"files/etc/passwd", "files/data", "boot"} & plain.keys()


def test_one_file_system_is_the_subvolume_alone(site: Site, other: Path) -> None:
    fill(subvolume(site.source / "home") / "files")
    fill(other / "files")
    fill(site.source / "files")
    site.configure("none", selection={"one_file_system": True})
    site.backup()
    plain = picture(site.restored())
    site.configure("auto", selection={"one_file_system": True})
    counted = site.backup()["statistics"]
    assert [counted[name] for name in ("NewFiles", "ChangedFiles", "DeletedFiles")] == [0, 0, 0]
    assert picture(site.restored()) == plain
    assert "files/data" in plain
    assert not [path for path in plain if "/" in path and path.startswith(("home", "boot"))]


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "a directory of the top"])
def test_a_source_in_a_subvolume(site: Site, tmp_path: Path, mounted: bool) -> None:
    system = subvolume(site.source / "@")
    (system / "srv").mkdir()
    fill(system / "srv" / "files")
    if mounted:
        place = tmp_path / "root"
        place.mkdir()
        device = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", "--nofsroot", site.source], check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run(["mount", "-o", "subvol=@", device, place], check=True)
        site.source = place / "srv"
    else:
        site.source = system / "srv"
    was = picture(site.source)
    site.configure("btrfs", hooks={"release": [changing(site.place, [site.source / "files"])]})
    site.backup()
    assert same(was, site.restored()) == []
    site.nothing_left()
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_the_top_looks_as_before_and_keeps_its_time(site: Site) -> None:
    fill(site.source / "files")
    site.configure("auto")
    before = site.source.stat().st_mtime_ns
    site.backup()
    site.backup()
    assert site.source.stat().st_mtime_ns == before
    assert sorted(path.name for path in site.source.iterdir()) == ["files"]
    assert sorted(path.name for path in site.restored().iterdir() if path.name != ".dupext") == ["files"]


def test_snapshots_of_others_are_left_alone(site: Site) -> None:
    fill(site.source / "files")
    site.configure("auto")
    shared = site.source / ".cya-snapshots"
    shared.mkdir(0o700)
    (shared / "cya-0123456789").mkdir(0o700)
    own = shared / site.owner
    own.mkdir(0o700)
    kept = ["btrfs", "-q", "subvolume", "snapshot", "-r", str(site.source)]
    names = [shared / "cya-0123456789/cya-0123456789-6566-0", own / "of-mine", own / f"{site.owner}-6566"]
    for name in names:
        subprocess.run([*kept, name], check=True)
    (own / f"{site.owner}-6566-7").mkdir()  # no subvolume
    stale = own / f"{site.owner}-6566-0"
    subprocess.run([*kept, stale], check=True)
    site.backup()
    assert not stale.exists()
    assert all((name / "files/data").exists() for name in names)
    assert (own / f"{site.owner}-6566-7").exists()


def test_a_place_that_is_not_roots_alone_is_refused(site: Site) -> None:
    fill(site.source / "files")
    site.configure("auto")
    (site.source / ".cya-snapshots/mine").mkdir(0o755, parents=True)
    assert "is not root's alone (0700)" in site.fails()
    site.nothing_left()


def test_read_only_snapshots_of_other_programs_are_read_without_another(site: Site) -> None:
    fill(site.source / "files")
    fixed = site.source / "snapper"
    subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r", site.source, fixed], check=True)
    site.configure("auto")
    site.backup()
    assert same(picture(site.source), site.restored()) == []


def test_the_kind_that_is_asked_for_has_to_be_there(site: Site, tmp_path: Path) -> None:
    site.configure("lvm")
    assert f"{site.source} is btrfs on /dev/loop" in site.fails()
    site.configure("zfs")
    assert '"auto" takes what can be taken' in site.fails()
    site.source = tmp_path / "plain"
    fill(site.source)
    site.configure("btrfs")
    assert "takes no snapshot" in site.fails()
    site.configure("auto")
    assert site.backup()["snapshots"] == []


def test_a_mount_that_is_to_be_read_live(site: Site) -> None:
    fill(site.source / "files")
    change = changing(site.place, [site.source / "files"])
    site.configure("auto", snapshot={"live": [site.source]}, hooks={"release": [change]})
    assert site.backup()["snapshots"] == []
