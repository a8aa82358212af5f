"""The directory in which everything of a run is mounted: a file system in memory that only our namespace has.

``/run/cya/OWNER`` is made for it and removed again; what a killed run leaves of it is an empty directory, which the
next run uses. Whoever uses it holds the lock of the config, since removing it would unmount what another has there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cya.errors import SnapshotError
from cya.snapshot import namespace, programs
from cya.snapshot.names import Owner

_RUN = Path("/run/cya")


@contextmanager
def staged(owner: Owner, base: Path = _RUN) -> Iterator[Path]:
    """Give a directory until the block ends; what is mounted in it is unmounted then.

    :raises SnapshotError: when it cannot be made, or what was mounted cannot be unmounted.
    """
    namespace.enter()
    place = base / owner.mark
    try:
        base.mkdir(0o700, parents=True, exist_ok=True)
        place.mkdir(0o700, exist_ok=True)
    except OSError as error:
        raise SnapshotError(f"{place}: cannot be made: {error.strerror}") from error
    try:
        words = ("--types", "tmpfs", "--options", "mode=0700,size=1m,nosuid,nodev", "cya")
        programs.run("mount", *words, place, doing=f"making a place for snapshots at {place}")
        try:
            yield place
        finally:
            doing = f"unmounting what is below {place}"
            programs.patiently(lambda: programs.run("umount", "--recursive", place, doing=doing))
    finally:
        with suppress(OSError):
            place.rmdir()
