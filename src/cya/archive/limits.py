"""What a client may take up: the size of a batch, and what has to stay free on the file system."""

from __future__ import annotations

import os

from cya.archive.inspect import Batch
from cya.archive.root import Root
from cya.errors import ArchiveError, BatchRefused


def check_size(root: Root, batch: Batch) -> None:
    """Check the size of a batch, before anything of it is read.

    :raises BatchRefused: when it is larger than the root's settings allow.
    """
    limit = root.config.max_batch
    promised = sum(file.size for file in (batch.promised or {}).values())  # what it may still grow to before it is read
    size = max(batch.size, promised)
    if limit and size > limit << 20:
        raise BatchRefused(f"it has {size >> 20} MiB, and max_batch in cya.toml is {limit} MiB")


def check_reserve(root: Root) -> None:
    """Check that enough is free for another upload.

    :raises ArchiveError: when less is free than the root's reserve of bytes or of inodes.
    """
    for place in {root.state, root.incoming}:
        found = os.fstatvfs(place)
        free = found.f_bavail * found.f_frsize >> 20
        if free < root.config.reserve:
            raise ArchiveError(
                f"{root.path}: only {free} MiB are free, and the reserve is {root.config.reserve} MiB: nothing is "
                "served, and nothing can be backed up, until space is freed"
            )
        # btrfs and others make inodes as they are needed, and count none.
        if found.f_files and found.f_favail < root.config.reserve_inodes:
            raise ArchiveError(
                f"{root.path}: only {found.f_favail} inodes are free, and the reserve is {root.config.reserve_inodes}: "
                "nothing is served, and nothing can be backed up, until files are deleted"
            )
