"""``cya snapshots``: what would be done, in words and in JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.mounts import own_mounts
from tests.snapshot.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.plain(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_what_would_be_done(site: Site) -> None:
    with own_mounts():
        (site.source / "memory").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "memory", site.source / "memory"], check=True)
        site.configure("auto")
        said = site.cya("snapshots", "--config", site.config).stdout
        told = json.loads(site.cya("snapshots", "--config", site.config, "--json").stdout)
        subprocess.run(["umount", site.source / "memory"], check=True)
    assert f'{site.source}: what a backup would do (snapshot.kind = "auto"):' in said
    assert "what has no device (tmpfs): read as it is" in said
    assert {*told} == {"source", "kind", "taken", "live", "left", "running"}
    assert told["live"][-1] == {"place": str(site.source / "memory"), "what": "tmpfs on memory"}


def test_none(site: Site) -> None:
    assert 'read as it is (snapshot.kind = "none")' in site.cya("snapshots", "--config", site.config).stdout


def test_a_kind_that_cannot_be(site: Site) -> None:
    site.configure("zfs")
    said = site.cya("snapshots", "--config", site.config, status=1).stderr
    assert 'snapshot.kind = "zfs": ' in said


def test_while_a_backup_runs(site: Site) -> None:
    ready = site.place / "ready"
    site.configure("auto", hooks={"before": [["sh", "-c", f"touch {ready}; sleep 60"]]})
    site.hours += 1
    running = subprocess.Popen(
        site.command("backup", "--config", site.config), env=site.environment, stderr=subprocess.DEVNULL
    )
    while not ready.exists():
        assert running.poll() is None
    assert "a backup is running" in site.cya("snapshots", "--config", site.config).stdout
    assert "another backup with this config is running" in (
        site.cya("snapshots", "--config", site.config, "--remove", status=12).stderr
    )
    running.terminate()
    running.wait()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('kind = "lvn"', 'snapshot.kind: expected "none", "auto", "lvm", "btrfs" or "zfs"'),
        ('size = "0%"', 'snapshot.size: expected a part of the volume such as "10%"'),
        ('size = "101%"', "snapshot.size: expected"),
        ('size = "-5G"', "snapshot.size: expected"),
        ('live = ["home"]', "snapshot.live: expected a list of absolute mount points"),
    ],
)
def test_bad_settings_are_refused(site: Site, key: str, said: str) -> None:
    text = site.config.read_text().replace('kind = "none"', "" if key.startswith("kind") else 'kind = "none"')
    site.config.write_text(text.replace("[snapshot]", f"[snapshot]\n{key}"))
    assert said in site.cya("snapshots", "--config", site.config, status=2).stderr
