"""A place where machines are installed, backed up, lost, and restored by a rescue system."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.boot import tree
from tests.boot.guide import PASSPHRASE, Layout
from tests.boot.machine import Console, Disk, running

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
        with running([root, *disks], log, uefi, self.kernel, self.initrd, network=layout.network) as console:
            console.log_in()
            yield console
            console.power_off()

    @contextmanager
    def booted(self, name: str, layout: Layout, disks: Sequence[Disk]) -> Iterator[Console]:
        """Boot what the disks of a machine hold, and shut it down."""
        uefi = self.uefi(name) if layout.uefi else None
        with running(disks, self.place / f"{name}.log", uefi, network=layout.network) as console:
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
