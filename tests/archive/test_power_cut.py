"""After a power cut everything that was committed has its bytes, and the rest recovers.

On real ext4 and XFS, on a loop device: a root with a history that is on the disk; an upload that is not, since a client
cannot fsync over SFTP; a collect that runs to some point. Then the file system is shut down as it stands, mounted
again, and looked at.

What this cannot show: disks that reorder what they have in their caches. Both file systems write their journals in
order, so the loss of a name behind a later one that is kept is not shown either.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from cya.archive.check import run as checking
from cya.archive.check.run import check
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.ledger import entry_name
from cya.archive.state import State
from cya.config.root import RootConfig
from cya.transport.local import LocalNext
from cya.tree.chain import Increment
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at
from tests.archive.test_kill_at_every_step import IN_2012, changes_of, history_of_2012, killed_at
from tests.mounts import Cut, JournalledFileSystem, journalled_file_system, memory

SETTINGS = RootConfig()
COMMIT_POINT = "rename plan.json committed.json"


@pytest.fixture(scope="module", params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest) -> Iterator[JournalledFileSystem]:
    with memory() as place, journalled_file_system(place / "disk", request.param) as made:
        yield made


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PAUSES", (0.01,) * 5)


@lru_cache
def contents(name: str) -> bytes:
    """100 KB that are no other file's, so that bytes of another file in its place are seen."""
    return hashlib.shake_256(name.encode()).digest(100_000)


class Client(Site):
    """Uploads real data, and leaves it to the system when they are written to the disk."""

    def write(self, now: str, *, full: bool = False, volumes: int = 1) -> list[str]:
        names = super().write(now, full=full, volumes=volumes)
        for name in names:
            (self.next / name).unlink()  # a file that is written over goes to the disk at once, on ext4 and XFS
            (self.next / name).write_bytes(self.contents(name))
        return names

    def contents(self, name: str) -> bytes:
        return contents(f"{self.root.name}/{name}")

    def digests(self, increment: Increment) -> dict[str, str] | None:
        """The ledger's entry of an increment."""
        lines = (self.state / "ledger" / entry_name(increment)).read_text().splitlines()
        return {name: digest for digest, name in (line.split("  ") for line in lines)}

    def upload_again(self, now: str) -> None:
        """Remove what is left of an upload that was broken off, and begin anew."""
        served = {file["name"] for file in json.loads((self.state / "served.json").read_text())["files"]}
        for path in self.next.iterdir():
            if path.name not in served:
                path.unlink()
        self.upload(now, volumes=2)


class Client2012(Client):
    """Uploads as in 2012, after the root has been adopted."""

    def contents(self, name: str) -> bytes:
        return f"contents of {name}\n".encode()

    def digests(self, increment: Increment) -> dict[str, str] | None:
        """Of what was there before it was adopted there is none."""
        return super().digests(increment) if increment.end > end(IN_2012[-1]) else None

    def upload(self, now: str, *, full: bool = False, volumes: int = 1) -> list[str]:
        Root2012.upload(self, now, volumes)  # type: ignore[arg-type]
        return []

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"


@dataclass(frozen=True)
class Scene:
    """Days that are on the disk, a day that is not, and a further one."""

    days: tuple[str, ...]
    day: str
    after: str
    settings: RootConfig = SETTINGS
    is_of_2012: bool = False

    def begin(self, disk: JournalledFileSystem, name: str) -> Client:
        """Make a root, write it to the disk, and upload."""
        for former in disk.place.glob("*/backups"):
            shutil.rmtree(former.parent)
        root = disk.place / name
        if self.is_of_2012:
            history_of_2012(*self.days)(root)
            disk.sync()
            client: Client = Client2012(root)
        else:
            init_archive(root, self.settings)
            client = Client(root)
            for day in self.days:
                client.day(day, volumes=2)
            client.collect(self.day)
            disk.sync()
        client.upload(self.day, volumes=2)
        return client

    def go_on(self, client: Client) -> None:
        """Bring a root on after a power cut: the client makes up for what is lost, and a day later all is well."""
        client.collect(self.day)
        if end(self.day) not in ends(client):
            client.upload_again(self.day)
            assert client.collect(self.day).committed
        client.day(self.after)
        check_sound(client, *self.days, self.day, self.after)


SCENES = {
    "first full": Scene((), "2012-12-04", "2012-12-05"),
    "increment": Scene(("2012-12-04", "2012-12-05"), "2012-12-06", "2012-12-07"),
    "new week": Scene(("2012-12-04", "2012-12-05"), "2012-12-09", "2012-12-10"),
    "new year": Scene(("2012-12-30", "2012-12-31"), "2013-01-06", "2013-01-07"),
    "copied in": Scene(("2012-12-04",), "2012-12-05", "2012-12-06", RootConfig(commit="copy")),
    "archive of 2012": Scene(IN_2012, "2013-01-08", "2013-01-09", is_of_2012=True),
}


def end(day: str) -> int:
    return int(at(day).timestamp())


def ends(client: Client) -> set[int]:
    return {backup.increment.end for backup in client.catalog.backups}


def check_sound(client: Client, *committed: str) -> None:
    """Check that these days are committed, and that whatever is listed is whole and has its bytes, everywhere."""
    catalog = client.catalog
    assert {end(day) for day in committed} <= ends(client)
    assert [backup.missing for backup in catalog.backups if backup.chain is None] == []
    for directory in catalog.directories:
        for increment, files in directory.sets.items():
            digests = client.digests(increment)
            for name in map(os.fsdecode, files.names):
                data = (directory.path / name).read_bytes()
                assert data == client.contents(name), f"{name} has {len(data)} bytes, and not its own"
                assert digests is None or digests[name] == hashlib.sha256(data).hexdigest()
    if not (client.root / "next_info").exists():  # what the cya of 2012 left is not complete
        assert not any(directory.chains.orphans for directory in catalog.directories)
        assert [finding for finding in check(client.root, at("2013-02-01")).findings if finding.damage] == []


def test_the_cut_takes_what_is_not_on_the_disk_and_nothing_else(disk: JournalledFileSystem) -> None:
    """Otherwise nothing here would show anything."""
    for how in Cut:
        paths = [disk.place / f"{what}-{how}" for what in ("kept", "lost")]
        for path in paths:
            path.write_bytes(contents("x"))
            if path == paths[0]:
                disk.sync()
        disk.cut(how)
        assert paths[0].read_bytes() == contents("x")
        assert (paths[1].exists() and paths[1].stat().st_size == 0) == (how is Cut.NAMES_WITHOUT_CONTENTS)


@pytest.mark.parametrize("how", Cut, ids=lambda how: how.name)
@pytest.mark.parametrize("name", SCENES)
def test_what_a_collect_has_committed_when_it_returns_is_on_the_disk(
    disk: JournalledFileSystem, name: str, how: Cut
) -> None:
    scene = SCENES[name]
    client = scene.begin(disk, f"{name} returned {how.name}")
    assert client.collect(scene.day).committed
    disk.cut(how)
    check_sound(client, *scene.days, scene.day)
    scene.go_on(client)


@pytest.mark.parametrize("name", ["first full", "new week", "copied in", "archive of 2012"])
def test_a_collect_that_the_power_cut_stops_anywhere_is_gone_on_with(disk: JournalledFileSystem, name: str) -> None:
    """At points drawn at random, and around the commit point."""
    scene = SCENES[name]
    changes = changes_of(collecting(scene.begin(disk, f"{name} counted"), scene))
    commit = changes.index(COMMIT_POINT) + 1
    points = {*range(commit - 1, commit + 4), *random.Random(2012).sample(range(1, len(changes) + 1), 8)}
    for point in sorted(points):
        for how in Cut:
            client = scene.begin(disk, f"{name} {point} {how.name}")
            try:
                assert killed_at(point, collecting(client, scene))
                disk.cut(how)
                is_committed = [scene.day] if point > commit + 1 else []  # the rename, and then its fsync
                check_sound(client, *scene.days, *is_committed)
                scene.go_on(client)
            except Exception as error:
                where = f"before step {point} of {len(changes)}, {changes[point - 1]!r}; the commit point is {commit}"
                raise AssertionError(f"{name}: {how.name} {where}") from error


def test_a_collect_that_is_killed_and_run_again_has_everything_on_the_disk(disk: JournalledFileSystem) -> None:
    """The second run must not take for written what the first one did not come to write."""
    scene = SCENES["new week"]
    changes = changes_of(collecting(scene.begin(disk, "again"), scene))
    unwritten = [n for n, change in enumerate(changes[: changes.index(COMMIT_POINT)], start=1) if change == "fsync"]
    assert len(unwritten) > 10
    for point in unwritten:
        client = scene.begin(disk, f"again {point}")
        try:
            assert killed_at(point, collecting(client, scene))
            assert client.collect(scene.day).committed
            disk.cut(Cut.NAMES_WITHOUT_CONTENTS)
            check_sound(client, *scene.days, scene.day)
            scene.go_on(client)
        except Exception as error:
            raise AssertionError(f"killed before step {point}, {changes[point - 1]!r}") from error


def collecting(client: Client, scene: Scene) -> Callable[[], object]:
    return lambda: collect(client.root, at(scene.day))


@pytest.mark.parametrize("how", Cut, ids=lambda how: how.name)
def test_an_upload_on_the_same_machine_is_on_the_disk_when_it_is_finished(disk: JournalledFileSystem, how: Cut) -> None:
    scene = SCENES["increment"]
    count = 1000
    for point in range(1, count):
        client = scene.begin(disk, f"local {point} {how.name}")
        (client.next / "FINISHED").unlink()
        names = [path.name.encode() for path in client.next.iterdir() if "to.20121206" in path.name]
        was_killed = killed_at(point, lambda: LocalNext(client.root).finish(names))  # noqa: B023
        disk.cut(how)
        check_sound(client, *scene.days)
        if not was_killed:
            assert client.collect(scene.day).committed
        scene.go_on(client)
        if not was_killed:
            assert point > 8
            return
    raise AssertionError("the upload never ended")


@pytest.mark.parametrize("how", Cut, ids=lambda how: how.name)
def test_what_is_served_is_on_the_disk(disk: JournalledFileSystem, how: Cut) -> None:
    client = Client(disk.place / f"served {how.name}")
    init_archive(client.root, RootConfig())
    client.day("2012-12-04", volumes=2)
    served = {path.name: path.read_bytes() for path in client.next.iterdir()}
    disk.cut(how)
    assert {path.name: path.read_bytes() for path in client.next.iterdir()} == served
    assert client.collect("2012-12-05").served is None
    client.upload("2012-12-05")
    assert client.collect("2012-12-05").committed
    check_sound(client, "2012-12-04", "2012-12-05")


@pytest.mark.parametrize("how", Cut, ids=lambda how: how.name)
def test_a_root_is_on_the_disk_when_it_is_made_and_until_then_is_made_again(
    disk: JournalledFileSystem, how: Cut
) -> None:
    for point in range(1, 100):
        client = Client(disk.place / f"init {point} {how.name}")
        was_killed = killed_at(point, lambda: init_archive(client.root, RootConfig(week_start="monday")))  # noqa: B023
        disk.cut(how)
        if was_killed:
            init_archive(client.root, RootConfig(week_start="monday"))
        assert 'week_start = "monday"' in (client.root / "cya.toml").read_text()
        assert client.collect("2012-12-04").state is State.SERVED
        if not was_killed:
            assert point > 10
            return
    raise AssertionError("it was never made")
