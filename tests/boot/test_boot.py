"""Whole Debian systems come back from a backup onto empty disks, by the commands of docs/bare-metal.md, and boot.

They are installed, live for a while and are backed up in qemu, without KVM; a rescue system restores them. That takes
half an hour, and is done with ``CYA_TEST_BOOT=1``, as root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.boot import tree
from tests.boot.machine import OVMF, Console, Disk, running

TEXT = (tree.PROJECT / "docs/bare-metal.md").read_text()
PASSPHRASE = "of the archive"
TOOLS = ("qemu-system-x86_64", "debootstrap", "mke2fs", "duplicity", "unshare", "rsync", "chattr")


def why_not() -> str:
    """Return why these tests are skipped; nothing if they are not."""
    if os.environ.get("CYA_TEST_BOOT") != "1":
        return "takes half an hour: CYA_TEST_BOOT=1 runs it"
    if os.geteuid() != 0:
        return "needs root: makes a Debian"
    missing = [name for name in TOOLS if shutil.which(name) is None] + ([] if OVMF.is_dir() else ["ovmf"])
    return f"not installed: {', '.join(missing)}" if missing else ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@dataclass(frozen=True)
class Layout:
    """What a machine has for disks, as ``install.sh`` makes them.

    :ivar heading: of the section that makes them anew.
    :ivar asks: what it asks when it boots, and the answers, after it was restored.
    """

    name: str
    disks: int
    heading: str
    uefi: bool = False
    asks: dict[str, str] = field(default_factory=dict)

    def loads(self, command: str) -> bool:
        """Whether a command is not about the other way to boot."""
        return "grub-install" not in command or ("efi" in command) == self.uefi


BIOS = Layout("bios", 1, "### One disk, BIOS")
STACK = Layout("stack", 2, "### Two disks: RAID, LUKS, LVM, UEFI", uefi=True, asks={"unlock disk .*: ": "disk"})

ANSWERS = {
    "(umask 077": [("passphrase: ", PASSPHRASE)],
    "cryptsetup luksFormat": [
        (r"capital letters\): ", "YES"),
        ("Enter passphrase for .*: ", "disk"),
        ("Verify passphrase: ", "disk"),
    ],
    "cryptsetup open": [("Enter passphrase for .*: ", "disk")],
}


def commands(heading: str) -> list[str]:
    """Return the commands below a heading, up to the next one; a line that ends in a backslash goes on."""
    section = re.split(r"^#", TEXT.split(f"\n{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]
    lines = "".join(block for block in blocks if "apt-get" not in block).replace("\\\n", "")
    return lines.splitlines()


def follow(console: Console, layout: Layout, *headings: str) -> str:
    """Type the commands of sections, one by one, and answer what they ask; return what they said."""
    said = ""
    for heading in headings:
        for command in commands(heading):
            if not layout.loads(command) or command == "systemctl poweroff":
                continue
            answers = next((found for start, found in ANSWERS.items() if command.startswith(start)), [])
            said += f"# {command}\n{console.run(command, answers)}"
    return said


@dataclass
class Lab:
    """A place to work in, with a rescue system that has all tools, cya among them.

    :ivar lived: the machines that have been installed and backed up, by name: their archives.
    """

    place: Path
    lived: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        debian = tree.debian()
        (self.kernel,), (self.initrd,) = ((debian / "boot").glob(f"{name}-*") for name in ("vmlinuz", "initrd.img"))
        system = tree.with_cya(debian, self.place / "rescue")
        self.rescue = tree.disk(self.place / "rescue.img", 1500, system, "rescue")
        shutil.rmtree(system)

    @contextmanager
    def rescued(self, name: str, layout: Layout, disks: Sequence[Disk]) -> Iterator[Console]:
        """Run the rescue system in a machine, and shut it down."""
        root = Disk(self.rescue, "virtio", scratch=True)
        uefi = self.uefi(name) if layout.uefi else None
        log = self.place / f"{name}-rescue.log"
        with running([root, *disks], log, uefi=uefi, kernel=self.kernel, initrd=self.initrd) as console:
            console.log_in()
            yield console
            console.power_off()

    @contextmanager
    def booted(self, name: str, layout: Layout, disks: Sequence[Disk]) -> Iterator[Console]:
        """Boot what the disks of a machine hold, and shut it down."""
        uefi = self.uefi(name) if layout.uefi else None
        with running(disks, self.place / f"{name}.log", uefi=uefi) as console:
            console.log_in(layout.asks)
            yield console
            console.power_off()

    def uefi(self, name: str) -> Path:
        """Return the memory of a machine's UEFI."""
        return self.place / f"{name}.vars"

    def empty(self, name: str, layout: Layout, megabytes: int) -> list[Disk]:
        """Return new disks for a machine."""
        places = [self.place / f"{name}-{number}.img" for number in range(layout.disks)]
        return [Disk(tree.disk(place, megabytes)) for place in places]

    def archive(self, layout: Layout) -> Path:
        """Install a machine, let it live, and return the disk with its archive and the facts about it."""
        if layout.name not in self.lived:
            self.lived[layout.name] = self._live(layout)
        return self.lived[layout.name]

    def _live(self, layout: Layout) -> Path:
        name = f"old-{layout.name}"
        disks = self.empty(name, layout, 2300)
        archive = tree.disk(self.place / f"{name}-archive.img", 1500)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "archive", archive], check=True)
        with self.rescued(name, layout, disks) as console:
            console.run(f"sh /root/boot/install.sh {layout.name}")
        with self.booted(name, layout, [*disks, Disk(archive, "virtio")]) as console:
            console.run("mkdir -p /tmp/archive; mount LABEL=archive /tmp/archive")
            for command in LIFE.strip().splitlines():
                console.run(command)
            console.run("umount /tmp/archive")
        for disk in disks:
            disk.file.unlink()
        return archive


LIFE = f"""
sh /root/boot/belongings.sh
mkdir -m 700 /etc/cya; umask 077; echo '{PASSPHRASE}' > /etc/cya/passphrase
cya init --config /etc/cya/web1.toml --source / --archive /tmp/archive/web1 --passphrase-file /etc/cya/passphrase
sed -i '/^#patterns/c patterns = ["- /proc/*", "- /sys/*", "- /dev/*", "- /run/*", "- /tmp/*"]' /etc/cya/web1.toml
cya backup --config /etc/cya/web1.toml
umask 022; echo later > /srv/links/later; rm /srv/links/two; setfacl -m u:anna:rx /srv/shared; sleep 2
sh /root/boot/facts.sh /tmp/archive/before
cya backup --config /etc/cya/web1.toml
cya list /tmp/archive/web1
"""
"""What happens to a machine before it is lost; the second backup is an increment."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def check_that_it_lives(lab: Lab, name: str, layout: Layout, disks: Sequence[Disk], archive: Path) -> None:
    """Boot a restored machine, and compare it with what it was."""
    with lab.booted(name, layout, [*disks, Disk(archive, "virtio", scratch=True)]) as console:
        said = {command: console.run(command, fails=True).strip() for command in commands("## The first boot")}
        print(said)
        assert said["systemctl is-system-running --wait"] == "running", said
        assert "0 loaded units listed" in said["systemctl --failed --no-pager"]
        assert said["dpkg --verify"] == ""
        console.run("mkdir -p /tmp/archive; mount LABEL=archive /tmp/archive")
        console.run("sh /root/boot/facts.sh /tmp/archive/after")
        differs = console.run("diff -r /tmp/archive/before /tmp/archive/after", fails=True)
        assert differs == ""
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
        print(
            follow(console, BIOS, "## The rescue system", "### What the machine was, without cya", "### What is in it")
        )
        print(follow(console, BIOS, BIOS.heading, "### Files without cya", "## The boot loader"))
    check_that_it_lives(lab, name, BIOS, disks, archive)


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
        # A shell can make no socket.
        assert differences(machine, trees[2]) == ["cS+++++++++ srv/links/socket"]
        diff = run("diff", "-r", before, facts(trees[2], lab.place / "facts-by-duplicity"), fails=True)
        assert [line.split()[-3] for line in diff.splitlines() if line[0] in "<>"] == ["./srv/links/socket"], diff
    finally:
        for each in trees:
            run("chattr", "-R", "-f", "-i", each, fails=True)  # so that pytest can delete it
