"""Runs the programs that make and remove snapshots, and makes errors of what they say.

They are never killed half way: one that changes a volume group goes on if this process is killed, and the next run
finds what it has made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cya.errors import MissingProgram, SnapshotError

_ROOTS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where programs of root's are; cron leaves them out of ``PATH``."""
PATIENCE = 30.0
"""Seconds in which what is to be removed may be in use still: by udev, or by processes of a run that was killed."""
_PACKAGES = {
    "findmnt": "util-linux",
    "mount": "mount",
    "umount": "mount",
    "nsenter": "util-linux",
    "lvs": "lvm2",
    "lvcreate": "lvm2",
    "lvremove": "lvm2",
    "btrfs": "btrfs-progs",
    "zfs": "zfsutils-linux",
}


def find(program: str) -> str | None:
    """Return a program's path; None: it is not installed."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *_ROOTS)))


def run(program: str, *arguments: str | Path, doing: str) -> str:
    """Run a program to its end, and return what it wrote to its standard output.

    :param doing: begins the message if it fails: what it was to do, and with what.
    :raises MissingProgram: when it is not installed.
    :raises SnapshotError: when it fails; the message has the last thing that it said.
    """
    path = find(program)
    if path is None:
        raise MissingProgram(f"{doing}: {program} is not installed: apt-get install {_PACKAGES[program]}")
    env = {**os.environ, "LC_ALL": "C.UTF-8", "LVM_SUPPRESS_FD_WARNINGS": "1"}
    try:
        child = subprocess.Popen(
            [path, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: we clean up by these programs
        )
    except OSError as error:
        raise SnapshotError(f"{doing}: {path}: {error.strerror}") from error
    out, err = _to_its_end(child)
    output = out.decode(errors="surrogateescape")
    if child.returncode != 0:
        said = err.decode(errors="replace").strip() or output.strip() or f"exit code {child.returncode}"
        raise SnapshotError(f"{doing}: {program}: {' '.join(said.splitlines()[-3:])}")
    return output


def patiently(act: Callable[[], object], worth: Callable[[SnapshotError], bool] = lambda _: True) -> None:
    """Do something that may fail for a moment, by what is in use still, until it is done.

    :param worth: whether it is to be tried again after an error.
    :raises SnapshotError: when it is not, or has not been done after half a minute.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            act()
        except SnapshotError as error:
            if time.monotonic() >= until or not worth(error):
                raise
            time.sleep(0.2)
        else:
            return


def _to_its_end(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Wait for a program, also if we are interrupted meanwhile; that is raised then."""
    interrupted: KeyboardInterrupt | None = None
    while True:
        try:
            said = child.communicate()
        except KeyboardInterrupt as error:
            interrupted = error
            continue
        if interrupted is not None:
            raise interrupted
        return said


def report(program: str, *arguments: str, doing: str) -> Any:
    """Run a program that answers in JSON; return the answer (None if it says nothing at all).

    :raises SnapshotError: when it fails, or answers in something else.
    """
    said = run(program, *arguments, doing=doing)
    try:
        return json.loads(said) if said.strip() else None
    except ValueError as error:
        raise SnapshotError(f"{doing}: {program} answered what is no JSON: {error}") from error
