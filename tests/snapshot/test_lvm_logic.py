"""What is asked of LVM, and what is made of its answers, with stand-ins: without root, and on any kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from cya.errors import SnapshotError
from cya.snapshot import lvm, programs
from cya.snapshot.lvm import Lvm
from cya.snapshot.mounts import Mount
from cya.snapshot.names import Owner
from cya.snapshot.protocol import Wanted
from tests.snapshot.standins import StandIns

OWNER = Owner("cya-0123456789")
ROOT = Mount(1, Path("/"), "/dev/mapper/vg0-root", "ext4", Path("/"), "253:0")
HOME = Mount(2, Path("/home"), "/dev/mapper/vg0-home", "xfs", Path("/"), "253:1")
PART = Mount(3, Path("/srv"), "/dev/mapper/vg0-home", "xfs", Path("/part"), "253:1")
BOOT = Mount(4, Path("/boot"), "/dev/sda1", "ext4", Path("/"), "8:1")
WANTED = Wanted(OWNER, 0x6566, "10%", Path("/run/cya/x"))
NAME = "vg0/cya-0123456789-6566-"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    host = StandIns(tmp_path / "host")
    host.install("lvs", "lvcreate", "lvremove")
    host.volume("root", "253:0")
    host.volume("home", "253:1")
    host.volume("swap", "-1:-1")
    monkeypatch.setenv("PATH", str(host.programs), prepend=":")
    for device in ("253:0", "253:1", "253:5"):
        (tmp_path / "sys" / device / "dm").mkdir(parents=True)
    monkeypatch.setattr(lvm, "_DEVICES", tmp_path / "sys")
    monkeypatch.setattr(lvm, "_MAPPER", tmp_path / "sys")
    return host


def asked(host: StandIns, program: str) -> list[list[str]]:
    return [words[1:] for words in host.state["log"] if words[0] == program]


def test_the_volume_is_found_by_the_number_of_its_device(host: StandIns) -> None:
    found = Lvm().find([BOOT, ROOT, HOME, PART], "10%")
    assert [each.mount for each in found] == [ROOT, HOME, PART]
    assert found[0].what == "LVM volume vg0/root"
    assert found[0].costs == "a snapshot of 10% of it"
    assert Lvm().find([ROOT], "5G")[0].costs == "a snapshot of 5G"


def test_a_machine_without_lvm_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cya.snapshot.programs._ROOTS", ())
    assert Lvm().find([ROOT], "10%") == []
    assert Lvm().left(OWNER) == []
    Lvm().remove(OWNER)


def test_lvs_is_not_asked_where_nothing_lies_on_a_volume(host: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    host.change(fails={"lvs": ["  /dev/mapper/control: open failed: Operation not permitted"] * 9})
    assert Lvm().find([BOOT], "10%") == []
    with pytest.raises(SnapshotError, match="looking for LVM volumes: lvs: /dev/mapper/control"):
        Lvm().find([ROOT], "10%")
    monkeypatch.setattr(lvm, "_MAPPER", Path("/nonexistent"))
    assert Lvm().left(OWNER) == []


def test_a_volume_that_is_mounted_twice_is_mounted_once_and_writable_if_any_is(host: StandIns, tmp_path: Path) -> None:
    host.change(snapshots=[])
    (host.programs / "mount").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/mounted\n')
    (host.programs / "mount").chmod(0o755)
    part = Mount(7, Path("/srv"), "/dev/mapper/vg0-root", "ext4", Path("/part"), "253:0")
    taken = Lvm().take([ROOT, part, HOME], Path("/"), Wanted(OWNER, 0x6566, "10%", Path("/x"), writable=True))
    places = [taken.pieces[mount].mount(tmp_path / str(n)) for n, mount in enumerate((part, ROOT, HOME))]
    assert places == [tmp_path / "0", tmp_path / "0", tmp_path / "2"]
    snapshot = "/dev/vg0/cya-0123456789-6566-"
    assert (tmp_path / "mounted").read_text().splitlines() == [
        f"--types ext4 --options rw,nosuid,nodev {snapshot}0 {tmp_path}/0",
        f"--types xfs --options ro,nosuid,nodev,nouuid {snapshot}1 {tmp_path}/2",
    ]


def test_each_volume_is_taken_once_with_name_tags_and_size(host: StandIns) -> None:
    taken = Lvm().take([ROOT, HOME, PART], Path("/"), WANTED)
    tags = ["--addtag", "cya", "--addtag", "cya-0123456789"]
    assert asked(host, "lvcreate") == [
        ["--yes", "--snapshot", "--name", f"cya-0123456789-6566-{n}", *tags, "--extents", "10%ORIGIN", f"vg0/{volume}"]
        for n, volume in enumerate(("root", "home"))
    ]
    assert {mount.target: str(piece.part) for mount, piece in taken.pieces.items()} == {
        Path("/"): ".",
        Path("/home"): ".",
        Path("/srv"): "part",
    }


def test_a_source_within_a_mount_is_its_part(host: StandIns) -> None:
    taken = Lvm().take([HOME], Path("/home/anna"), WANTED)
    assert taken.pieces[HOME].part == Path("anna")


def test_a_size_in_gigabytes_and_a_thin_volume(host: StandIns) -> None:
    host.volume("var", "253:5", segtype="thin", pool_lv="pool")
    host.volume("pool", "253:6", segtype="thin-pool", data_percent="12.5", metadata_percent="3.1")
    var = Mount(9, Path("/var"), "/dev/mapper/vg0-var", "ext4", Path("/"), "253:5")
    Lvm().take([ROOT, var], Path("/"), Wanted(OWNER, 1, "5G", Path("/run/cya/x")))
    classic, thin = asked(host, "lvcreate")
    assert classic[-3:] == ["--size", "5G", "vg0/root"]
    assert thin[-3:] == ["--setactivationskip", "n", "vg0/var"]
    assert "--size" not in thin


@pytest.mark.parametrize("full", [{"data_percent": "95.0"}, {"metadata_percent": "97.3"}])
def test_a_full_pool_is_refused_and_given_up(host: StandIns, full: dict[str, str]) -> None:
    host.volume("var", "253:5", segtype="thin", pool_lv="pool")
    pool = {"segtype": "thin-pool", "data_percent": "12.5", "metadata_percent": "3.1"}
    host.volume("pool", "253:6", **pool)
    var = Mount(9, Path("/var"), "/dev/mapper/vg0-var", "ext4", Path("/"), "253:5")
    kind = Lvm()
    kind.take([var], Path("/var"), WANTED)
    kind.check()
    host.change(volumes=[row | full if row["lv_name"] == "pool" else row for row in host.state["volumes"]])
    with pytest.raises(SnapshotError, match=r"/var: its thin pool vg0/pool is 9[57] % full.*lvextend"):
        kind.check()
    with pytest.raises(SnapshotError, match="thin pool"):
        Lvm().take([var], Path("/var"), WANTED)


@pytest.mark.parametrize("full", [{"data_percent": "99.2"}, {"lv_snapshot_invalid": "1"}])
def test_a_full_snapshot_is_told(host: StandIns, full: dict[str, str]) -> None:
    kind = Lvm()
    kind.take([ROOT], Path("/"), WANTED)
    kind.check()
    host.change(volumes=[row | (full if row["lv_name"].startswith("cya-") else {}) for row in host.state["volumes"]])
    with pytest.raises(SnapshotError, match=r"/: its snapshot vg0/cya-0123456789-6566-0 is full \(1024 MiB\)"):
        kind.check()


def test_a_snapshot_that_somebody_removed_is_told(host: StandIns) -> None:
    kind = Lvm()
    kind.take([ROOT], Path("/"), WANTED)
    host.change(volumes=[row for row in host.state["volumes"] if not row["lv_name"].startswith("cya-")])
    with pytest.raises(SnapshotError, match="was removed while it was read"):
        kind.check()


def test_only_what_has_both_name_and_tags_is_ours(host: StandIns) -> None:
    tags = "cya,cya-0123456789"
    host.volume("cya-0123456789-6566-0", "253:7", lv_tags=tags)
    for name, others in (
        ("cya-0123456789-6566-1", "cya"),
        ("cya-0123456789-6566-2", "cya-0123456789"),
        ("cya-0123456789-6566-3", ""),
        ("cya-0123456789-data", tags),
        ("cya-9876543210-6566-0", "cya,cya-9876543210"),
        ("root2", tags),
    ):
        host.volume(name, "253:8", lv_tags=others)
    assert Lvm().left(OWNER) == ["vg0/cya-0123456789-6566-0"]
    before = len(host.state["volumes"])
    Lvm().remove(OWNER)
    assert asked(host, "lvremove") == [["--yes", "vg0/cya-0123456789-6566-0"]]
    assert len(host.state["volumes"]) == before - 1


def test_a_volume_that_is_in_use_for_a_moment_is_removed_after_it(host: StandIns) -> None:
    host.volume("cya-0123456789-6566-0", "253:7", lv_tags="cya,cya-0123456789")
    busy = "  Logical volume vg0/cya-0123456789-6566-0 contains a filesystem in use."
    host.change(fails={"lvremove": [busy, busy]})
    Lvm().remove(OWNER)
    assert Lvm().left(OWNER) == []


def test_one_that_stays_in_use_is_told(host: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PATIENCE", 0.0)
    host.volume("cya-0123456789-6566-0", "253:7", lv_tags="cya,cya-0123456789")
    host.change(fails={"lvremove": ["  Logical volume in use."] * 5})
    with pytest.raises(SnapshotError, match=r"removing the snapshot vg0/cya-0123456789-6566-0: lvremove: .*in use"):
        Lvm().remove(OWNER)


@pytest.mark.parametrize(
    "said",
    [
        '  Volume group "vg0" has insufficient free space (2 extents): 25 required.',
        "  Insufficient suitable allocatable extents found for logical volume cya-0123456789-6566-0: 25 required",
    ],
)
def test_no_room_tells_what_to_do(host: StandIns, said: str) -> None:
    host.change(fails={"lvcreate": [said]})
    with pytest.raises(SnapshotError, match=r"snapshot of vg0/root: lvcreate: .*25 required.*snapshot\.size"):
        Lvm().take([ROOT], Path("/"), WANTED)


@pytest.mark.parametrize("answer", ["", "no JSON", '{"report": []}'])
def test_odd_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    (tmp_path / "lvs").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (tmp_path / "lvs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "253:0/dm").mkdir(parents=True)
    monkeypatch.setattr(lvm, "_DEVICES", tmp_path)
    if answer == "no JSON":
        with pytest.raises(SnapshotError, match="lvs answered what is no JSON"):
            Lvm().find([ROOT], "10%")
    else:
        assert Lvm().find([ROOT], "10%") == []
