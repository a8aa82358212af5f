"""What ``test_lvm`` runs in a virtual machine, where ``/dev/vda`` and ``/dev/vdb`` are empty disks of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.snapshot.databases import check_sqlite, sqlite_under_load
from tests.snapshot.killing import killed, steps
from tests.snapshot.site import Site, changing, fill, picture, same

TOP = Path("/tmp/lvm")
SOURCE = TOP / "source"
GROUP = "vg0"


def run(*words: object) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def volumes() -> set[str]:
    return set(run("lvs", "--noheadings", "-o", "lv_name", GROUP).split())


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """An ext4 and an XFS on classic volumes, an ext4 on a thin one, a plain one, and a part that is bound."""
    run("pvcreate", "-q", "/dev/vda")
    run("vgcreate", "-q", GROUP, "/dev/vda")
    run("lvcreate", "-q", "-L", "100M", "-n", "root", GROUP)
    run("lvcreate", "-q", "-L", "320M", "-n", "home", GROUP)
    run("lvcreate", "-q", "--type", "thin-pool", "-L", "100M", "-n", "pool", GROUP)
    run("lvcreate", "-q", "-V", "60M", "-n", "var", "--thinpool", "pool", GROUP)
    for device, kind, place in (
        (f"/dev/{GROUP}/root", "ext4", SOURCE),
        (f"/dev/{GROUP}/home", "xfs", SOURCE / "home"),
        (f"/dev/{GROUP}/var", "ext4", SOURCE / "var"),
        ("/dev/vdb", "ext4", SOURCE / "boot"),
    ):
        run(f"mkfs.{kind}", "-q", device)
        place.mkdir(parents=True, exist_ok=True)
        run("mount", device, place)
    (SOURCE / "again").mkdir()
    (SOURCE / "home/part").mkdir()
    run("mount", "--bind", SOURCE / "home/part", SOURCE / "again")
    for top in ("", "home", "var", "boot", "home/part"):
        fill(SOURCE / top / "files")
    yield SOURCE
    run("umount", "--recursive", SOURCE)
    run("vgchange", "-q", "-an", GROUP)


@pytest.fixture
def site(tree: Path, tmp_path: Path) -> Site:
    return Site(tmp_path, tree)


def test_volumes_are_found_and_shown(site: Site) -> None:
    site.configure("auto")
    told = site.cya("snapshots", "--config", site.config).stdout
    assert f"{SOURCE}: LVM volume vg0/root: a snapshot of 10% of it" in told
    assert f"{SOURCE}/home: LVM volume vg0/home: a snapshot of 10% of it" in told
    assert f"{SOURCE}/var: LVM volume vg0/var: a thin snapshot" in told
    assert f"{SOURCE}/again: LVM volume vg0/home" in told
    assert f"{SOURCE}/boot: ext4 on /dev/vdb: read as it is" in told


def test_what_changes_while_the_backup_runs_is_as_it_was_at_the_snapshot(site: Site) -> None:
    taken = ["", "home", "var", "home/part"]
    for top in (SOURCE / each / "files" for each in [*taken, "boot"]):
        (top / "etc/gone").write_text("again\n")
    was = picture(SOURCE)
    site.configure("lvm", hooks={"release": [changing(site.place, [SOURCE / each / "files" for each in taken])]})
    before = volumes()
    site.backup()
    assert picture(SOURCE) != was
    assert same(was, site.restored()) == []
    assert volumes() == before
    site.nothing_left()


def test_sqlite_under_write_load_on_each_kind_of_volume_is_restored_and_opens_consistent(site: Site) -> None:
    """Also on XFS: what its log holds is recovered in the snapshot, beside the file system that it is the twin of."""
    files = [SOURCE / top / "shop.db" for top in ("", "home", "var")]
    site.configure("lvm", snapshot={"size": "50%"})
    with ExitStack() as loads:
        for file in files:
            loads.enter_context(sqlite_under_load(file, "wal", pause=0.1))
        site.backup()
    to = site.restored()
    for file in files:
        assert 200 <= check_sqlite(to / file.relative_to(SOURCE)) < check_sqlite(file)
        file.unlink()


def test_stock_duplicity_reads_a_snapshot_too_and_nothing_is_sent_again(site: Site) -> None:
    site.engine = "duplicity"
    site.configure()
    site.backup()
    site.configure("auto")
    counted = site.backup()["statistics"]
    assert [counted[name] for name in ("NewFiles", "ChangedFiles", "DeletedFiles", "RawDeltaSize")] == [0, 0, 0, 0]
    assert same(picture(SOURCE), site.restored()) == []
    site.nothing_left()


def test_a_snapshot_that_becomes_full_makes_the_backup_fail(site: Site) -> None:
    fills = f"dd if=/dev/urandom of={SOURCE}/home/much bs=1M count=40 status=none; sync"
    site.configure("auto", snapshot={"size": "8M"}, hooks={"release": [["sh", "-c", fills]]})
    before = volumes()
    said = site.fails()
    assert f"{SOURCE}/home: its snapshot vg0/{site.owner}-" in said
    assert "is full (8 MiB)" in said
    assert "snapshot.size" in said
    os.unlink(SOURCE / "home/much")
    assert volumes() == before
    assert site.cya("list", site.root, "--json").stdout.strip() == "[]"
    site.nothing_left()


def test_one_that_becomes_full_in_the_middle_is_noticed_before_the_end(site: Site) -> None:
    fills = f"dd if=/dev/urandom of={SOURCE}/home/much bs=1M count=40 status=none; sync"
    slow = f"sleep 600; touch {site.place}/waited"
    site.configure(
        "auto",
        snapshot={"size": "8M"},
        hooks={"release": [["sh", "-c", fills]]},
        dumps={"slow": {"kind": "command", "command": ["sh", "-c", slow]}},
    )
    assert "is full (8 MiB)" in site.fails()
    os.unlink(SOURCE / "home/much")
    assert not (site.place / "waited").exists()
    site.nothing_left()


def test_no_room_for_a_snapshot_says_what_to_do_and_leaves_none(site: Site) -> None:
    run("lvcreate", "-q", "-l", "100%FREE", "-n", "filler", GROUP)
    before = volumes()
    site.configure("auto")
    said = site.fails()
    assert volumes() == before
    run("lvremove", "-q", "-y", f"{GROUP}/filler")
    assert "snapshot of vg0/root" in said
    assert "ask for less with snapshot.size" in said
    site.nothing_left()


def test_a_thin_pool_that_is_nearly_full_is_not_made_fuller(site: Site) -> None:
    run("lvcreate", "-q", "-V", "200M", "-n", "greedy", "--thinpool", "pool", GROUP)
    for at in range(48):
        if float(run("lvs", "--noheadings", "-o", "data_percent", f"{GROUP}/pool")) >= 95:
            break
        run("dd", "if=/dev/urandom", "of=/dev/vg0/greedy", "bs=2M", "count=1", f"seek={at}", "oflag=direct")
    site.configure("auto")
    said = site.fails()
    run("lvremove", "-q", "-y", f"{GROUP}/greedy")
    assert "its thin pool vg0/pool is" in said
    assert "lvextend" in said
    assert not [name for name in volumes() if name.startswith("cya-")]


def test_volumes_of_others_are_left_alone(site: Site) -> None:
    mine = f"{site.owner}-6566-0"
    named = f"{site.owner}-6566-1"
    other = "cya-0123456789-6566-0"
    for name, tags in ((mine, ("cya", site.owner)), (named, ()), (other, ("cya", "cya-0123456789"))):
        words = [word for tag in tags for word in ("--addtag", tag)]
        run("lvcreate", "-q", "-s", "-L", "8M", "-n", name, *words, f"{GROUP}/root")
    site.configure("auto")
    site.backup()
    left = volumes()
    assert mine not in left
    assert {named, other} <= left
    for name in (named, other):
        run("lvremove", "-q", "-y", f"{GROUP}/{name}")


def test_killed_at_each_step_the_next_run_succeeds_and_nothing_is_left(site: Site) -> None:
    site.source = SOURCE / "var"
    (SOURCE / "var/files/data").write_bytes(b"small")
    site.configure("auto")
    before = volumes()
    all_steps = steps(site)
    assert {step.program for step in all_steps} >= {"mount", "umount", "lvs", "lvcreate", "lvremove"}
    for step in all_steps:
        if step.program not in ("lvcreate", "lvremove", "mount", "umount"):
            continue  # the others change nothing; btrfs' test has them all
        for when in ("before", "after") if step.program in ("lvcreate", "lvremove") else ("after",):
            killed(site, step, when)
            site.cya("snapshots", "--config", site.config, "--remove")
            assert volumes() == before, (step, when)
    site.backup()
    site.nothing_left()
