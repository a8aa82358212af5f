"""A client with an archive beside it, whose source lies on a file system that snapshots can be taken of.

Plain Python without fixtures: it is used in a virtual machine, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cya.config.writing import value
from cya.snapshot.names import owner_of
from tests.e2e.conftest import Picture, differing, picture

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOUR = 3600


class Site:
    """One client.

    :ivar place: of everything but the source.
    :ivar first: programs that are found before all others.
    :ivar chroot: in which ``cya`` runs.
    """

    def __init__(self, place: Path, source: Path, engine: str = "native") -> None:
        self.place, self.source, self.engine = place, source, engine
        self.config, self.root, self.cache = place / "web1.toml", place / "archive", place / "cache"
        self.first: Path | None = None
        self.chroot: Path | None = None
        self.hours = 1
        self.began = int(time.time())
        self.configure()
        self.cya("init-archive", self.root)

    @classmethod
    def plain(cls, place: Path) -> Site:
        """Make a client whose source is a directory with one file."""
        for name in ("client", "source"):
            (place / name).mkdir()
        (place / "source/file").write_text("content\n")
        return cls(place / "client", place / "source")

    @property
    def owner(self) -> str:
        return owner_of(self.config).mark

    def configure(
        self, kind: str = "none", dumps: Mapping[str, Mapping[str, Any]] | None = None, **tables: Mapping[str, Any]
    ) -> None:
        """Write the config: further keys of ``snapshot``, dumps by name, and other tables."""
        snapshot = {"kind": kind, **tables.pop("snapshot", {})}
        named = {f"dumps.{name}": dump for name, dump in (dumps or {}).items()}
        plain = {"source": self.source, "archive": self.root, "engine": self.engine, "cache_dir": self.cache}
        lines = [f"{key} = {value(each)}" for key, each in plain.items()]
        for name, table in {"encryption": {"none": True}, "snapshot": snapshot, **tables, **named}.items():
            lines += [f"[{name}]", *(f"{key} = {value(each)}" for key, each in table.items())]
        self.config.write_text("\n".join(lines) + "\n")
        self.config.chmod(0o600)

    def command(self, *words: object) -> list[str]:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began + self.hours * HOUR))
        inside = ["chroot", str(self.chroot)] if self.chroot is not None else []
        return [*inside, sys.executable, "-m", "cya", "--now", now, *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.first}:{PATH}" if self.first is not None else PATH
        return {"PATH": path, "HOME": str(self.place), "TZ": "UTC", "LC_ALL": "C.UTF-8"}

    def cya(self, *words: object, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run ``cya``; the exit status must be ``status`` (None: any)."""
        ran = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert status is None or ran.returncode == status, f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def backup(self, *words: str, status: int = 0) -> Any:
        """Make a backup, an hour after the last one; return what is told of it."""
        self.hours += 1
        ran = self.cya("backup", "--config", self.config, "--json", *words, status=status)
        return json.loads(ran.stdout)

    def fails(self, status: int = 1) -> str:
        """Make a backup that fails; return why."""
        self.hours += 1
        return self.cya("backup", "--config", self.config, status=status).stderr

    def restored(self, *words: object) -> Path:
        """Restore the last backup into a new directory."""
        to = self.place / "restored"
        shutil.rmtree(to, ignore_errors=True)
        self.cya("restore", to, "--config", self.config, *words)
        return to

    def nothing_left(self) -> None:
        """Check that no mount and no directory of a run is left, and that cya knows of no snapshot."""
        assert not Path(f"/run/cya/{self.owner}").exists()
        assert "cya-" not in Path("/proc/self/mountinfo").read_text()
        told = json.loads(self.cya("snapshots", "--config", self.config, "--json").stdout)
        assert told["left"] == []


def fill(top: Path) -> None:
    """Make files of some sizes."""
    (top / "etc").mkdir(parents=True)
    (top / "etc/passwd").write_text("root:x:0:0\n")
    (top / "etc/gone").write_text("will be deleted\n")
    (top / "data").write_bytes(os.urandom(3 << 20))
    (top / "link").symlink_to("etc/passwd")


CHANGE = """#!/bin/sh
for top in "$@"; do
    echo changed >> "$top/etc/passwd"; rm "$top/etc/gone"; echo new > "$top/etc/new"
    dd if=/dev/urandom of="$top/data" bs=65536 count=8 seek=4 conv=notrunc status=none
done
sync
"""


def changing(place: Path, tops: Sequence[Path]) -> tuple[str, ...]:
    """Return a command that changes what :func:`fill` has made."""
    script = place / "change"
    script.write_text(CHANGE)
    script.chmod(0o755)
    return (str(script), *map(str, tops))


def same(was: Picture, restored: Path, *, but: Sequence[str] = ()) -> list[str]:
    """Return in what a restored tree differs, but for some paths."""
    return [path for path in differing(was, restored) if path not in but]


__all__ = ["Site", "changing", "fill", "picture", "same"]
