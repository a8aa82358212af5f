"""The floor under a collect: nothing but the system calls that change something, in a loop, for as many files.

It checks nothing, plans nothing and knows no times. As many links, fsyncs, renames, and changes of owner and mode are
made as a collect makes that commits a batch on top of its leaf's chain; ``sha256`` reads and hashes the files besides,
which no collect can do without either. ``look`` opens and locks a root and looks whether there is anything to do.

Run as ``python -m bench.floor look|calls|sha256 DIRECTORY SERVED``, with what :func:`prepare` made, each as often as
cya uses threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 8
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def prepare(place: Path, number: int, files: int, data: bytes, served: int) -> None:
    """Make directories with as many uploaded files, and as many served ones, as the fleet's roots have."""
    for each in range(number):
        top = place / f"{each:05}"
        for name in ("incoming/next", "state/ledger", "backups/files"):
            (top / name).mkdir(parents=True)
        for name in ("lock", "served.json"):
            (top / "state" / name).touch()
        for old in range(served):
            (top / "backups/files" / f"old{old}").touch()
            os.link(top / "backups/files" / f"old{old}", top / "incoming/next" / f"old{old}")
        for new in range(files):
            (top / "incoming/next" / f"new{new}").write_bytes(data)


def look(top: str, served: int) -> None:
    """Is there anything to do?"""
    fd = os.open(top, _DIRECTORY)
    state, incoming = os.open("state", _DIRECTORY, dir_fd=fd), os.open("incoming", _DIRECTORY, dir_fd=fd)
    lock = os.open("lock", os.O_RDWR, dir_fd=state)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    following = os.open("next", _DIRECTORY, dir_fd=incoming)
    os.listdir(state)
    os.listdir(following)
    for each in (following, lock, incoming, state, fd):
        os.close(each)


def calls(top: str, served: int, *, hashed: bool = False) -> None:
    """Commit a batch, and serve."""
    fd = os.open(top, _DIRECTORY)
    state, incoming = os.open("state", _DIRECTORY, dir_fd=fd), os.open("incoming", _DIRECTORY, dir_fd=fd)
    backups = os.open("backups/files", _DIRECTORY, dir_fd=fd)
    os.rename("next", "batch", src_dir_fd=incoming, dst_dir_fd=state)
    os.fsync(incoming)
    os.fsync(state)
    batch = os.open("batch", _DIRECTORY, dir_fd=state)
    new = [name for name in os.listdir(batch) if name.startswith("new")]
    for name in new:
        file = os.open(name, os.O_RDONLY, dir_fd=batch)
        if os.geteuid() == 0:
            os.fchown(file, 0, 0)
        os.fchmod(file, 0o440)
        if hashed:
            with open(file, "rb", closefd=False) as opened:
                hashlib.file_digest(opened, "sha256")
        os.close(file)
    for name in new:  # after all changes, so that the journal is written once
        file = os.open(name, os.O_RDONLY, dir_fd=batch)
        os.fsync(file)
        os.close(file)
    ledger = os.open("ledger", _DIRECTORY, dir_fd=state)
    _write("entry", ledger)
    _write("plan.json", state)
    for name in new:
        os.link(name, name, src_dir_fd=batch, dst_dir_fd=backups)
    os.fsync(backups)
    os.rename("plan.json", "committed.json", src_dir_fd=state, dst_dir_fd=state)
    os.fsync(state)
    for name in os.listdir(batch):
        os.unlink(name, dir_fd=batch)
    os.rmdir("batch", dir_fd=state)
    os.unlink("served.json", dir_fd=state)
    os.unlink("committed.json", dir_fd=state)
    os.fsync(state)
    os.mkdir("next.new", dir_fd=state)
    os.fsync(state)
    following = os.open("next.new", _DIRECTORY, dir_fd=state)
    for name in [*(f"old{number}" for number in range(served)), *new[:2]]:
        os.link(name, name, src_dir_fd=backups, dst_dir_fd=following)
    os.fsync(following)
    _write("served.json", state)
    if os.geteuid() == 0:
        os.fchown(following, 0, 0)
    os.rename("next.new", "next", src_dir_fd=state, dst_dir_fd=incoming)
    os.fsync(state)
    os.fsync(incoming)
    for each in (following, ledger, batch, backups, incoming, state, fd):
        os.close(each)


def _write(name: str, directory: int) -> None:
    file = os.open(f".{name}", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=directory)
    os.write(file, b"a record\n" * 100)
    os.fsync(file)
    os.close(file)
    os.rename(f".{name}", name, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def main() -> None:
    """Do one of the three in every directory, side by side."""
    kind, place, served = sys.argv[1], sys.argv[2], int(sys.argv[3])

    def one(top: str) -> None:
        if kind == "look":
            look(top, served)
        else:
            calls(top, served, hashed=kind == "sha256")

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for _ in pool.map(one, sorted(entry.path for entry in os.scandir(place))):
            pass


if __name__ == "__main__":
    main()
