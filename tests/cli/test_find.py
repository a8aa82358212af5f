"""`cya find`: which backups have which versions of a file, over all branches of a tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DAYS, Lived, Tree


def at(lived: Lived, version: dict[str, Any]) -> range:
    """The days on which a version was there."""
    return range(lived.times.index(version["first"]), lived.times.index(version["last"]) + 1)


def looks_like(version: dict[str, Any], was: tuple[str, str, int, str | None, int]) -> bool:
    kind, mode, _, target, size = was
    if version["type"] != kind or version["target"] != target:
        return False
    fits = kind != "file" or version["size_min"] <= size <= version["size_max"]
    return fits and (kind == "link" or version["mode"] == mode)


@pytest.mark.slow
def test_every_path_has_on_each_day_the_version_that_it_had_then(lived: Lived) -> None:
    found = lived.json("find", "**")
    assert {each["path"] for each in found} == {path for was in lived.was for path in was}
    for each in found:
        has: dict[int, dict[str, Any]] = {}
        for version in each["versions"]:
            days = at(lived, version)
            has |= dict.fromkeys(days, version)
            gone = days[-1] + 1 < DAYS and each["path"] not in lived.was[days[-1] + 1]
            assert version["deleted"] == (lived.times[days[-1] + 1] if gone else None)
        assert sum(len(at(lived, version)) for version in each["versions"]) == len(has), "no day has two versions"
        for number, was in enumerate(lived.was):
            assert (number in has) == (each["path"] in was), (each["path"], number)
            assert number not in has or looks_like(has[number], was[each["path"]]), (each["path"], number)
        for one, other in zip(each["versions"], each["versions"][1:], strict=False):
            rest = ("first", "last", "deleted")
            alike = all(one[key] == other[key] for key in one if key not in rest) and one["deleted"] is None
            assert not alike or one["type"] == "file", "only contents can differ where nothing else does"


@pytest.mark.slow
def test_deleted_added_again_and_of_another_type(lived: Lived) -> None:
    (found,) = lived.json("find", "comes*goes")
    assert found["path"] == "etc/comes and goes"
    first, second = found["versions"]
    assert (first["first"], first["last"], first["deleted"]) == (lived.times[3], lived.times[4], lived.times[5])
    assert (second["first"], second["last"], second["deleted"]) == (lived.times[9], lived.times[-1], None)
    assert (first["type"], second["type"]) == ("file", "directory")
    said = lived.host.run("find", "comes*", "--config", lived.host.config).stdout
    assert said.startswith("etc/comes and goes\n  2019-12-27T02:00:00+00:00 … 2019-12-28T02:00:00+00:00  -rw")
    assert "deleted in 2019-12-29T02:00:00+00:00" in said


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["path"] for each in found]


@pytest.mark.slow
def test_patterns_are_those_of_a_config(lived: Lived) -> None:
    assert names(lived.json("find", "PASS*", "--ignore-case")) == ["etc/passwd"]
    lived.host.run("find", "PASS*", "--config", lived.host.config, status=1)
    assert names(lived.json("find", "etc/*s*d*")) == ["etc/comes and goes", "etc/passwd", "etc/shadow"]
    assert names(lived.json("find", "e*/passwd", "[s]hadow")) == ["etc/passwd", "etc/shadow"]
    assert names(lived.json("find", f"{lived.host.source}/etc/mtab")) == ["etc/mtab"]
    assert names(lived.json("find", "/etc/mtab")) == ["etc/mtab"]
    assert names(lived.json("find", "**/empty")) == ["home/ünïcode/empty"]
    assert names(lived.json("find", "new?line")) == ["home/a b/new\nline"]
    assert "names nothing" in lived.host.run("find", "/", "--config", lived.host.config, status=2).stderr
    assert "pattern" in lived.host.run("find", "[z-a]", "--config", lived.host.config, status=2).stderr


@pytest.mark.slow
def test_damage_is_named_and_the_other_backups_are_told(lived: Lived, damaged: Path) -> None:
    whole: Tree = lived.was[4]
    ran = lived.host.run("find", "**", "--json", "--config", lived.host.config, status=13)
    assert damaged.name in ran.stderr
    (found,) = lived.json("find", "comes and goes", status=13)
    assert found["versions"][0]["first"] == lived.times[3]
    assert lived.times[5] not in {each["deleted"] for each in found["versions"]}
    assert set(whole) <= {each["path"] for each in lived.json("find", "**", status=13)}
