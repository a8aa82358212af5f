"""What ``cya backup`` says of a collect on the same machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cya.archive.init import init_archive
from cya.cli import backup
from cya.config.root import RootConfig
from tests.archive.conftest import Site, at


def test_an_upload_that_waits_is_not_called_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_archive(tmp_path / "web1", RootConfig())
    site = Site(tmp_path / "web1")
    site.collect("2012-12-04")
    names = site.upload("2012-12-04")
    with (site.next / names[0]).open("r+b"):
        assert not backup.collected(site.root, at("2012-12-04"))
    assert "open for writing" in capsys.readouterr().err
    assert backup.collected(site.root, at("2012-12-04"))


def test_alarms_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_archive(tmp_path / "web1", RootConfig())
    site = Site(tmp_path / "web1")
    site.day("2012-12-04")
    site.upload("2012-12-05", full=True)
    assert backup.collected(site.root, at("2012-12-05"))
    assert "a full backup" in capsys.readouterr().err
