"""What is told about the machine: real programs on real disks in files, and stand-ins for programs that misbehave."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cya.metadata import system

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look at disks")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def sh(*command: str | Path, said: str | None = None) -> str:
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False, env={"PATH": PATH})
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextmanager
def loop(image: Path, megabytes: int) -> Iterator[str]:
    """Make an empty disk in a file, as a loop device; skip visibly where that cannot be."""
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    attached = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if attached.returncode != 0:
        pytest.skip(f"no loop devices here: {attached.stderr.strip()}")
    device = attached.stdout.strip()
    try:
        yield device
    finally:
        sh("losetup", "--detach", device)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty disk that counts as one of the machine's, unlike other loop devices."""
    with loop(tmp_path / "disk", 64) as device:
        monkeypatch.setattr(system, "disks", lambda: [os.path.basename(device)])
        name = os.path.basename(device).encode()
        monkeypatch.setattr(system, "_NO_DISK", re.compile(rb"/dev/(?!%b\b)loop\d" % name))
        yield device


@pytest.fixture
def bin_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of stand-in programs, which come first."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{PATH}")
    return place


def program(place: Path, name: str, script: str) -> None:
    (place / name).write_text(f"#!/bin/sh\n{script}\n")
    (place / name).chmod(0o755)


def skipped(files: dict[bytes, bytes]) -> dict[str, str]:
    lines = files.get(system.SKIPPED, b"").decode().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def test_the_same_machine_gives_the_same_bytes_sorted_by_name(tmp_path: Path) -> None:
    first = system.collect(tmp_path)
    time.sleep(1.1)  # a stamp in whole seconds would differ now
    assert system.collect(tmp_path) == first
    assert list(first) == sorted(first)
    assert first[b"boot.txt"] in (b"BIOS\n", b"UEFI\n")
    assert os.uname().release in first[b"kernel.txt"].decode()
    assert "blockdevices" in json.loads(first[b"lsblk.json"])


def test_each_part_is_there_or_is_said_to_be_missing_and_why(tmp_path: Path) -> None:
    files = system.collect(tmp_path)
    reasons = skipped(files)
    assert not {os.fsencode(name) for name in reasons} & set(files)
    for name in ("blkid.txt", "lvm-pvs.txt", "mdadm.conf", "findmnt.json", "swap.txt", "fstab", "network.json"):
        assert name.encode() in files or reasons[name]
    assert all(content.strip() for content in files.values())


def test_what_belongs_to_a_tree_of_files_is_the_sources(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text("LABEL=theirs / ext4\n")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: hello\nStatus: install ok installed\nArchitecture: all\nVersion: 2.10-3\nDescription: greets\n"
    )
    files = system.collect(tmp_path)
    assert files[b"fstab"] == b"LABEL=theirs / ext4\n"
    if shutil.which("dpkg-query"):
        assert files[b"dpkg-versions.txt"] == b"hello\t2.10-3\n"
        assert files[b"dpkg-selections.txt"].split() == [b"hello", b"install"]
    assert files.get(b"hostname") == (Path("/etc/hostname").read_bytes() if Path("/etc/hostname").exists() else None)


def test_a_pipe_in_the_tree_of_a_container_does_not_stop_the_backup(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/hostname")
    (tmp_path / "etc/fstab").symlink_to("/dev/zero")
    files = system.collect(tmp_path)
    assert b"kernel.txt" in files
    assert len(files.get(b"fstab", b"")) < 1 << 20


@needs_root
@needs("sfdisk", "blkid")
def test_a_partition_table_comes_back_from_what_is_told_of_it(disk: str, tmp_path: Path) -> None:
    sh(
        "sfdisk",
        disk,
        said="label: gpt\nsize=1M, type=21686148-6449-6E6F-744E-656564454649\nsize=20M, name=root\ntype=S\n",
    )
    name = f"sfdisk-{os.path.basename(disk)}.txt"
    told = system.collect(tmp_path)[name.encode()]
    sh("wipefs", "--all", disk)
    assert name in skipped(system.collect(tmp_path))
    sh("sfdisk", disk, said=told.decode())
    assert system.collect(tmp_path)[name.encode()] == told
    assert b'name="root"' in told


@needs_root
@needs("pvcreate", "vgcfgrestore")
def test_a_volume_group_comes_back_with_its_volumes_and_their_uuids(disk: str, tmp_path: Path) -> None:
    sh("pvcreate", "--quiet", disk)
    sh("vgcreate", "--quiet", "cyatest", disk)
    with_volume(tmp_path, "cyatest", disk)
    files = system.collect(tmp_path)
    told = files[b"lvm-cyatest.vg"]
    assert b"creation_time = 0\n" in told
    assert system.collect(tmp_path)[b"lvm-cyatest.vg"] == told
    uuid = sh("pvs", "--noheadings", "-o", "pv_uuid", disk).strip()
    assert uuid.encode() in files[b"lvm-pvs.txt"]

    sh("wipefs", "--all", disk)
    (tmp_path / "told").write_bytes(told)
    sh("pvcreate", "--quiet", "--uuid", uuid, "--restorefile", tmp_path / "told", disk)
    sh("vgcfgrestore", "--file", tmp_path / "told", "cyatest")
    again = system.collect(tmp_path)[b"lvm-cyatest.vg"]
    assert without_counters(again) == without_counters(told)
    assert sh("lvs", "--noheadings", "-o", "lv_name,lv_size", "--units", "m", "cyatest").split() == ["data", "8.00m"]


def with_volume(tmp_path: Path, group: str, disk: str) -> None:
    """Make a volume as vgcfgrestore does, which needs no device mapper in the kernel."""
    sh("vgcfgbackup", "--file", tmp_path / "vg", group)
    text = (tmp_path / "vg").read_text()
    volume = """
        logical_volumes { data { id = "0dQzLk-1111-2222-3333-4444-5555-abcdef" status = ["READ", "WRITE", "VISIBLE"]
        flags = [] segment_count = 1 segment1 { start_extent = 0 extent_count = 2 type = "striped" stripe_count = 1
        stripes = ["pv0", 0] } } }
    """
    head, brace, tail = text.rstrip().rpartition("}")
    (tmp_path / "vg").write_text(head + volume + brace + tail + "\n")
    sh("vgcfgrestore", "--file", tmp_path / "vg", group)


def without_counters(group: bytes) -> list[bytes]:
    return [line for line in group.splitlines() if b"seqno" not in line]


@needs_root
@needs("mkfs.ext4", "dumpe2fs", "blkid")
def test_how_a_file_system_was_made_is_told_and_not_how_it_is_used(disk: str, tmp_path: Path) -> None:
    sh("mkfs.ext4", "-q", "-L", "data", "-I", "512", disk)
    uuid = sh("blkid", "-o", "value", "-s", "UUID", disk).strip()
    before = system.collect(tmp_path)
    told = before[f"ext4-{uuid}.txt".encode()].decode()
    assert "Inode size:          512\n" in told
    assert "Filesystem features:      has_journal" in told
    assert "Free" not in told
    place = tmp_path / "mounted"
    place.mkdir()
    sh("mount", disk, place)
    try:
        (place / "file").write_text("something\n" * 10000)
        sh("sync", "--file-system", place)
        used = system.collect(tmp_path)
    finally:
        sh("umount", place)
    assert used[f"ext4-{uuid}.txt".encode()] == before[f"ext4-{uuid}.txt".encode()]
    assert used[b"blkid.txt"] == before[b"blkid.txt"]


@needs_root
@needs("cryptsetup")
def test_of_an_encrypted_disk_parameters_are_told_and_no_keys(disk: str, tmp_path: Path) -> None:
    fast = ("--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    made = subprocess.run(
        ["cryptsetup", "luksFormat", *fast, "--key-file", "-", disk], input=b"secret", capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no cryptsetup here: {made.stderr.decode()}")
    uuid = sh("blkid", "-o", "value", "-s", "UUID", disk).strip()
    told = system.collect(tmp_path)[f"crypto_LUKS-{uuid}.txt".encode()]
    assert b"aes-xts-plain64" in told
    assert b"MK bits" not in told
    assert len(told) < 10_000  # the key slots alone have 250 kB each


def test_a_program_that_hangs_is_ended_and_the_rest_is_there(
    bin_first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_first, "lsblk", f"echo $$ > {tmp_path}/pid; sleep 1000 & wait")
    monkeypatch.setattr(system, "PATIENCE", 0.5)
    began = time.monotonic()
    files = system.collect(tmp_path)
    assert time.monotonic() - began < 10
    assert skipped(files)["lsblk.json"] == "lsblk did not end within 0.5 seconds"
    assert b"kernel.txt" in files
    left = subprocess.run(
        ["pgrep", "-r", "R,S,D", "-g", (tmp_path / "pid").read_text().strip()], capture_output=True, check=False
    )
    assert left.stdout == b""


def test_a_program_that_is_missing_fails_or_talks_nonsense_is_named(
    bin_first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_first, "lsblk", "echo '{ no JSON'")
    program(bin_first, "findmnt", "echo 'findmnt: it is broken' >&2; echo more >&2; exit 3")
    program(bin_first, "swapon", "kill -9 $$")
    (bin_first / "ip").write_text("no program at all")
    (bin_first / "ip").chmod(0o755)
    monkeypatch.setattr(system, "_STANDARD_PATH", ())
    monkeypatch.setenv("PATH", f"{bin_first}:relative")
    files = system.collect(tmp_path)
    reasons = skipped(files)
    assert "line 1" in reasons["lsblk.json"]
    assert reasons["findmnt.json"] == "findmnt: it is broken"
    assert reasons["swap.txt"] == "swapon ended with exit code -9"
    assert "Exec format error" in reasons["network.json"]
    if os.geteuid() == 0:
        assert reasons["blkid.txt"] == "blkid is not installed"


def test_what_programs_say_is_said_in_english_and_without_ours_from_outside(
    bin_first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/nowhere")
    program(bin_first, "swapon", "env | grep -v -e ^PATH= -e ^PWD= -e ^_= -e ^SHLVL=")
    assert system.collect(tmp_path)[b"swap.txt"].split() == [b"HOME=/", b"LC_ALL=C", b"TZ=UTC"]


def test_an_ordinary_user_is_told_what_needs_root(as_nobody: None, tmp_path: Path) -> None:
    files = system.collect(tmp_path)
    reasons = skipped(files)
    assert [reasons[name] for name in ("blkid.txt", "lvm-pvs.txt", "mdadm.conf")] == ["needs root"] * 3
    assert b"kernel.txt" in files


def test_what_is_listed_in_another_order_is_told_in_the_same(bin_first: Path, tmp_path: Path) -> None:
    order = tmp_path / "order"
    program(bin_first, "lsblk", f'printf \'{{"blockdevices": [%s]}}\' "$(cat {order})"')
    program(bin_first, "swapon", f"tr , '\\n' < {order}")
    seen = []
    for text in ('{"name": "sda"},{"name": "sdb"}', '{"name": "sdb"},{"name": "sda"}'):
        order.write_text(text)
        files = system.collect(tmp_path)
        seen.append((files[b"lsblk.json"], files[b"swap.txt"]))
    assert seen[0] == seen[1]


def test_addresses_that_pass_and_interfaces_that_come_and_go_are_left_out(bin_first: Path, tmp_path: Path) -> None:
    def address(text: str, **more: object) -> dict[str, object]:
        return {"local": text, "prefixlen": 64, "scope": "global", "valid_life_time": 7, **more}

    links = [
        {
            "ifname": "br0",
            "address": "02:00:00:00:00:01",
            "linkinfo": {"info_kind": "bridge"},
            "addr_info": [
                address("2001:db8::2", temporary=True),
                address("2001:db8::1"),
                address("fe80::1", scope="link"),
            ],
        },
        {"ifname": "veth1", "linkinfo": {"info_kind": "veth"}, "addr_info": [address("192.0.2.1")]},
    ]
    (tmp_path / "links").write_text(json.dumps(links))
    program(bin_first, "ip", f"cat {tmp_path / 'links'}")
    told = json.loads(system.collect(tmp_path)[b"network.json"])
    assert told == [{"name": "br0", "mac": "02:00:00:00:00:01", "kind": "bridge", "addresses": ["2001:db8::1/64"]}]


def test_disks_and_raids_may_have_partitions_and_drives_without_a_disk_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size, is_device in [
        ("sda", 100, True),
        ("cciss!c0d0", 100, True),
        ("sdb", 0, True),  # a card reader
        ("sr0", 100, True),
        ("md0", 100, False),
        ("loop0", 100, False),
        ("dm-0", 100, False),
        ("nvme0c0n1", 100, True),
    ]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(f"{size}\n")
        if is_device:
            (tmp_path / name / "device").mkdir()
    (tmp_path / "nvme0c0n1/hidden").write_text("1\n")
    monkeypatch.setattr(system, "_BLOCK", tmp_path)
    assert system.disks() == ["cciss!c0d0", "md0", "sda"]


def test_a_machine_with_uefi_is_told_with_what_it_boots(
    bin_first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "_EFI", tmp_path)
    program(bin_first, "efibootmgr", "printf 'BootCurrent: 0001\\nTimeout: 0 seconds\\nBootOrder: 0001\\n'")
    files = system.collect(tmp_path)
    assert files[b"boot.txt"] == b"UEFI\n"
    assert files[b"efibootmgr.txt"] == b"Timeout: 0 seconds\nBootOrder: 0001\n"


def test_it_takes_a_moment(tmp_path: Path) -> None:
    began = time.monotonic()
    system.collect(tmp_path)
    assert time.monotonic() - began < 5
