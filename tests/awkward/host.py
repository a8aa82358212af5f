"""A host whose source is the awkward tree on a file system of its own, with images of how it was on each day."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import mounts, stock
from tests.awkward import tree
from tests.awkward.kinds import MKFS, emptied
from tests.e2e.conftest import Host

DAYS = [f"2019-12-{28 + number}" if number < 4 else f"2020-01-0{number - 3}" for number in range(6)]
"""Of the tree as it was made, and after each round; they lie in two weeks and two years."""
WITH_WARNINGS = 10


class AwkwardHost(Host):
    """Makes a backup of the tree as it was made, and one after each round of changes.

    :ivar said: what each of the backups said on standard error.
    """

    def __init__(self, place: Path, maker: str, kind: str, largest: int) -> None:
        version, engine = stock.MAKERS[maker]
        super().__init__(place, stock.program(version), engine)
        self.kind, self.said = kind, list[str]()
        self.megabytes = 400 + (largest * 5 // 4 >> 20)  # stock duplicity fills holes
        self.source = self.resources.enter_context(mounts.loop_mounted(place / "disk", self.megabytes, *MKFS[kind]))
        tree.make(emptied(self.source), largest=largest)
        self.init()
        for number, day in enumerate(DAYS):
            if number:
                tree.change(self.source, number)
            # Stock duplicity says that it cannot reach what lies too deep.
            done = self.backup(day, status=0 if engine == "native" else WITH_WARNINGS)
            self.said.append(done.stderr)
            self._keep(number)

    def _keep(self, number: int) -> None:
        """Copy the whole file system, so what it was like does not hang on what a copying program thinks of."""
        subprocess.run(["fsfreeze", "--freeze", self.source], check=True)
        try:
            image = self.source.with_suffix(".img")
            subprocess.run(["cp", "--sparse=always", image, self._image(number)], check=True)
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", self.source], check=True)

    def _image(self, number: int) -> Path:
        return self.place / f"day-{number}.img"

    @contextmanager
    def day(self, number: int) -> Iterator[Path]:
        """Mount the tree as it was after a round; 0 is as it was made."""
        place = self.place / f"day-{number}"
        place.mkdir()
        if self.kind == "btrfs":  # it never mounts two with one identity
            subprocess.run(["btrfstune", "-f", "-m", self._image(number)], check=True, capture_output=True)
        option = "loop,nouuid" if self.kind == "xfs" else "loop"
        subprocess.run(["mount", "-o", option, self._image(number), place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
            place.rmdir()

    @contextmanager
    def empty_disk(self) -> Iterator[Path]:
        """Mount a new file system of the same kind; give a directory in it that is not there yet."""
        place = self.place / "new"
        try:
            with mounts.loop_mounted(place, self.megabytes, *MKFS[self.kind]):
                yield place / "restored"
        finally:
            place.rmdir()
            place.with_suffix(".img").unlink()

    def without_cya(self, number: int, destination: Path) -> str:
        """Restore as somebody does who has stock duplicity only, and this backup's directory of files.

        Return what the script said: it complains of names that stock duplicity could not restore.
        """
        (listed,) = [each for each in self.list() if each["time"].startswith(DAYS[number])]
        files = self.root / "backups" / listed["path"] / "files"
        self.stock_restore(files, destination, "--numeric-owner", "--time", f"{DAYS[number]}T00:00:00Z")
        ran = subprocess.run(
            ["sh", ".dupext/restore.sh"], cwd=destination, env=_plain(), capture_output=True, check=False
        )
        shutil.rmtree(destination / ".dupext")
        return (ran.stdout + ran.stderr).decode(errors="backslashreplace")


def _plain() -> dict[str, str]:
    return {"PATH": os.defpath + ":/usr/sbin:/sbin", "LC_ALL": "C"}


@contextmanager
def awkward_host(place: Path, maker: str, kind: str, largest: int) -> Iterator[AwkwardHost]:
    """Give the host in a mount namespace of its own."""
    with mounts.own_mounts():
        made = AwkwardHost(place, maker, kind, largest)
        try:
            yield made
        finally:
            made.close()
