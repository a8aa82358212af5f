"""A collect that is killed at any of its steps, and run again, ends as one that was not killed.

A child process runs ``collect`` and kills itself (SIGKILL: no ``finally``, no clean-up) just before its N-th call that
changes the file system, for every N; then a collect runs undisturbed. The tree, what is served and what is left in
``state/`` must be the same as without the kill.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cya.archive.collect import collect
from tests.archive.conftest import Site, at

CHANGING = ("rename", "link", "unlink", "mkdir", "rmdir", "fsync", "fchmod", "fchown", "chmod", "chown")
NOW = "2012-12-11"


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that kills itself before its ``step``-th change; return whether it came to that."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in CHANGING:
            setattr(os, name, counted(getattr(os, name)))
        real_open = os.open

        def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            return (
                counted(real_open)(path, flags, *args, **kwargs)
                if flags & os.O_CREAT
                else real_open(path, flags, *args, **kwargs)
            )

        os.open = opened
        try:
            work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"step {step}: the run failed instead of being killed"
    return os.WIFSIGNALED(status)


def every_step(template: Path, scratch: Path, undisturbed: list[str], check: Callable[[Site], None]) -> int:
    """Kill a collect of a copy of ``template`` at every step; return how many steps there were."""
    for step in range(1, 1000):
        root = scratch / "web1"
        shutil.copytree(template, root, symlinks=True, copy_function=_copy_links())
        _same_inodes(template, root)
        site = Site(root)
        was_killed = killed_at(step, lambda: collect(root, at(NOW)))  # noqa: B023
        site.collect(NOW)
        assert site.listing() == undisturbed, f"killed at step {step}"
        check(site)
        shutil.rmtree(root)
        if not was_killed:
            return step - 1
    raise AssertionError("the run never ended")


def _copy_links() -> Callable[[str, str], str]:
    """Copy hard links as hard links."""
    copied: dict[int, str] = {}

    def copy(source: str, destination: str) -> str:
        inode = os.lstat(source).st_ino
        if inode in copied:
            os.link(copied[inode], destination)
        else:
            shutil.copy2(source, destination)
            copied[inode] = destination
        return destination

    return copy


def _same_inodes(template: Path, root: Path) -> None:
    """Let ``served.json`` know the copies, as it knew the originals."""
    record = root / "state" / "served.json"
    if not record.exists():
        return
    import json

    data = json.loads(record.read_text())
    for file in data["files"]:
        (found,) = {p.lstat().st_ino for p in root.rglob(file["name"])}
        file["ino"] = found
    record.write_text(json.dumps(data))


@pytest.fixture
def history(site: Site) -> Site:
    """A root with some days behind it, over a change of week and with two volumes each."""
    for day in ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10"):
        site.day(day, volumes=2)
    return site


def test_a_commit_killed_at_every_step_ends_the_same(history: Site, tmp_path: Path) -> None:
    history.upload(NOW, volumes=3)
    check_against_undisturbed(history, tmp_path, committed=5)


def test_the_first_commit_killed_at_every_step_ends_the_same(site: Site, tmp_path: Path) -> None:
    site.collect(NOW)
    site.upload(NOW, volumes=2)
    check_against_undisturbed(site, tmp_path, committed=1)


def test_a_commit_into_a_new_week_killed_at_every_step_ends_the_same(site: Site, tmp_path: Path) -> None:
    for day in ("2012-12-04", "2012-12-05"):
        site.day(day, volumes=2)
    site.collect("2012-12-09")
    site.upload("2012-12-09", volumes=2)
    check_against_undisturbed(site, tmp_path, committed=3)


def test_a_new_serving_killed_at_every_step_ends_the_same(site: Site, tmp_path: Path) -> None:
    site.day("2012-12-04", volumes=2)
    site.day("2012-12-05", volumes=2)
    check_against_undisturbed(site, tmp_path, committed=2)


def check_against_undisturbed(site: Site, tmp_path: Path, committed: int) -> None:
    template = tmp_path / "template"
    site.root.rename(template)
    reference = tmp_path / "reference" / "web1"
    shutil.copytree(template, reference, copy_function=_copy_links())
    _same_inodes(template, reference)
    Site(reference).collect(NOW)

    def check(after: Site) -> None:
        assert len(after.catalog.backups) == committed
        assert all(backup.chain is not None for backup in after.catalog.backups)
        assert not any(directory.chains.orphans for directory in after.catalog.directories)

    check(Site(reference))
    steps = every_step(template, tmp_path / "scratch", Site(reference).listing(), check)
    assert steps > 5


def test_a_refusal_killed_at_every_step_leaves_the_batch_in_quarantine_once(history: Site, tmp_path: Path) -> None:
    names = history.upload(NOW)
    (history.next / names[0]).write_text("not what was announced")
    template = tmp_path / "template"
    history.root.rename(template)
    for step in range(1, 1000):
        root = tmp_path / "web1"
        shutil.copytree(template, root, copy_function=_copy_links())
        _same_inodes(template, root)
        was_killed = killed_at(step, lambda: collect(root, at(NOW)))  # noqa: B023
        site = Site(root)
        site.collect(NOW)
        kept = list(site.state.glob(f"quarantine/*/files/{names[0]}"))
        assert len(kept) == 1, f"killed at step {step}"
        assert (kept[0].parents[1] / "REASON").read_text().strip()
        assert len(site.catalog.backups) == 4
        assert site.next.is_dir()
        shutil.rmtree(root)
        if not was_killed:
            return
    raise AssertionError("the run never ended")
