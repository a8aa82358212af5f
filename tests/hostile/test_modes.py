"""Modes, ACLs, attributes and flags that an owner may set."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cya.archive.collect import Collected
from cya.config.root import RootConfig
from tests.archive.conftest import at
from tests.hostile.villain import Villain
from tests.hostile.world import (
    COMMITTED,
    DAY,
    SERVED_ANEW,
    Outcome,
    Scene,
    World,
    mounted_tmpfs,
    needs_root,
    open_to_all,
)
from tests.mounts import loop_mounted
from tests.standin import increment_names

pytestmark = needs_root


def on_files(act: Callable[[Path], object]) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        for name in it.upload(DAY):
            act(it.next / name)

    return attack


def on_next(act: Callable[[Path], object], *, upload: bool = True) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        if upload:
            it.upload(DAY)
        act(it.next)

    return attack


def acl(*words: str) -> Callable[[Path], object]:
    return lambda path: subprocess.run(["setfacl", *words, path], check=True)


def attributes(path: Path) -> None:
    for number in range(20):
        with suppress(OSError):  # ext4 has 4 KiB for all of them
            os.setxattr(path, f"user.{'x' * 200}{number}", b"x" * 100)
    with suppress(OSError):
        os.setxattr(path, "user.large", b"x" * 65_536)


_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602


def flags(path: Path) -> None:
    """All flags of ``chattr`` that it gets: nodump, noatime, sync, no copy on write, …"""
    fd = os.open(path, os.O_RDONLY)
    for bit in range(32):
        with suppress(OSError):
            found = struct.unpack("=l", fcntl.ioctl(fd, _GET_FLAGS, b"\0" * 4))[0] & 0xFFFF_FFFF
            fcntl.ioctl(fd, _SET_FLAGS, struct.pack("=L", found | 1 << bit))
    os.close(fd)


EVERYBODY = ("-m", "u:nobody:rwx,u:games:rwx,u:news:rwx,g:nogroup:rwx,m::rwx")
BY_DEFAULT = ("-d", *EVERYBODY)


def acl_from_the_start(it: Scene) -> None:
    """Each new file gets the ACL from the directory."""
    acl(*BY_DEFAULT)(it.next)
    it.upload(DAY)


ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "setuid, setgid and sticky": (on_files(lambda path: path.chmod(0o7777)), COMMITTED),
    "setuid and executable": (on_files(lambda path: path.chmod(0o4755)), COMMITTED),
    "mode 000": (on_files(lambda path: path.chmod(0)), COMMITTED),
    "next open to all": (on_next(lambda path: path.chmod(0o7777)), COMMITTED),
    "next with mode 000": (on_next(lambda path: path.chmod(0)), COMMITTED),
    "next with mode 000 and no upload": (on_next(lambda path: path.chmod(0), upload=False), SERVED_ANEW),
    "next without search and no upload": (on_next(lambda path: path.chmod(0o600), upload=False), SERVED_ANEW),
    "ACLs": (on_files(acl(*EVERYBODY)), COMMITTED),
    "an ACL on next": (on_next(acl(*EVERYBODY)), COMMITTED),
    "an ACL on next by default": (acl_from_the_start, COMMITTED),
    "attributes": (on_files(attributes), COMMITTED),
    "attributes on next": (on_next(attributes), COMMITTED),
    "flags": (on_files(flags), COMMITTED),
    "flags on next": (on_next(flags), COMMITTED),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_modes_acls_and_attributes_are_not_kept(world: World, attack: str) -> None:
    if "ACL" in attack and not Path("/usr/bin/setfacl").exists():
        pytest.skip("not installed: setfacl")
    world.withstands(*ATTACKS[attack])


@pytest.mark.parametrize("commit", ["link", "copy"])
def test_attributes_beyond_what_the_system_lists_hold_nothing_up(commit: str) -> None:
    """XFS, btrfs and tmpfs keep more names of attributes than can be listed."""

    def attack(it: Scene) -> None:
        for path in (it.next, *(it.next / name for name in it.upload(DAY))):
            for number in range(400):
                os.setxattr(path, f"user.{number:04}{'x' * 240}", b"x")
            with pytest.raises(OSError, match="too long"):
                os.listxattr(path)

    with open_to_all() as base, mounted_tmpfs(base / "disk") as place:
        world = World(place, RootConfig(commit=commit))  # type: ignore[arg-type]
        try:
            with Villain(world.villain.user, attack, world.villain):
                pass
        except AssertionError as error:
            pytest.skip(f"this tmpfs takes no such attributes: {str(error)[-200:]}")
        done: Collected = world.collect(world.villain, DAY)
        if commit == "copy":
            assert len(done.committed) == 1
        else:
            assert "too many extended attributes" in done.refused[0]
        world.goes_on()


_ADD_KEY, _SET_POLICY = 0xC0506617, 0x800C6613


def encrypted_with_an_own_key(it: Scene) -> None:
    """Upload into a directory that the file system encrypts, with a key that only this client has (linux/fscrypt.h)."""
    for path in it.served:  # only an empty directory can be encrypted
        path.unlink()
    fd = os.open(it.next, os.O_RDONLY)
    key = bytearray(struct.pack("=II32sII32s", 2, 0, b"", 64, 0, b"") + b"k" * 64)
    fcntl.ioctl(fd, _ADD_KEY, key)
    fcntl.ioctl(fd, _SET_POLICY, struct.pack("=BBBB4s16s", 2, 1, 4, 0, b"", bytes(key[8:24])))


def test_what_the_file_system_encrypts_for_the_client_is_refused() -> None:
    """The client could take the key back, and nobody could read, copy or link any more what is committed."""

    def attack(it: Scene) -> None:
        try:
            encrypted_with_an_own_key(it)
        except OSError as error:
            (it.own / "cannot").write_text(str(error))
            return
        names = increment_names(int(at("2012-12-05T03:00:00").timestamp()), int(at(DAY).timestamp()))
        for name in names:
            (it.next / name).write_text(name)
        it.finish(names)

    with open_to_all() as base, loop_mounted(base / "disk", 64, "mkfs.ext4", "-q", "-O", "encrypt") as place:
        world = World(place, RootConfig())
        with Villain(world.villain.user, attack, world.villain):
            pass
        if (reason := world.villain.own / "cannot").exists():
            pytest.skip(f"no encryption for users here: {reason.read_text()}")
        done = world.collect(world.villain, DAY)
        assert done.committed == []
        assert "is encrypted by the file system" in done.refused[0]
        world.goes_on()
