"""Whole Debian systems come back from a backup onto empty disks, by the commands of docs/bare-metal.md, and boot.

They are installed, live for a while and are backed up in qemu, without KVM; a rescue system restores them. That takes
an hour, and is done with ``CYA_TEST_BOOT=1``, as root. ``CYA_BOOT_TREE`` is where the Debian that they are made of is
kept for the next time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence, Set
from pathlib import Path

import pytest

from tests.boot import tree
from tests.boot.guide import BIOS, PASSPHRASE, STACK, Layout, commands, follow
from tests.boot.lab import Lab
from tests.boot.machine import OVMF, Disk

TOOLS = ("qemu-system-x86_64", "debootstrap", "mke2fs", "duplicity", "unshare", "rsync", "chattr")


def why_not() -> str:
    """Return why these tests are skipped; nothing if they are not."""
    if os.environ.get("CYA_TEST_BOOT") != "1":
        return "takes an hour: CYA_TEST_BOOT=1 runs it"
    if os.geteuid() != 0:
        return "needs root: makes a Debian"
    missing = [name for name in TOOLS if shutil.which(name) is None] + ([] if OVMF.is_dir() else ["ovmf"])
    return f"not installed: {', '.join(missing)}" if missing else ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


NO_SOCKET = "./srv/links/socket"
"""A shell script makes none."""


def differing(diff: str) -> set[str]:
    """Return what the lines that differ are about; their last word, but for the target of a link."""
    return {line.split(" -> ")[0].split()[-1] for line in diff.splitlines() if line.startswith(("<", ">", "Only in"))}


def check_that_it_lives(
    lab: Lab, name: str, layout: Layout, disks: Sequence[Disk], archive: Path, but: Set[str] = frozenset()
) -> None:
    """Boot a restored machine, and compare it with what it was.

    :param but: what may differ.
    """
    with lab.booted(name, layout, [*disks, Disk(archive, "virtio", scratch=True)]) as console:
        said = {command: console.run(command, fails=True).strip() for command in commands("## The first boot")}
        print(said)
        assert said["systemctl is-system-running --wait"] == "running", said
        assert "0 loaded units listed" in said["systemctl --failed --no-pager"]
        assert said["dpkg --verify"] == ""
        console.run("mkdir -p /tmp/archive; mount LABEL=archive /tmp/archive")
        console.run("sh /root/boot/facts.sh /tmp/archive/after")
        differs = console.run("diff -r /tmp/archive/before /tmp/archive/after", fails=True)
        assert differing(differs) == but, differs
        assert console.run("ssh -V 2>&1; systemctl is-active ssh cron dbus").split()[-3:] == ["active"] * 3
        # Backups go on where they were.
        console.run("cya backup --config /etc/cya/web1.toml")
        assert "full" in console.run("cya list /tmp/archive/web1")
        console.run("umount /tmp/archive")


@pytest.mark.parametrize("layout", [BIOS, STACK], ids=lambda layout: layout.name)
def test_a_machine_comes_back_onto_empty_disks_and_boots(lab: Lab, layout: Layout) -> None:
    archive = lab.archive(layout)
    name = f"new-{layout.name}"
    disks = lab.empty(name, layout, 2600)
    with lab.rescued(name, layout, [*disks, Disk(archive, "virtio", scratch=True)]) as console:
        print(follow(console, layout, "## The rescue system", "## What the machine was", "### What is in it"))
        print(follow(console, layout, layout.heading, "## Files", "## The boot loader"))
    check_that_it_lives(lab, name, layout, disks, archive)


def test_a_machine_comes_back_without_cya_and_boots(lab: Lab) -> None:
    archive = lab.archive(BIOS)
    name = "new-without-cya"
    disks = lab.empty(name, BIOS, 2600)
    with lab.rescued(name, BIOS, [*disks, Disk(archive, "virtio", scratch=True)]) as console:
        console.run("rm /usr/local/bin/cya")
        known = ("## The rescue system", "### What the machine was, without cya", "### What is in it")
        print(follow(console, BIOS, *known))
        print(follow(console, BIOS, BIOS.heading, "### Files without cya", "## The boot loader"))
    # The time of the root is that of the rm -r of .dupext.
    check_that_it_lives(lab, name, BIOS, disks, archive, but={".", NO_SOCKET})


def run(*command: str | Path, fails: bool = False, **environment: str) -> str:
    """Run a command on this machine; return what it said."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", check=False)
    assert fails or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def facts(root: Path, to: Path) -> Path:
    """Return a directory with the facts about a tree."""
    run("chroot", root, "sh", "/root/boot/facts.sh", "/tmp/facts")
    shutil.move(root / "tmp/facts", to)
    return to


def differences(one: Path, other: Path) -> list[str]:
    """Return what rsync would have to do, the temporary directory and what lies beside the backup left out."""
    leave_out = [f"--exclude={each}" for each in ("/.dupext", "/tmp", "/var/lib/dpkg/lock")]
    command = ["rsync", "-aHAXn", "--numeric-ids", "--checksum", "--delete", "--itemize-changes", *leave_out]
    return run(*command, f"{one}/", f"{other}/").splitlines()


def test_the_files_of_a_whole_system_are_the_same_with_cya_and_without(lab: Lab) -> None:
    machine = tree.with_cya(tree.debian(), lab.place / "machine")
    trees = [machine, lab.place / "by-cya", lab.place / "by-duplicity"]
    try:
        run("chroot", machine, "sh", "/root/boot/belongings.sh")
        before = facts(machine, lab.place / "facts")
        (lab.place / "passphrase").write_text(PASSPHRASE)
        (lab.place / "passphrase").chmod(0o600)
        cya, archive, config = Path(sys.executable).with_name("cya"), lab.place / "archive", lab.place / "client.toml"
        key = ("--passphrase-file", lab.place / "passphrase")
        cache = ("--cache-dir", lab.place / "cache")
        run(cya, "init", "--config", config, "--source", machine, "--archive", archive, *key, *cache)
        run(cya, "backup", "--config", config)

        run(cya, "restore", trees[1], "--from", archive, *key, "--numeric-owner")
        assert differences(machine, trees[1]) == []
        assert run("diff", "-r", before, facts(trees[1], lab.place / "facts-by-cya"), fails=True) == ""

        (files,) = archive.glob("backups/*/*/*/*/*/files")
        url = f"file://{files}"
        stock = ("--archive-dir", lab.place / "cache-of-duplicity", "--numeric-owner")
        run("duplicity", "restore", *stock, url, trees[2], PASSPHRASE=PASSPHRASE)
        run("sh", trees[2] / ".dupext/restore.sh", trees[2])
        assert differences(machine, trees[2]) == [f"cS+++++++++ {NO_SOCKET.removeprefix('./')}"]
        diff = run("diff", "-r", before, facts(trees[2], lab.place / "facts-by-duplicity"), fails=True)
        assert differing(diff) == {NO_SOCKET}, diff
    finally:
        for each in trees:
            run("chattr", "-R", "-f", "-i", each, fails=True)  # so that pytest can delete it
