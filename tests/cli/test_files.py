"""`cya files`: what was in the source on a day."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cya import catalog, clock
from tests.cli.conftest import DAYS, Lived, Tree
from tests.e2e.conftest import Host


def listed(facts: list[dict[str, object]]) -> list[str]:
    return [str(each["path"]) for each in facts]


def check(facts: list[dict[str, object]], was: Tree) -> None:
    assert sorted(listed(facts)) == sorted(was)
    for each in facts:
        kind, mode, mtime, target, size = was[str(each["path"])]
        assert each["type"] == kind
        assert each["target"] == target
        if kind != "link":
            assert each["mode"] == mode
            assert each["mtime"] == clock.iso(mtime)
        if kind == "file":
            smallest, largest = each["size_min"], each["size_max"]
            assert isinstance(smallest, int)
            assert isinstance(largest, int)
            assert smallest <= size <= largest


@pytest.mark.slow
def test_each_day_is_listed_as_it_was(lived: Lived) -> None:
    assert len({len(each.chain or ()) for each in catalog.read(lived.host.root).backups}) > 2
    for number in range(DAYS):
        check(lived.json("files", "--time", lived.times[number]), lived.was[number])


@pytest.mark.slow
def test_a_directory_of_the_tree_does_too(lived: Lived) -> None:
    directory = next(each for each in catalog.read(lived.host.root).directories if len(each.period) > 4)
    words = ("files", "--from", directory.path, "--passphrase-file", lived.host.config.with_suffix(".passphrase"))
    assert listed(lived.host.json(*words, "--time", lived.times[3])) == listed(
        lived.json("files", "--time", lived.times[3])
    )


@pytest.mark.slow
def test_paths_and_depths(lived: Lived) -> None:
    def files(*words: object) -> list[str]:
        return listed(lived.json("files", "--time", lived.times[0], *words))

    assert files("etc") == ["etc", "etc/mtab", "etc/passwd", "etc/shadow"]
    assert files("etc", "etc/passwd", lived.host.source / "etc", "./etc/") == files("etc")
    assert files("etc/passwd", "var/pipe") == ["etc/passwd", "var/pipe"]
    assert files("--depth", 0) == ["."]
    assert files("--depth", 1) == [".", "etc", "home", "var"]
    assert files("--depth", 1, "home/a b") == ["home/a b", "home/a b/new\nline"]
    assert files("--depth", 0, "var/log", "etc") == ["etc", "var/log"]


@pytest.mark.slow
def test_odd_names_are_printed_safely(lived: Lived) -> None:
    said = lived.host.run("files", "--config", lived.host.config, "home", "etc/mtab").stdout
    assert "home/a b/new\\nline\n" in said
    assert "home/\\udcff\\udcfe\n" in said
    assert "home/ünïcode/empty\n" in said
    assert "etc/mtab -> ../proc/mounts\n" in said
    assert all(line[0] in "-dlp" for line in said.splitlines())
    assert os.fsdecode(b"home/\xff\xfe") in listed(lived.json("files", "home"))


@pytest.mark.slow
def test_what_is_not_there_is_said(lived: Lived) -> None:
    ran = lived.host.run("files", "etc/nothing", "etc", "--config", lived.host.config, status=1)
    assert "etc/nothing: not in the backup of" in ran.stderr
    assert "etc/passwd" in ran.stdout
    ran = lived.host.run("files", "--config", lived.host.config, "--time", "2019-01-01", status=1)
    assert "no backup from" in ran.stderr
    ran = lived.host.run("files", "../x", "--config", lived.host.config, status=2)
    assert "not below" in ran.stderr
    assert "--config" in lived.host.run("files", status=2).stderr


@pytest.mark.slow
def test_damage_is_told_with_the_files_name_and_costs_only_what_stands_on_it(lived: Lived, damaged: Path) -> None:
    ran = lived.host.run("files", "--config", lived.host.config, "--time", lived.times[5], status=13)
    assert damaged.name in ran.stderr
    check(lived.json("files", "--time", lived.times[4]), lived.was[4])
    check(lived.json("files", "--time", lived.times[13]), lived.was[13])


@pytest.mark.slow
def test_no_volume_is_needed(lived: Lived, tmp_path: Path) -> None:
    directory = next(each for each in catalog.read(lived.host.root).directories if len(each.period) > 4)
    for name in os.listdir(directory.path):
        if "difftar" not in name and "manifest" not in name:
            os.link(directory.path / name, tmp_path / name)
    words = ("files", "--from", tmp_path, "--passphrase-file", lived.host.config.with_suffix(".passphrase"))
    check(lived.host.json(*words, "--time", lived.times[3]), lived.was[3])


@pytest.mark.slow
def test_a_wrong_passphrase_and_none_are_told(lived: Lived, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    ran = lived.host.run("files", "--from", lived.host.root, "--passphrase-file", wrong, status=1)
    assert "passphrase is wrong" in ran.stderr
    assert "--passphrase-file" in lived.host.run("files", "--from", lived.host.root, status=1).stderr


def test_with_the_archive_elsewhere_the_cache_tells_of_the_newest_chain(newest: Host) -> None:
    (newest.source / "file").write_text("x")
    newest.init()
    newest.backup("2019-12-21")
    text = newest.config.read_text().replace(f'archive = "{newest.root}"', 'archive = "sftp://web1@localhost:1"')
    assert "sftp://" in text
    newest.config.write_text(text.replace("[sftp]\n", "[sftp]\ngive_up_after = 0\n"))
    ran = newest.run("files", "--config", newest.config)
    assert "file" in ran.stdout
    assert "as the engine keeps it here" in ran.stderr
    for path in newest.cache.glob("archive-dir/*/*"):
        path.unlink()
    assert "no connection" in newest.run("files", "--config", newest.config, status=1).stderr
