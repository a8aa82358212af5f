"""What became of a restore."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Restored:
    """What became of a restore.

    :ivar lost: keys, and why they are not restored as they should be.
    :ivar damaged: names of files of the chain that are missing or damaged, and how.
    :ivar not_owned: number of things that only root could have given their owner.
    :ivar seen: numbers of the wanted keys of which there is something.
    :ivar others: keys of what was made though the archive does not hold it.
    :ivar unset: what could not be set of how many things, and the key of the first.
    """

    files: int = 0
    size: int = 0
    kept: int = 0
    not_owned: int = 0
    lost: dict[bytes, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    others: set[bytes] = field(default_factory=set)
    unset: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def add_unset(self, more: dict[str, tuple[int, bytes]]) -> None:
        """Add what somebody could not set."""
        for what, (count, first) in more.items():
            before, key = self.unset.get(what, (0, first))
            self.unset[what] = before + count, key
