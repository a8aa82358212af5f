"""A mount namespace of our own: nobody else sees what is mounted for a run, and it vanishes with the last process.

What others mount and unmount meanwhile is seen here, too (``rslave``); so the process never has to go back. Hooks are
programs of the administrator, who expects that what they mount is mounted: they are run outside.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from cya.errors import SnapshotError
from cya.snapshot import programs

_CLONE_NEWNS = 0x00020000


@dataclass(frozen=True)
class Outside:
    """Where this process came from: descriptors of the namespace and of its root, which may be that of a chroot."""

    namespace: int
    root: int

    @property
    def descriptors(self) -> tuple[int, int]:
        """What a program inherits that is run outside."""
        return self.namespace, self.root

    def command(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return what runs a command outside. Its working directory is the root."""
        nsenter = programs.find("nsenter") or "nsenter"
        places = (f"--mount=/proc/self/fd/{self.namespace}", f"--root=/proc/self/fd/{self.root}")
        return (nsenter, *places, "--", *command)


_outside: Outside | None = None


def outside() -> Outside | None:
    """Return where this process came from; None: it is still there."""
    return _outside


def enter() -> None:
    """Go into a namespace of our own, for good.

    :raises SnapshotError: when the kernel does not allow it: it takes root, with CAP_SYS_ADMIN.
    """
    global _outside
    if _outside is not None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    came_from = Outside(
        os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC),
        os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC),
    )
    if libc.unshare(_CLONE_NEWNS) != 0:
        reason = os.strerror(ctypes.get_errno())
        for each in came_from.descriptors:
            os.close(each)
        raise SnapshotError(
            f"no mount namespace can be made for the snapshots ({reason}): run as root (in a container with "
            'CAP_SYS_ADMIN), or set snapshot.kind = "none"'
        )
    _outside = came_from
    programs.run("mount", "--make-rslave", "/", doing="making a mount namespace for the snapshots")
