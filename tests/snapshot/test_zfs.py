"""ZFS by stand-ins alone: its module is not in Debian's kernel. The rest of the way is real, and needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.errors import SnapshotError
from cya.snapshot.mounts import Mount
from cya.snapshot.names import Owner
from cya.snapshot.protocol import Wanted
from cya.snapshot.zfs import Zfs
from tests.mounts import own_mounts
from tests.snapshot.site import Site, changing, fill, picture, same
from tests.snapshot.standins import StandIns

OWNER = Owner("cya-0123456789")
WANTED = Wanted(OWNER, 0x6566, "10%", Path("/run/cya/x"))
DATA = Mount(1, Path("/tank"), "tank", "zfs", Path("/"), "0:50")
HOME = Mount(2, Path("/tank/home"), "tank/home", "zfs", Path("/"), "0:51")
OTHER = Mount(3, Path("/pool"), "pool", "zfs", Path("/"), "0:52")
NAME = "cya-0123456789-6566-0"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    host = StandIns(tmp_path / "host")
    host.install("zfs")
    (tmp_path / "copies").mkdir()
    sets = {}
    for name in ("tank", "tank/home", "pool"):
        sets[name] = str(tmp_path / "sets" / name.replace("/", "_"))
        Path(sets[name]).mkdir(parents=True)
    host.change(place=str(tmp_path / "copies"), sets=sets)
    monkeypatch.setenv("PATH", str(host.programs), prepend=":")
    return host


def test_all_data_sets_of_a_pool_are_taken_at_once(host: StandIns) -> None:
    assert [each.what for each in Zfs().find([DATA, HOME, OTHER], "10%")] == [
        "ZFS data set tank",
        "ZFS data set tank/home",
        "ZFS data set pool",
    ]
    Zfs().take([DATA, HOME, OTHER], Path("/tank"), WANTED)
    assert [words[1:] for words in host.state["log"]] == [
        ["snapshot", "-o", "cya:owner=cya-0123456789", f"tank@{NAME}", f"tank/home@{NAME}"],
        ["snapshot", "-o", "cya:owner=cya-0123456789", f"pool@{NAME}"],
    ]


def test_a_snapshot_that_is_mounted_is_none_to_be_taken(host: StandIns) -> None:
    assert Zfs().find([Mount(1, Path("/x"), "tank@daily", "zfs", Path("/"), "0:50")], "10%") == []


def test_only_what_has_both_name_and_property_is_ours(host: StandIns) -> None:
    Zfs().take([DATA], Path("/tank"), WANTED)
    own = f"tank@{NAME}"
    others = [[f"tank/home@{NAME}", "", ""], ["tank@daily", "cya-0123456789", ""], ["tank@cya-9-1-0", "cya-9", ""]]
    host.change(snapshots=[*host.state["snapshots"], *others])
    assert Zfs().left(OWNER) == [own]
    Zfs().remove(OWNER)
    assert host.state["snapshots"] == others


def test_one_that_cannot_be_removed_is_told(host: StandIns) -> None:
    Zfs().take([DATA], Path("/tank"), WANTED)
    host.change(fails={"zfs destroy": ["cannot destroy snapshot: dataset is busy"]})
    with pytest.raises(SnapshotError, match=r"removing the snapshot tank@.*dataset is busy"):
        Zfs().remove(OWNER)


@pytest.fixture
def site(host: StandIns, tmp_path: Path) -> Iterator[Site]:
    """A client whose source is a "data set", with another one in it."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    source = tmp_path / "tank"
    source.mkdir()
    with own_mounts():
        subprocess.run(["mount", "-t", "tmpfs", "tank", source], check=True)
        (source / "home").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "home", source / "home"], check=True)
        host.change(sets={"tank": str(source), "tank/home": str(source / "home")})
        host.install("mount", "findmnt")
        (tmp_path / "client").mkdir()
        site = Site(tmp_path / "client", source)
        site.first = host.programs
        yield site
        subprocess.run(["umount", "--recursive", source], check=True)


def test_a_whole_backup_of_data_sets(site: Site, host: StandIns) -> None:
    for top in (site.source, site.source / "home"):
        fill(top / "files")
    was = picture(site.source)
    change = changing(site.place, [site.source / "files", site.source / "home/files"])
    site.configure("zfs", hooks={"release": [change]})
    site.backup()
    assert picture(site.source) != was
    restored = site.restored()
    shutil.rmtree(restored / "home/home", ignore_errors=True)
    assert same(was, restored) == []
    assert host.state["snapshots"] == []
    site.nothing_left()


def test_a_failure_in_the_middle_leaves_nothing(site: Site, host: StandIns) -> None:
    fill(site.source / "files")
    site.configure("zfs", hooks={"release": [["false"]]})
    site.fails()
    assert host.state["snapshots"] == []
    site.nothing_left()
    host.change(fails={"zfs snapshot": ["cannot create snapshot: out of space"]})
    site.configure("zfs")
    assert "snapshot of ZFS data sets of tank: zfs: cannot create snapshot: out of space" in site.fails()
    site.nothing_left()
