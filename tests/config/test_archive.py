"""The archive host's config."""

from __future__ import annotations

from pathlib import Path

import pytest

from cya.config.archive import expand, load
from cya.errors import ConfigError
from tests.config.conftest import Write


def roots(write: Write, *patterns: object) -> list[Path]:
    listed = ", ".join(f'"{pattern}"' for pattern in patterns)
    return expand(load(write(f"roots = [{listed}]", "archive.toml", 0o644)))


def test_patterns_stand_for_directories_sorted_and_once(write: Write, tmp_path: Path) -> None:
    for name in ("web2", "web1", "db", "lost+found", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "db")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    found = roots(write, tmp_path / "web2", tmp_path / "*", tmp_path / "web[0-9]")
    assert found == [tmp_path / name for name in ("db", "link", "web1", "web2")]


def test_a_pattern_may_match_nothing(write: Write, tmp_path: Path) -> None:
    assert roots(write, tmp_path / "none*") == []


def test_a_directory_that_is_named_must_be_there(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"archive\.toml: roots: {tmp_path}/web9 does not exist; make the root"):
        roots(write, tmp_path / "web9")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=rf"archive\.toml: roots: {tmp_path}/file is not a directory"):
        roots(write, tmp_path / "file")


@pytest.mark.parametrize("value", ['"/srv/cya/*"', "[]", '["srv/*"]', '[""]', "[1]", '["/a\\u0000"]'])
def test_a_wrong_list_is_refused(write: Write, value: str) -> None:
    with pytest.raises(ConfigError, match="roots: expected a list of one or more absolute directories or patterns"):
        load(write(f"roots = {value}"))


def test_a_config_without_roots_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="roots: missing; expected a list of"):
        load(write(""))


def test_a_config_that_others_can_write_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="chmod go-w"):
        load(write('roots = ["/srv/*"]', mode=0o666))
    with pytest.raises(ConfigError, match="there is no such file"):
        load(Path("/nonexistent/archive.toml"))
