"""``cya simulate``: what it prints, draws and refuses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cya.archive.init import init_archive
from cya.config.root import RootConfig
from tests.archive.own_machine import CYA


def cya(*words: str | Path) -> subprocess.CompletedProcess[str]:
    words = ("simulate", "--now", "2026-01-01", *words)
    return subprocess.run([CYA, *words], capture_output=True, text=True, check=False)


def test_it_tells_ages_chains_and_room() -> None:
    done = cya("--keep", "week=2", "--keep", "month=3", "--years", "3", "--size", "100G")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "keep week 2, month 3; every 1d for 3 years: 1,095 backups made, 59 left"
    assert lines[2].split() == ["age", "backups", "apart", "at", "most", "within", "a", "year"]
    assert lines[3].split() == [*("now", "to", "a", "week"), "7", *("1.0", "days") * 3]
    assert any(line.startswith("chains: the newest ") for line in lines)
    assert any(line.startswith("room: about ") for line in lines)
    assert [line[:8] for line in lines[-3:]] == ["year   1", "year   2", "year   3"]


def test_json_and_the_picture_say_the_same(tmp_path: Path) -> None:
    picture = tmp_path / "x.svg"
    done = cya("--keep", "week=2", "--keep", "month=3", "--years", "2", "--size", "1T", "--svg", picture, "--json")
    told = json.loads(done.stdout)
    assert told["keep"] == {"week": 2, "month": 3}
    assert told["made"] == 730
    assert len(told["left"]) == sum(band["backups"] for band in told["ages"])
    assert len(told["bytes_by_year"]) == 2
    assert told["bytes"] == told["bytes_by_year"][-1] <= told["bytes_at_most"]
    shapes = ET.parse(picture).getroot().findall("{http://www.w3.org/2000/svg}rect")
    assert len(shapes) == 1 + len(told["left"]) + 2


def test_the_settings_of_a_root_are_taken(tmp_path: Path) -> None:
    levels = ("year", "month", "day")
    init_archive(tmp_path / "web1", RootConfig(levels=levels, keep={"day": 3, "month": 2}))
    told = json.loads(cya("--root", tmp_path / "web1", "--every", "6h", "--years", "1", "--json").stdout)
    assert told["keep"] == {"day": 3, "month": 2}
    assert told["directories"] <= 3 + 2 + 2
    told = json.loads(cya("--root", tmp_path / "web1", "--keep", "day=9", "--years", "1", "--json").stdout)
    assert told["keep"] == {"day": 9}


def test_without_a_size_nothing_is_said_of_room() -> None:
    done = cya("--years", "1", "--every", "1w")
    assert "room" not in done.stdout
    assert json.loads(cya("--years", "1", "--every", "1w", "--json").stdout)["bytes"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--every", "0d"), "expected a time such as 1d"),
        (("--every", "often"), "expected a time such as 1d"),
        (("--years", "0"), "expected 1 to 1000"),
        (("--years", "1000", "--every", "1h"), "between 2 and 100,000 can be simulated"),
        (("--keep", "day=3"), "the levels are century"),
        (("--keep", "week=x"), "expected LEVEL=N"),
        (("--levels", "week,month"), "from coarse to fine"),
        (("--size", "much"), "expected a size such as 500M"),
        (("--size", "1G", "--change", "101%"), "expected a share of 0% to 100%"),
        (("--size", "1G", "--hot", "0%", "--change", "0%"), "expected more than 0%"),
    ],
)
def test_nonsense_is_refused(words: tuple[str, ...], message: str) -> None:
    done = cya(*words)
    assert done.returncode == 2
    assert message in done.stderr
