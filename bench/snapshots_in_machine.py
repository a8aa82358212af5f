"""What the bench ``snapshots`` runs in a virtual machine, where ``/dev/vda`` is an empty disk of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_DISK = "/dev/vda"
_PLACE = Path("/tmp/measured")
_BLOCKS = (4 << 10, 1 << 20)
_SECTOR = 512
_SPREAD = 8
"""The file is as many times as large as what is written over, at places here and there."""


@dataclass(frozen=True)
class Kind:
    """A kind of snapshot, by shell commands.

    :ivar make: makes a file system on the disk and mounts it.
    :ivar snapshot: takes a snapshot of it.
    :ivar room: bytes that the snapshot takes; its output.
    """

    make: str
    snapshot: str
    room: str


_LVM = f"pvcreate -q {_DISK}; vgcreate -q vg0 {_DISK}"
_EXT4 = f"mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/vg0/root; mount /dev/vg0/root {_PLACE}"
_CLASSIC = f"{_LVM}; lvcreate -qy -L 512M -n root vg0; {_EXT4}"
_USED = "lvs --noheadings --nosuffix --units b -o {size},data_percent vg0/{name} | awk '{{ print $1 * $2 / 100 }}'"
KINDS = {
    "none (ext4 on LVM)": Kind(_CLASSIC, "true", "echo 0"),
    "LVM, classic": Kind(
        _CLASSIC, "lvcreate -qy -s -L 512M -n taken vg0/root", _USED.format(size="lv_size", name="taken")
    ),
    "LVM, thin": Kind(
        f"{_LVM}; lvcreate -qy --type thin-pool -L 1G -n pool vg0; "
        f"lvcreate -qy -V 512M -n root --thinpool pool vg0; {_EXT4}",
        "lvcreate -qy -s -kn -n taken vg0/root",
        _USED.format(size="lv_size", name="pool"),
    ),
    "btrfs": Kind(
        f"mkfs.btrfs -q -m single {_DISK}; mount {_DISK} {_PLACE}",
        f"btrfs -q subvolume snapshot -r {_PLACE} {_PLACE}/taken",
        f"btrfs filesystem usage -b {_PLACE} | awk '/^ *Used:/ {{ print $2 }}'",
    ),
}


def main(megabytes: int, kinds: Sequence[str]) -> None:
    """Measure; print one line of JSON for each kind and size of block."""
    _PLACE.mkdir()
    for name in kinds:
        for block in _BLOCKS:
            figures = _measured(KINDS[name], megabytes << 20, block)
            print(json.dumps({"kind": name, "block": block, **figures}), flush=True)
            _shell(
                f"umount {_PLACE}; vgchange -q -an vg0 2>/dev/null; vgremove -q -f vg0 2>/dev/null; wipefs -qa {_DISK}"
            )


def _measured(kind: Kind, size: int, block: int) -> dict[str, float]:
    _shell(f"set -e; {kind.make}")
    file = _PLACE / "file"
    with file.open("wb") as made:
        content = os.urandom(1 << 20)
        for _ in range(_SPREAD * size >> 20):
            made.write(content)
    _settle()
    _shell(f"set -e; {kind.snapshot}")
    before = float(_shell(kind.room))
    read, written = _transferred(lambda: _write_over(file, size, block))
    room = float(_shell(kind.room)) - before
    again = sum(_transferred(lambda: _write_over(file, size, block)))
    return {"read": read / size, "written": written / size, "room": room / size, "again": again / size}


def _write_over(file: Path, size: int, block: int) -> None:
    places = random.Random(1).sample(range(0, _SPREAD * size, block), size // block)
    content = os.urandom(block)
    descriptor = os.open(file, os.O_WRONLY)
    for number, place in enumerate(places):
        os.pwrite(descriptor, content, place)
        if not number % 64:
            os.fsync(descriptor)
    os.fsync(descriptor)
    os.close(descriptor)


def _transferred(job: Callable[[], None]) -> tuple[int, int]:
    """Return the bytes that the disk has read and written."""
    before = _counted()
    job()
    _settle()
    after = _counted()
    return after[0] - before[0], after[1] - before[1]


def _settle() -> None:
    _shell(f"sync -f {_PLACE}; sync")


def _counted() -> tuple[int, int]:
    fields = Path("/sys/block/vda/stat").read_text().split()
    return int(fields[2]) * _SECTOR, int(fields[6]) * _SECTOR


def _shell(command: str) -> str:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
