"""``FINISHED``, over a connection that may break just then."""

from __future__ import annotations

from cya.transport import marker
from cya.transport.marker import File
from cya.transport.remote import MARKER, Remote, part
from cya.transport.trouble import Broken, Refused
from cya.tree import layout


def say_finished(remote: Remote, files: tuple[File, ...], volume: bytes) -> None:
    """Write the marker. When its fate is not known, look: the archive may have taken the upload already.

    :param volume: a file of this upload that is never served: whatever ``next`` is there, without it, gets no marker.
    :raises Broken: when the fate stays unknown. Nothing in ``next`` may be removed then: it may be served anew, with
        the very sigtar and manifest that were sent.
    :raises Refused: when the marker was not written.
    :raises ArchiveError: when ``next`` is another, and no marker was written.
    """
    (remote.account.home / layout.MARKER).write_bytes(marker.encode(marker.Marker(files)))
    temporary = part(MARKER).decode()
    batch = [
        f"@ls -1 {volume.decode()}",
        f"put {layout.MARKER} {temporary}",
        f"rename {temporary} {layout.MARKER}",
    ]

    def write() -> None:
        tried = remote.patience.tries > 0
        if tried and _was_taken(remote, volume):
            return
        try:
            remote.run(batch)
        except Refused as error:
            if not error.missing:
                raise
            if not tried:
                raise remote.changed() from error

    try:
        remote.persist(write)
    except Broken as error:
        error.add_note("whether the upload was handed over is not known: if not, the next run starts over")
        raise


def _was_taken(remote: Remote, volume: bytes) -> bool:
    try:
        there = remote.list()
    except Refused as error:
        if error.missing:
            return True
        raise
    return MARKER in there or volume not in there
