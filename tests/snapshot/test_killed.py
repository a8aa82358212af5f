"""Killed at each step of taking and removing snapshots, the next run succeeds and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.snapshot.killing import Step, killed, steps
from tests.snapshot.site import Site, fill, picture, same
from tests.snapshot.test_btrfs import subvolume, subvolumes


def nothing_left(site: Site) -> None:
    site.nothing_left()
    assert "cya-" not in subvolumes(site.source)
    assert not (site.source / ".cya-snapshots").exists()


@pytest.mark.parametrize("site", ["native"], indirect=True)
def test_killed_at_each_step_the_next_run_succeeds_and_nothing_is_left(site: Site) -> None:
    fill(subvolume(site.source / "home") / "files")
    fill(site.source / "files")
    site.configure("auto")
    all_steps = steps(site)
    assert len(all_steps) > 15
    assert {step.program for step in all_steps} >= {"mount", "umount", "findmnt", "btrfs"}
    for step in all_steps:
        for when in ("before", "after"):
            killed(site, step, when)
            site.backup()
            nothing_left(site)
    assert same(picture(site.source), site.restored()) == []


@pytest.mark.parametrize("kind", ["none", "auto"])
def test_what_a_killed_run_left_is_removed_by_any_later_one(site: Site, kind: str) -> None:
    fill(site.source / "files")
    site.configure("auto")
    site.backup()
    killed(site, _at_the_end(site), "before")
    assert site.owner in subvolumes(site.source)
    told = site.cya("snapshots", "--config", site.config).stdout
    assert f".cya-snapshots/{site.owner}/{site.owner}-" in told
    assert "cya snapshots --remove" in told
    site.configure(kind)
    site.backup()
    nothing_left(site)


def test_what_is_left_is_removed_at_boot_by_a_command(site: Site) -> None:
    fill(site.source / "files")
    site.configure("auto")
    site.backup()
    killed(site, _at_the_end(site), "before")
    site.cya("snapshots", "--config", site.config, "--remove")
    nothing_left(site)


def _at_the_end(site: Site) -> Step:
    """Return the step at which the snapshots are still there, and all is over."""
    found = steps(site)
    taken = max(number for number, step in enumerate(found) if "subvolume snapshot" in step.words)
    return next(step for step in found[taken:] if step.program == "umount")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_nothing_is_left(site: Site, number: signal.Signals) -> None:
    fill(site.source / "files")
    ready = site.place / "ready"
    site.configure("auto", hooks={"after": [["sh", "-c", f"touch {ready}; sleep 60"]]})
    if number == signal.SIGINT:
        site.configure("auto", hooks={"release": [["sh", "-c", f"touch {ready}; sleep 60"]]})
    site.hours += 1
    running = subprocess.Popen(
        site.command("backup", "--config", site.config), env=site.environment, stderr=subprocess.PIPE, text=True
    )
    while not ready.exists() and running.poll() is None:
        time.sleep(0.02)
    os.kill(running.pid, number)
    assert "interrupted; nothing was committed" in running.communicate(timeout=60)[1]
    assert running.returncode == 1
    nothing_left(site)


def test_interrupted_while_a_snapshot_is_taken_that_is_finished_and_removed(site: Site, tmp_path: Path) -> None:
    fill(site.source / "files")
    site.configure("auto")
    first, ready = tmp_path / "first", tmp_path / "ready"
    first.mkdir()
    slow = f'#!/bin/sh\nif [ "$2" = snapshot ]; then touch {ready}; sleep 2; fi\nexec /bin/btrfs "$@"\n'
    (first / "btrfs").write_text(slow)
    (first / "btrfs").chmod(0o755)
    site.first = first
    site.hours += 1
    running = subprocess.Popen(
        site.command("backup", "--config", site.config), env=site.environment, stderr=subprocess.PIPE, text=True
    )
    while not ready.exists() and running.poll() is None:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGTERM)
    assert "interrupted; nothing was committed" in running.communicate(timeout=60)[1]
    nothing_left(site)


def test_an_error_while_it_is_read_leaves_nothing(site: Site) -> None:
    fill(site.source / "files")
    site.configure("auto", hooks={"after": [["false"]]})
    assert "hooks.after: false: exit code 1; there is no backup" in site.fails()
    nothing_left(site)
    site.configure("auto", hooks={"release": [["false"]]})
    assert "hooks.release: false: exit code 1" in site.fails()
    nothing_left(site)
    site.configure("auto", selection={"patterns": ["- relative"]})
    site.fails(status=2)
    nothing_left(site)


def test_a_snapshot_that_cannot_be_removed_is_told_and_the_backup_is_made(site: Site, tmp_path: Path) -> None:
    fill(site.source / "files")
    site.configure("auto")
    first = tmp_path / "first"
    first.mkdir()
    (first / "btrfs").write_text('#!/bin/sh\n[ "$2" = delete ] && { echo no >&2; exit 1; }\nexec /bin/btrfs "$@"\n')
    (first / "btrfs").chmod(0o755)
    site.first = first
    done = site.backup(status=10)
    assert "removing the snapshot" in done["warnings"][0]
    assert "the next run tries again" in done["warnings"][0]
    site.first = None
    site.backup()
    nothing_left(site)
    assert same(picture(site.source), site.restored()) == []


def test_programs_that_are_run_around_it_see_the_mounts_of_the_machine(site: Site) -> None:
    """What a hook mounts stays mounted, and what it unmounts is: it runs where the administrator's shell does."""
    fill(site.source / "files")
    place = site.place / "mounted"
    place.mkdir()
    site.configure("auto", hooks={"release": [["mount", "-t", "tmpfs", "of-the-hook", str(place)]]})
    site.backup()
    assert "of-the-hook" in Path("/proc/self/mountinfo").read_text()
    site.configure("auto", hooks={"release": [["umount", str(place)]]})
    site.backup()
    assert "of-the-hook" not in Path("/proc/self/mountinfo").read_text()
