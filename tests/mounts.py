"""Real file systems for tests; the caller needs root. They are unmounted whatever happens."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import pytest


@contextmanager
def small_file_system(place: Path, megabytes: int) -> Iterator[Path]:
    """Make an ext4 file system in a file and mount it on a loop device; skip visibly where that cannot be done."""
    with loop_mounted(place, megabytes, "mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal"):
        yield place


@contextmanager
def loop_mounted(place: Path, megabytes: int, *mkfs: str) -> Iterator[Path]:
    """Make a file system in a file by a command, and mount it on a loop device; skip visibly where that cannot be."""
    image = place.with_suffix(".img")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    try:
        subprocess.run([*mkfs, image], check=True, capture_output=True, text=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no {mkfs[0]} and loop mount here: {error.stderr.strip()}")
    except FileNotFoundError as error:
        pytest.skip(f"not installed: {error.filename}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class Cut(IntEnum):
    """How the file system goes down (linux/fs.h)."""

    NAMES_WITHOUT_CONTENTS = 1
    """FS_SHUTDOWN_FLAGS_LOGFLUSH: the journal is written, data are not. What lies between fsyncs is at its worst."""
    NOTHING_MORE = 2
    """FS_SHUTDOWN_FLAGS_NOLOGFLUSH: nothing more is written at all."""


_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN, ``_IOR('X', 125, __u32)``: the file system stops where it stands, as if the power were gone."""
_MEGABYTES = 320
"""XFS makes nothing below 300. The files are sparse."""


@dataclass(frozen=True)
class JournalledFileSystem:
    """A mounted file system whose power can be cut."""

    place: Path
    device: str

    def sync(self) -> None:
        """Write everything to the disk."""
        subprocess.run(["sync", "--file-system", self.place], check=True)

    def cut(self, how: Cut = Cut.NOTHING_MORE) -> None:
        """Cut the power, and mount again, which replays the journal. No process may have anything open on it."""
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, int(how).to_bytes(4, "little"))
        finally:
            os.close(fd)
        subprocess.run(["umount", self.place], check=True)
        subprocess.run(["mount", self.device, self.place], check=True)


@contextmanager
def journalled_file_system(place: Path, kind: str) -> Iterator[JournalledFileSystem]:
    """Make a file system with a journal, ``ext4`` or ``xfs``, on a loop device; skip visibly where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"no mkfs.{kind} here")
    place.mkdir()
    image = place.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(_MEGABYTES << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    attached = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if attached.returncode != 0:
        pytest.skip(f"no loop devices here: {attached.stderr.strip()}")
    device = attached.stdout.strip()
    try:
        with own_mounts():
            mounted = subprocess.run(["mount", device, place], capture_output=True, text=True, check=False)
            if mounted.returncode != 0:
                pytest.skip(f"{kind} cannot be mounted here: {mounted.stderr.strip()}")
            try:
                yield JournalledFileSystem(place, device)
            finally:
                subprocess.run(["umount", "--lazy", place], check=False)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


_CLONE_NEWNS = 0x00020000


@contextmanager
def own_mounts() -> Iterator[None]:
    """Let nobody else see what is mounted in the block; skip visibly where that cannot be.

    Whoever makes a mount namespace meanwhile would get a copy of every mount, and keep file systems alive that have
    been unmounted here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    cwd = Path.cwd()
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNS) != 0:
            pytest.skip(f"no mount namespaces here: {os.strerror(ctypes.get_errno())}")
        try:
            private = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
            if private.returncode != 0:
                pytest.skip(f"no private mounts here: {private.stderr.strip()}")
            yield
        finally:
            if libc.setns(home, _CLONE_NEWNS) != 0:
                pytest.exit(f"cannot come back from a mount namespace: {os.strerror(ctypes.get_errno())}")
            os.fchdir(root)
            os.chroot(".")  # coming back alone would lead out of a chroot
            os.chdir(cwd)
    finally:
        os.close(root)
        os.close(home)


@contextmanager
def memory() -> Iterator[Path]:
    """A directory in memory where there is one, for tests whose time would go into hundreds of fsyncs."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as directory:
        yield Path(directory)
