"""``cya list --calendar``: the days that can be restored."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from rich.text import Text

from cya.archive.init import init_archive
from cya.catalog import read
from cya.cli.list_calendar import days, lines
from cya.config.root import RootConfig
from cya.tree.levels import Calendar
from tests.archive.conftest import Site, site
from tests.archive.own_machine import CYA

__all__ = ["site"]


def cya(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CYA, "list", *words], capture_output=True, text=True, check=False)


def test_days_with_backups_are_marked_and_empty_months_left_out(site: Site) -> None:
    for moment in ("2012-12-04", "2012-12-05T01:00", "2012-12-05T13:00", "2013-02-28", "2013-03-01"):
        site.day(moment)
    for path in site.root.glob("backups/**/files/*20130301T*manifest*"):
        path.unlink()
    done = cya(site.root, "--calendar")
    assert done.returncode == 0
    assert (
        done.stdout
        == """\
          2012-12
Su  Mo  Tu  We  Th  Fr  Sa
                         1
 2   3   4*  5+  6   7   8
 9  10  11  12  13  14  15
16  17  18  19  20  21  22
23  24  25  26  27  28  29
30  31

nothing from 2013-01 to 2013-01

          2013-02                       2013-03
Su  Mo  Tu  We  Th  Fr  Sa    Su  Mo  Tu  We  Th  Fr  Sa
                     1   2                         1!  2
 3   4   5   6   7   8   9     3   4   5   6   7   8   9
10  11  12  13  14  15  16    10  11  12  13  14  15  16
17  18  19  20  21  22  23    17  18  19  20  21  22  23
24  25  26  27  28*           24  25  26  27  28  29  30
                              31

3 days can be restored: * one backup, + several, ! only damaged ones
"""
    )


def test_weeks_and_days_begin_where_the_roots_settings_say(tmp_path: Path) -> None:
    init_archive(tmp_path / "web1", RootConfig(week_start="monday", timezone="Pacific/Auckland"))
    site = Site(tmp_path / "web1")
    site.day("2012-12-04T20:00")
    shown = cya(site.root, "--calendar").stdout.splitlines()
    assert shown[1].split() == ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    assert " 5*" in shown[3]
    (told,) = json.loads(cya(site.root, "--calendar", "--json").stdout)
    assert told == {"day": "2012-12-05", "backups": ["2012-12-04T20:00:00Z"], "damaged": []}


def test_as_many_months_stand_side_by_side_as_there_is_room_for(site: Site) -> None:
    for month in range(1, 8):
        site.day(f"2013-{month:02}-15")
    seen = days(read(site.root), Calendar().zone)
    for across, heads in ((1, 7), (3, 3), (4, 2)):
        text = [Text.from_markup(line).plain for line in lines(seen, Calendar(), across)]
        assert len([line for line in text if "2013-" in line]) == heads
        assert max(map(len, text[:-1])) <= across * 30


def test_decades_are_a_few_lines(site: Site) -> None:
    for year in range(2000, 2040, 10):
        site.day(f"{year}-06-15")
    shown = cya(site.root, "--calendar").stdout
    assert "nothing from 2000-07 to 2010-05" in shown
    assert len(shown.splitlines()) < 50


def test_a_plain_directory_has_a_calendar_and_an_empty_root_has_none(site: Site) -> None:
    assert "no backups yet" in cya(site.root, "--calendar").stdout
    assert json.loads(cya(site.root, "--calendar", "--json").stdout) == []
    site.day("2012-12-04")
    assert " 4*" in cya(site.root / "backups/2000/files", "--calendar").stdout
