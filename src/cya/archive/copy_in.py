"""FREEZE, the other way: copy each new file into ``state/copied/``, for what cannot be frozen where it lies.

That is a batch on another file system (``incoming/`` is one of its own), on one without leases, or in which a process
keeps a file open run after run; and every batch where the root's settings say ``commit = "copy"``.
"""

from __future__ import annotations

import os
from contextlib import suppress

from cya.archive.copying import Grown, copy
from cya.archive.directories import make, opened, remove
from cya.archive.inspect import Batch
from cya.archive.root import Root
from cya.archive.upload import MODE, compare, compare_size, opened_file
from cya.archive.writers import StillOpen
from cya.errors import BatchRefused
from cya.tree import layout


def copy_in(root: Root, fd: int, batch: Batch) -> dict[str, str]:
    """Copy all files of a batch; return the SHA-256 of each by its name. There are none of an earlier run any more.

    What is compared with the client's word, and committed, is the copy: a process that still writes into the original
    changes nothing any more.

    :param fd: the batch directory.
    :raises BatchRefused: as :func:`cya.archive.freeze.freeze`.
    """
    try:
        return _copied(root, fd, batch)
    except BaseException:
        with suppress(OSError):  # on a full disk half a copy would keep it full, for all clients
            remove(layout.COPIED, root.state)
        raise


def _copied(root: Root, fd: int, batch: Batch) -> dict[str, str]:
    uid, gid = root.uploader
    make(layout.COPIED, root.state, 0o700)
    digests = {}
    with opened(layout.COPIED, root.state) as copies:
        for name in sorted(batch.files.names):
            shown = name.decode()
            try:
                with opened_file(fd, name, uid, gid) as file:
                    compare_size(batch, name, os.fstat(file).st_size)
                    size, digests[shown] = copy(file, shown, copies, MODE, gid)
            except Grown:
                raise BatchRefused(f"{shown} has grown while it was copied") from None
            except StillOpen:
                raise BatchRefused(f"{shown} is kept locked by a process of the client") from None
            compare(batch, name, size, digests[shown])
        os.fsync(copies)
    os.fsync(root.state)
    return digests
