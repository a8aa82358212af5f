"""A small virtual machine that runs commands with this machine's files and Debian's kernel: what the kernel here may
not have (device-mapper), it has. qemu without KVM, which boots in seconds; what it writes to the files is thrown away.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
KERNEL = _PROJECT / ".kernel"
"""Where tools/set-up unpacks Debian's kernel."""
_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "9pnet_virtio", "9p", "overlay")
_PROGRAMS = ("qemu-system-x86_64", "busybox", "lvs")
_INIT = """#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
for module in $(cat /modules); do insmod /lib/$module || echo "insmod $module failed"; done
mkdir /tmp/host /tmp/upper /tmp/work /tmp/root
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /tmp/host || poweroff -f
mount -t overlay -o lowerdir=/tmp/host,upperdir=/tmp/upper,workdir=/tmp/work over /tmp/root || poweroff -f
cd /tmp/root
mkdir -p lib/modules
for each in proc sys dev run tmp lib/modules; do mkdir -p $each; done
mount -t proc proc proc; mount -t sysfs sys sys; mount -t devtmpfs dev dev
mount -t tmpfs run run; mount -t tmpfs -o mode=1777 tmp tmp
for each in $(cat /project); do mkdir -p .$each; mount --bind /tmp/host$each .$each; done
mkdir -p dev/shm dev/pts; mount -t tmpfs shm dev/shm; mount -t devpts pts dev/pts
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro modules lib/modules || poweroff -f
cat /command > tmp/command
exec switch_root /tmp/root /bin/sh /tmp/command
"""
_COMMAND = """export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
ip link set lo up; {network}
/lib/systemd/systemd-udevd --daemon
( {command} ) </dev/null 2>&1
echo "<<exit $?>>"
sync; echo o > /proc/sysrq-trigger; sleep 60
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code; None: the machine ended before the command."""

    code: int | None
    text: str


def why_not() -> str:
    """Return why no such machine can run here; nothing if one can."""
    if os.geteuid() != 0:
        return "needs root, to show this machine's files to another"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if KERNEL.is_dir() else f"no kernel in {KERNEL}: tools/set-up test"


needed = pytest.mark.skipif(bool(why_not()), reason=why_not())


def empty_disk(file: Path, megabytes: int) -> Path:
    """Make a disk with nothing on it; it takes no room before it is written to."""
    with file.open("wb") as made:
        made.truncate(megabytes << 20)
    return file


def run(command: str, place: Path, disks: Sequence[Path] = (), *, memory: int = 1024, patience: float = 1800) -> Said:
    """Run a shell command in a machine of its own.

    :param place: an empty directory for what it boots from.
    :param disks: files that are its disks, ``/dev/vda`` and so on.
    :param memory: MiB.
    :param patience: seconds.
    """
    (version,) = os.listdir(KERNEL / "lib/modules")
    initrd = _initrd(place, version, command)
    # fmt: off
    words = [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi",
        "-smp", "1", "-m", str(memory), "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
        "-nic", "user,model=virtio-net-pci",
        "-kernel", str(KERNEL / f"boot/vmlinuz-{version}"), "-initrd", str(initrd),
        "-append", "console=ttyS0 quiet panic=-1",
    ]
    # fmt: on
    for tag, path in (("host", Path("/")), ("modules", KERNEL / "lib/modules")):
        words += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,readonly=on,multidevs=remap"]
    for disk in disks:
        words += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, check=False)
        output = done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"") + f"\n(ended after {patience} s)".encode()
    text = output.decode(errors="replace").replace("\r", "")
    before, marked, after = text.rpartition("<<exit ")
    return Said(int(after.partition(">>")[0]), before) if marked else Said(None, text)


def _initrd(place: Path, version: str, command: str) -> Path:
    tree = place / "initrd"
    for name in ("bin", "sbin", "proc", "dev", "tmp", "lib"):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", tree / "bin/busybox")
    for name in ("sh", "mount", "insmod", "cat", "echo", "mkdir", "poweroff", "switch_root"):
        (tree / "bin" / name).symlink_to("busybox")
    modules = _with_dependencies(KERNEL / "lib/modules" / version)
    for module in modules:
        shutil.copy(module, tree / "lib" / module.name)
    # The machine has a /tmp of its own; a checkout that lies there has to be seen in it.
    (tree / "project").write_text(str(_PROJECT) if _PROJECT.is_relative_to("/tmp") else "")
    (tree / "modules").write_text(" ".join(module.name for module in modules))
    network = "ip link set eth0 up 2>/dev/null; ip addr add 10.0.2.15/24 dev eth0 2>/dev/null"
    (tree / "command").write_text(_COMMAND.format(command=command, network=network))
    init = tree / "init"
    init.write_text(_INIT)
    init.chmod(init.stat().st_mode | stat.S_IXUSR)
    initrd = place / "initrd.cpio"
    subprocess.run(
        f"find . | busybox cpio -o -H newc > {shlex.quote(str(initrd))}",
        shell=True,
        cwd=tree,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return initrd


def _with_dependencies(modules: Path) -> list[Path]:
    """Return the files of modules, each after those that it needs."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[Path(name).stem.partition(".")[0].replace("-", "_")] = [name, *rest.split()]
    found: list[str] = []
    for wanted in _MODULES:
        for path in reversed(needs.get(wanted.replace("-", "_"), [])):
            if path not in found:
                found.append(path)
    return [modules / path for path in found]
