"""A machine on LVM is backed up from snapshots, over SFTP, while a database is written to; it comes back into a new
volume group, by the commands of docs/bare-metal.md, and boots. Needs what :mod:`.test_boot` needs, and a quarter of an
hour.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cya.archive.collect import collect
from tests.archive.own_machine import CYA
from tests.boot.guide import LVM, PASSPHRASE, commands, follow
from tests.boot.lab import Lab
from tests.boot.machine import Console, Disk
from tests.boot.test_boot import differing, why_not
from tests.boot.tree import disk
from tests.e2e.sftp_host import USER, ArchiveHost, archive_host

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
WHO = f"{USER}-lvm"
HERE = Path(__file__).parent
CONFIG = "/etc/cya/web1.toml"
NETWORK = """set -- /sys/class/net/e*; ip link set "${1##*/}" up; ip addr add 10.0.2.15/24 dev "${1##*/}" """
DATABASE = "/var/tmp/shop.db"
WRITER = f"""import os, sqlite3, time
with sqlite3.connect("{DATABASE}") as made:
    made.execute("PRAGMA journal_mode = wal")
    made.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER)")
    made.execute("CREATE TABLE moved (id INTEGER PRIMARY KEY)")
    made.executemany("INSERT INTO account VALUES (?, 100)", ((n,) for n in range(100)))
connection = sqlite3.connect("{DATABASE}", isolation_level=None)
open("/run/writer.pid", "w").write(str(os.getpid()))
number = 0
while True:
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE account SET money = money - 1 WHERE id = ?", (number * 7 % 100,))
    connection.execute("UPDATE account SET money = money + 1 WHERE id = ?", (number * 13 % 100,))
    connection.execute("INSERT INTO moved VALUES (?)", (number,))
    connection.execute("COMMIT")
    time.sleep(0.05)  # the snapshot has room for a tenth of the volume
"""
CHECKER = f"""import sqlite3
connection = sqlite3.connect("{DATABASE}")
print(*connection.execute("PRAGMA integrity_check").fetchone())
print(*connection.execute("SELECT sum(money), count(*) FROM account").fetchone())
print(*connection.execute("SELECT count(*) FROM moved").fetchone())
"""
HOOK = "echo after > /var/tmp/marker; echo after > /home/marker"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lvm-lab"))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveHost]:
    with archive_host(tmp_path) as made:
        yield made


def now() -> datetime:
    return datetime.now(UTC)


def write(console: Console, path: str, text: str) -> None:
    console.run(f"cat > {path} <<'END'\n{text}\nEND")


def client(console: Console, archive: ArchiveHost, source: str, config: str) -> None:
    """Set a client up, and have the archive host take it in."""
    console.run(NETWORK)
    console.run(
        f"cya init --config {config} --source {source} --archive sftp://{WHO}@10.0.2.2:{archive.port} "
        "--passphrase-file /root/passphrase"
    )
    key = console.run(f"cat {config.removesuffix('.toml')}.key.pub").strip()
    archive.take_in(WHO, key, now().replace(tzinfo=None).isoformat(timespec="seconds"))
    console.run(f"sed -i 's|^#host_key = .*|host_key = \"{archive.host_key}\"|' {config}")


def test_a_machine_on_lvm_is_backed_up_from_snapshots_and_comes_back_and_boots(
    lab: Lab, archive: ArchiveHost, tmp_path: Path
) -> None:
    facts = disk(tmp_path / "facts.img", 300)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "facts", facts], check=True)
    root = Path("/srv/cya") / WHO
    disks = lab.empty("old-lvm", LVM, 2700)
    with lab.rescued("old-lvm", LVM, disks) as console:
        console.run("sh /root/boot/install.sh lvm")
    with lab.booted("old-lvm", LVM, [*disks, Disk(facts, "virtio")]) as console:
        console.run("mkdir -p /tmp/facts; mount LABEL=facts /tmp/facts; sh /root/boot/belongings.sh")
        console.run(f"umask 077; echo '{PASSPHRASE}' > /root/passphrase; umask 022; mkdir -m 700 /etc/cya")
        client(console, archive, "/", CONFIG)
        patterns = 'patterns = ["- /proc/*", "- /sys/*", "- /dev/*", "- /run/*", "- /tmp/*"]'
        console.run(f"sed -i '/^#patterns/c {patterns}' {CONFIG}")
        # The cache lies on the volume itself, which has little room: four volumes of a backup have to fit in.
        console.run(f'sed -i \'/^#kind = .auto./c kind = "lvm"\\nsize = "20%"\' {CONFIG}')
        console.run(f"sed -i 's/^#*volume_size = .*/volume_size = 10/' {CONFIG}")
        write(console, "/root/hook", HOOK)
        console.run(f'sed -i \'/^#release/c release = [["sh", "/root/hook"]]\' {CONFIG}')
        print(console.run(f"cya snapshots --config {CONFIG}"))
        print(console.run(f"cya backup --config {CONFIG}"))
        assert len(collect(root, now()).committed) == 1
        write(console, "/root/writer.py", WRITER)
        console.run("(setsid python3 /root/writer.py > /dev/null 2>&1 &); sleep 5")
        console.run("echo before > /var/tmp/marker; echo before > /home/marker")
        console.run("sh /root/boot/facts.sh /tmp/facts/before")
        print(console.run(f"cya backup --config {CONFIG}"))
        console.run("kill $(cat /run/writer.pid)")
        assert len(collect(root, now()).committed) == 1
        assert console.run("cat /var/tmp/marker /home/marker").split() == ["after", "after"]
        assert "cya-" not in console.run("lvs")
        assert "cya-" not in console.run("findmnt --list -o SOURCE,TARGET; ls /run/cya")
        console.run("umount /tmp/facts")
    for each in disks:
        each.file.unlink()

    disks = lab.empty("new-lvm", LVM, 2800)
    with lab.rescued("new-lvm", LVM, disks) as console:
        console.run(f"umask 077; echo '{PASSPHRASE}' > /root/passphrase; umask 022")
        client(console, archive, "/mnt", "/root/web1.toml")
        lent = subprocess.run([CYA, "lend", WHO], capture_output=True, text=True, check=False)
        assert lent.returncode == 0, lent.stderr
        console.run("cya restore /tmp/info --config /root/web1.toml --path .dupext/system")
        assert "cya-" not in console.run("cat /tmp/info/.dupext/system/lvm-vg0.vg")
        print(follow(console, LVM, "### What is in it", LVM.heading))
        print(console.run("cya restore /mnt --config /root/web1.toml --numeric-owner --overwrite"))
        print(follow(console, LVM, "## The boot loader"))
    with lab.booted("new-lvm", LVM, [*disks, Disk(facts, "virtio", scratch=True)]) as console:
        said = {command: console.run(command, fails=True).strip() for command in commands("## The first boot")}
        assert said["systemctl is-system-running --wait"] == "running", said
        assert said["dpkg --verify"] == ""
        assert console.run("cat /var/tmp/marker /home/marker").split() == ["before", "before"]
        write(console, "/root/checker.py", CHECKER)
        whole, total, moved = console.run("python3 /root/checker.py").splitlines()
        assert (whole, total) == ("ok", "10000 100")
        assert int(moved) > 0
        console.run("mkdir -p /tmp/facts; mount LABEL=facts /tmp/facts; sh /root/boot/facts.sh /tmp/facts/after")
        differs = console.run("diff -r /tmp/facts/before /tmp/facts/after", fails=True)
        # LVM itself notes each change of a group before it makes it, so that the snapshots' own are in them.
        noted = {path for path in differing(differs) if path.startswith("./etc/lvm/archive")}
        assert differing(differs) - noted <= {".", "./root", "./home/marker", "./home", "./root/checker.py"}, differs
        assert "cya-" not in console.run("lvs")
        # Backups go on where they were; the key is the old one again, which the archive host has to know.
        key = console.run("cat /etc/cya/web1.key.pub").strip()
        archive.take_in(WHO, key, now().replace(tzinfo=None).isoformat(timespec="seconds"))
        console.run(NETWORK)
        told = json.loads(console.run(f"cya backup --config {CONFIG} --json"))
        assert told["kind"] == "inc"
        assert len(told["snapshots"]) == 2
        assert len(collect(root, now()).committed) == 1
