"""SERVE: prepare ``incoming/next``: the sigtars and manifests of the chain that the client is to continue.

It is built in ``state/``, out of the client's reach, given to the client last, and renamed into place: nobody can swap
anything in between.
"""

from __future__ import annotations

import os

from cya.archive import log
from cya.archive.check.damage import sound
from cya.archive.directories import make, opened, remove
from cya.archive.limits import check_reserve
from cya.archive.link import link_or_copy
from cya.archive.records import Served, ServedFile, save
from cya.archive.root import Root
from cya.catalog import Catalog
from cya.tree import layout, placement
from cya.tree.placement import Serving

_INCOMING_MODE = 0o755


def serve(root: Root, now: int) -> Serving:
    """Serve what fits ``now`` (seconds since the epoch); return what was served.

    :raises ArchiveError: when less is free than the root's reserve.
    """
    check_reserve(root)
    remove(layout.NEXT_NEW, root.intake)
    catalog = sound(root, root.catalog_above(root.calendar.leaf(now)))
    serving = placement.serve(catalog.tree, root.calendar, now, catalog.known)
    make(layout.NEXT_NEW, root.intake, 0o700)
    with opened(layout.NEXT_NEW, root.intake) as new:
        files = _link_metadata(root, serving, catalog, new)
        os.fsync(new)
        save(root, layout.SERVED, Served.of(serving, now, files))
        if os.geteuid() == 0:
            os.fchown(new, *root.uploader)
    _own_incoming(root)
    os.rename(layout.NEXT_NEW, layout.NEXT, src_dir_fd=root.intake, dst_dir_fd=root.incoming)
    os.fsync(root.intake)
    os.fsync(root.incoming)
    base = layout.directory(serving.base) if serving.base else None
    log.note(root, now, "serve", leaf=layout.directory(serving.leaf), base=base, files=len(files))
    return serving


def _own_incoming(root: Root) -> None:
    """A client hands over by renaming only where it may write ``incoming/`` itself; else that is the archive's."""
    if os.geteuid() == 0:
        owner = root.uploader if root.config.handover == "rename" else (0, 0)
        found = os.fstat(root.incoming)
        if (found.st_uid, found.st_gid) != owner or found.st_mode & 0o7777 != _INCOMING_MODE:
            os.fchown(root.incoming, *owner)
            os.fchmod(root.incoming, _INCOMING_MODE)


def _link_metadata(root: Root, serving: Serving, catalog: Catalog, new: int) -> tuple[ServedFile, ...]:
    if serving.base is None or serving.chain is None:
        return ()
    served = []
    sets = catalog[serving.base].sets
    with opened(layout.files_of(serving.base), root.backups) as source:
        for increment in serving.chain.increments:
            for name in map(os.fsdecode, sets[increment].metadata):
                link_or_copy(name, source, new)
                found = os.stat(name, dir_fd=new, follow_symlinks=False)
                served.append(ServedFile(name, found.st_ino))
    return tuple(served)
