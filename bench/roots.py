"""A fleet: real roots with a history that the real code has made, and the config of an archive host that names them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.uploads import upload
from cya import clock
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.config import root as root_config
from cya.config.root import RootConfig
from cya.format.times import time_from_name, time_to_name
from cya.tree import layout

LAST_DAY = datetime(2026, 3, 2, 2, tzinfo=UTC)
"""A Monday, the last day of the history: of the days after it five lie in the same week."""
_FIRST_UID = 2_000_000_000
"""Uids that no user of the machine has. They are known only to the processes that are measured."""


_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True)
class Fleet:
    """Roots below ``place``.

    :ivar owners: the uid, and gid, of each root's client: distinct ones when root runs this, else one's own.
    :ivar within: a command in front of a command that lets it know those users; empty where it is not needed.
    """

    place: Path
    roots: tuple[Path, ...]
    owners: tuple[int, ...]
    within: tuple[str, ...]

    @property
    def config(self) -> Path:
        """The archive host's config."""
        return self.place / "archive.toml"

    def collect(self, now: datetime, config: Path | None = None) -> list[str]:
        """The command that collects the whole fleet."""
        words = ["collect", "--config", str(config or self.config), "--now", clock.iso(now)]
        return [*self.within, sys.executable, "-m", "cya", *words]

    def some(self, number: int) -> Fleet:
        """The first roots only, with a config of their own; the files are the same."""
        few = Fleet(self.place / "some", self.roots[:number], self.owners[:number], self.within)
        few.place.mkdir(exist_ok=True)
        _write_config(few.config, [str(root) for root in few.roots])
        return few


def make(place: Path, number: int, days: int) -> Fleet:
    """Make roots with a history of daily backups. Nothing is served yet."""
    template = place / "template"
    _make_history(template, days)
    is_root = os.geteuid() == 0
    owners = tuple(_FIRST_UID + n if is_root else os.geteuid() for n in range(number))
    fleet = Fleet(place, tuple(place / "roots" / f"c{n:05}" for n in range(number)), owners, _within(place, owners))
    (place / "roots").mkdir()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for _ in pool.map(lambda root: _copy(template, root), fleet.roots):
            pass
    for seconds, root in enumerate(fleet.roots):
        _shift(root / layout.BACKUPS, seconds)
    if is_root:
        for root in fleet.roots:
            (root / root_config.FILE).write_bytes(root_config.dump(RootConfig(user=root.name)))
    _write_config(fleet.config, [f"{place}/roots/*"])
    return fleet


def _make_history(template: Path, days: int) -> None:
    """Let the real code make one root, and take back what it serves: inodes are written down there."""
    init_archive(template, RootConfig())
    for ago in reversed(range(days)):
        moment = LAST_DAY - timedelta(days=ago)
        collect(template, moment)
        upload(template, int(moment.timestamp()), b"a backup\n", 3, os.geteuid())
        collect(template, moment)
    subprocess.run(
        ["rm", "-r", template / layout.INCOMING / layout.NEXT, template / layout.STATE / layout.SERVED], check=True
    )


def _copy(template: Path, root: Path) -> None:
    subprocess.run(["cp", "--archive", template, root], check=True)  # it keeps hard links


def _shift(backups: Path, seconds: int) -> None:
    """Let each root's backups have times, and so names, of their own: names that were read are remembered."""
    shifted = {}
    for directory, _, files in os.walk(backups):
        for name in files:
            if name not in shifted:
                shifted[name] = _TIME.sub(lambda found: _later(found[0], seconds), name)
            if shifted[name] != name:
                os.rename(f"{directory}/{name}", f"{directory}/{shifted[name]}")


def _later(time: str, seconds: int) -> str:
    return time_to_name(time_from_name(time.encode()) + seconds).decode()


def _within(place: Path, owners: tuple[int, ...]) -> tuple[str, ...]:
    """A list of users that has the clients, too, bound over the system's in a mount namespace of its own."""
    if os.geteuid() != 0:
        return ()
    users = place / "passwd"
    lines = (f"c{n:05}:*:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n" for n, uid in enumerate(owners))
    users.write_text(Path("/etc/passwd").read_text() + "".join(lines))
    return ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(users))


def _write_config(path: Path, roots: list[str]) -> None:
    path.write_text(f"roots = {roots}\n")
    path.chmod(0o644)
