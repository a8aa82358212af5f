"""``cya list --tree``: each directory with what is in it, what would come free, and what others hold."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cya.archive.lend import lend
from cya.config.archive import parse_age
from tests.archive.conftest import Site, at, site
from tests.archive.own_machine import CYA

__all__ = ["site"]

DAYS = ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10")
WEEK = "2000/2010/2012/2012-12/2012-12-09"


def cya(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CYA, "list", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def lived(site: Site) -> Site:
    for day in DAYS:
        site.day(day)
    return site


def facts(root: Path) -> dict[str, dict[str, object]]:
    return {each["directory"]: each for each in json.loads(cya(root, "--tree", "--json").stdout)}


def used(*tops: Path) -> int:
    """Bytes of all files below some directories, each inode once."""
    found = {path.stat().st_ino: path.stat().st_size for top in tops for path in top.rglob("*") if path.is_file()}
    return sum(found.values())


def test_the_tree_is_shown_to_people(lived: Site) -> None:
    done = cya(lived.root, "--tree")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["directory", "level", "backups", "chains", "size", "own", "shared"]
    assert [line[:4] for line in lines[1:7]] == [
        ["2000", "century", "1", "1"],
        ["2010", "decade", "1", "1"],
        ["2012", "year", "1", "1"],
        ["2012-12", "month", "2", "2"],
        ["2012-12-02", "week", "2", "2"],
        ["2012-12-09", "week", "3", "3"],
    ]
    assert "6 directories, 4 backups; " in done.stdout


def test_own_is_what_comes_free_when_a_directory_is_deleted(lived: Site) -> None:
    told = facts(lived.root)
    for name, each in told.items():
        copy = lived.root.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", lived.root, copy], check=True)
        shutil.rmtree(copy / "backups" / name)
        assert each["own"] == used(lived.root) - used(copy), name
        files = lived.root / "backups" / name / "files"
        assert each["bytes"] == used(files)
        names = {p.stat().st_ino: p.stat() for p in files.iterdir()}
        left = {
            p.stat().st_ino
            for p in lived.root.rglob("*")
            if p.is_file() and lived.root / "backups" / name not in p.parents and p.stat().st_ino in names
        }
        assert each["shared"] == sum(names[inode].st_size for inode in left)


def test_what_is_lent_does_not_come_free(lived: Site) -> None:
    before = facts(lived.root)[WEEK]["own"]
    lend(lived.root, at("2012-12-10"), parse_age("2D"), at("2012-12-11"))
    assert int(str(facts(lived.root)[WEEK]["own"])) < int(str(before))


def test_several_chains_and_damage_are_told(lived: Site) -> None:
    lived.day("2012-12-11", full=True)
    assert facts(lived.root)[WEEK]["chains"] == [3, 1]
    assert "3+1" in cya(lived.root, "--tree").stdout
    for path in (lived.root / "backups" / WEEK / "files").glob("*manifest*"):
        path.unlink()
    assert facts(lived.root)[WEEK]["backups"] == 0
    assert "damaged" in cya(lived.root, "--tree").stdout


def test_a_root_without_backups_has_no_tree(site: Site) -> None:
    assert "no backups yet" in cya(site.root, "--tree").stdout
    assert json.loads(cya(site.root, "--tree", "--json").stdout) == []


def test_what_is_no_tree_is_refused(lived: Site) -> None:
    done = cya(lived.root / "backups" / WEEK / "files", "--tree")
    assert done.returncode == 2
    assert "--tree is for an archive root" in done.stderr
    done = cya(lived.root, "--tree", "--calendar")
    assert done.returncode == 2
    assert "either --tree or --calendar" in done.stderr


def test_a_file_is_counted_once_in_the_table_of_backups_too(lived: Site) -> None:
    told = json.loads(cya(lived.root, "--json").stdout)
    names = {path.name: path.stat().st_size for path in (lived.root / "backups").rglob("*.gpg")}
    assert sum(each["bytes"] for each in told) == sum(names.values())
    assert os.fspath(lived.root) not in json.dumps(told)
