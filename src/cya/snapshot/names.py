"""By what our snapshots are known: nothing is ever removed that has not both the name and the mark of its owner.

The owner is one config of one host. Two configs of a host, and two hosts that see the same disks (a volume group in a
storage network, the image of a machine that is mounted), do not touch each other's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

PREFIX = "cya-"
_MACHINE = Path("/etc/machine-id")


@dataclass(frozen=True)
class Owner:
    """Whose snapshots are meant.

    :ivar mark: ``cya-`` and ten hexadecimal digits: LVM's tag, ZFS' property, the name of a directory on btrfs.
    """

    mark: str

    def name(self, now: int, number: int) -> str:
        """Return a name for a snapshot.

        :param now: seconds since the epoch, so that no two runs give the same name.
        :param number: of the snapshot in this run.
        """
        return f"{self.mark}-{now:x}-{number}"

    def owns(self, name: str) -> bool:
        """Whether a snapshot has a name that this owner gives."""
        return re.fullmatch(rf"{re.escape(self.mark)}-[0-9a-f]+-[0-9]+", name, re.ASCII) is not None


def owner_of(config: Path, machine: Path = _MACHINE) -> Owner:
    """Return the owner that a config file of this host is.

    :param config: its absolute path.
    :param machine: the file with the host's id (machine-id(5)); a host without one is known by the path alone.
    """
    try:
        host = machine.read_bytes().strip()
    except OSError:
        host = b""
    return Owner(PREFIX + hashlib.sha256(host + b"\0" + bytes(config)).hexdigest()[:10])
