"""File systems that can hold the awkward tree."""

from __future__ import annotations

from pathlib import Path

MKFS = {
    "xfs": ("mkfs.xfs", "-q"),
    "ext4": ("mkfs.ext4", "-q", "-b", "4096", "-O", "ea_inode"),
    "btrfs": ("mkfs.btrfs", "-q"),
}
"""Commands that make them in a file."""


def emptied(place: Path) -> Path:
    """Remove what mkfs has put there."""
    if (place / "lost+found").exists():
        (place / "lost+found").rmdir()
    return place
