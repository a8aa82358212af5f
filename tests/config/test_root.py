"""The settings of a root."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.config.root import FILE, RootConfig, dump, load
from cya.errors import ConfigError
from cya.tree.levels import ALL_LEVELS, DEFAULT_LEVELS, Calendar
from tests.config.conftest import Write


def refused(write: Write, text: str) -> str:
    path = write(text, FILE, 0o644)
    with pytest.raises(ConfigError) as caught:
        load(path.parent)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config == RootConfig()
    assert config.levels == DEFAULT_LEVELS
    assert (config.week_start, config.timezone, config.user) == ("sunday", "UTC", None)
    assert (config.handover, config.reserve) == ("marker", 0)


def test_an_empty_file_is_the_same_as_none(write: Write) -> None:
    assert load(write("", FILE, 0o644).parent) == RootConfig()


def test_every_key_is_read(write: Write) -> None:
    text = """
        levels = ["year", "week", "day"]
        week_start = "monday"
        timezone = "Europe/Berlin"
        user = "web1"
        handover = "rename"
        index = true
        reserve = 10240
    """
    config = load(write(text, FILE, 0o644).parent)
    assert config == RootConfig(
        levels=("year", "week", "day"),
        week_start="monday",
        timezone="Europe/Berlin",
        user="web1",
        handover="rename",
        index=True,
        reserve=10240,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("levels = []", "levels: expected one or more of century, decade, year, month, week, day, each once, from "),
        ('levels = ["week", "month"]', "levels: expected one or more of century, "),
        ('levels = ["week", "week"]', "levels: expected one or more of century, "),
        ('levels = ["year", "fortnight"]', "levels: there is no level 'fortnight'; the levels are century, decade, "),
        ('levels = "week"', "levels: expected a list of one or more of century, "),
        ('week_start = "Sunday"', 'week_start: expected "sunday" or "monday", found "Sunday"'),
        (
            'timezone = "Europe/Atlantis"',
            'timezone: expected the name of a time zone, such as "UTC" or "Europe/Berlin"',
        ),
        ('timezone = "Europe"', "timezone: expected the name of a time zone"),
        ('timezone = ""', "timezone: expected the name of a time zone"),
        ('timezone = "../../etc/passwd"', "timezone: expected the name of a time zone"),
        ('timezone = "/etc/localtime"', "timezone: expected the name of a time zone"),
        ('timezone = "zone.tab"', "timezone: expected the name of a time zone"),
        ('timezone = "a\\u0000"', "timezone: expected the name of a time zone"),
        ("timezone = 1", "timezone: expected the name of a time zone"),
        ('user = ""', "user: expected the name of a Unix user"),
        ('user = "-x"', "user: expected the name of a Unix user"),
        ('user = "a/b"', "user: expected the name of a Unix user"),
        ("user = 1000", "user: expected the name of a Unix user, found 1000"),
        ('handover = "FINISHED"', 'handover: expected "marker" or "rename", found "FINISHED"'),
        ("index = 1", "index: expected true or false, found 1"),
        ("reserve = -1", "reserve: expected an integer from 0 up (MiB), found -1"),
        ('reserve = "10G"', 'reserve: expected an integer from 0 up (MiB), found "10G"'),
        ('level = ["week"]', "level: unknown key; did you mean levels?"),
        ("levels", "malformed TOML: "),
    ],
)
def test_a_mistake_is_refused_by_key_and_expectation(write: Write, text: str, message: str) -> None:
    assert refused(write, text).startswith(message)


def test_a_file_that_others_can_write_is_refused(write: Write, tmp_path: Path) -> None:
    write("", FILE, 0o664)
    with pytest.raises(ConfigError, match=f"group or others may write it .mode 0664.; run: chmod go-w {tmp_path}"):
        load(tmp_path)


def test_a_dangling_link_is_not_taken_for_defaults(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path)


def test_a_root_that_may_not_be_entered_is_not_taken_for_defaults(tmp_path: Path, as_nobody: None) -> None:
    closed = tmp_path / "closed"
    if os.getuid() == 0:
        os.seteuid(0)
    closed.mkdir(mode=0o000)
    if os.getuid() == 0:
        os.seteuid(65534)
    with pytest.raises(ConfigError, match="this user may not read it"):
        load(closed)


_ORDERED = st.sets(st.sampled_from(ALL_LEVELS), min_size=1).map(
    lambda found: tuple(sorted(found, key=ALL_LEVELS.index))
)
_CONFIGS = st.builds(
    RootConfig,
    levels=_ORDERED,
    week_start=st.sampled_from(["sunday", "monday"]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati"]),
    user=st.none() | st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True),
    handover=st.sampled_from(["marker", "rename"]),
    index=st.booleans(),
    reserve=st.integers(0, 2**62),
)


@given(config=_CONFIGS)
def test_what_is_dumped_loads_the_same(tmp_path_factory: pytest.TempPathFactory, config: RootConfig) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / FILE).write_bytes(dump(config))
    (root / FILE).chmod(0o644)
    assert load(root) == config
    Calendar(config.levels, config.week_start, ZoneInfo(config.timezone))


def test_defaults_are_dumped_too_so_that_another_version_keeps_the_tree_as_it_is() -> None:
    lines = dump(RootConfig()).decode().splitlines()
    assert 'levels = ["century", "decade", "year", "month", "week"]' in lines
    assert 'timezone = "UTC"' in lines
    assert '#user = "client"' in lines


def test_settings_that_would_not_load_are_not_dumped() -> None:
    with pytest.raises(ConfigError, match="levels: expected one or more of"):
        dump(RootConfig(levels=("week", "year")))
    with pytest.raises(ConfigError, match="timezone: expected the name of a time zone"):
        dump(RootConfig(timezone="Mars"))
