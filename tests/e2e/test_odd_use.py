"""Odd ways to use the command line: each does what one would expect, or says why not."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from cya.cli.app import VERBS
from tests.e2e.conftest import Host, picture

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def plain(newest: Host) -> Host:
    """A host with one unencrypted backup of a few files."""
    (newest.source / "sub").mkdir()
    (newest.source / "sub/f").write_text("f")
    (newest.source / "g").write_text("g")
    newest.init("--no-encryption")
    newest.backup("2019-12-28T02:00:00Z")
    return newest


def test_an_archive_reached_by_a_link_is_not_backed_up_into_itself(newest: Host) -> None:
    (newest.source / "f").write_text("f")
    (newest.place / "link").symlink_to(newest.source)
    newest.root = newest.place / "link" / "archive"
    newest.init("--no-encryption")
    newest.backup("2019-12-28")
    assert sorted(path.name for path in newest.restore("out").iterdir()) == ["f"]


def test_two_clients_never_upload_into_one_archive_at_once(newest: Host) -> None:
    newest.engine = "duplicity"  # for its slowness
    chance = random.Random(1)
    for number in range(40):
        (newest.source / f"large {number}").write_bytes(chance.randbytes(1 << 20))
    newest.init("--no-encryption", "--volume-size", "1M")
    other = newest.config.with_name("other.toml")
    other.write_text(newest.config.read_text().replace(str(newest.cache), str(newest.place / "other cache")))
    other.chmod(0o600)
    first = newest.start_backup("2019-12-28", volumes=2)
    assert "another upload" in newest.run("backup", "--config", other, "--now", "2019-12-28", status=12).stderr
    first.communicate(timeout=100)
    assert first.returncode == 0
    assert len(newest.list()) == 1


def test_a_new_passphrase_is_never_made_for_an_archive_with_backups(plain: Host) -> None:
    again = plain.place / "again.toml"
    words = ("init", "--config", again, "--source", plain.source, "--archive", plain.root)
    assert "holds backups already" in plain.run(*words, status=2).stderr
    assert not again.exists()
    plain.run(*words, "--no-encryption")


def test_an_unmounted_archive_is_no_empty_one(plain: Host) -> None:
    plain.root.rename(plain.place / "elsewhere")
    plain.root.mkdir()
    for words in (("list", "--config", plain.config), ("restore", plain.place / "out", "--config", plain.config)):
        assert "is the disk mounted?" in plain.run(*words, status=1).stderr
    assert "is the disk mounted?" in plain.backup("2019-12-29", status=1).stderr


@pytest.mark.parametrize("path", [".", "/", "./", "", "SOURCE"])
def test_the_source_itself_as_a_path_is_everything(plain: Host, path: str) -> None:
    place = plain.restore("out", "--path", path.replace("SOURCE", str(plain.source)))
    assert picture(place) == picture(plain.source)


def test_paths_within_others_and_twice(plain: Host) -> None:
    place = plain.restore("out", "--path", "sub/f", "--path", "sub", "--path", "sub/", "--path", "g")
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*")) == ["g", "sub", "sub/f"]


def test_what_list_prints_is_taken_by_time(plain: Host) -> None:
    """Over the hour that comes twice: both can be told apart, and reached."""
    plain.environment["TZ"] = "America/New_York"
    for number, moment in enumerate(("2020-11-01T05:30:00Z", "2020-11-01T06:30:00Z")):
        (plain.source / "g").write_text(f"changed {number}")
        os.utime(plain.source / "g", (1_600_000_000 + number, 1_600_000_000 + number))
        plain.backup(moment)
    table = plain.run("list", plain.root).stdout.splitlines()
    first, second = (line.split()[0] for line in table[-2:])
    assert (first, second) == ("2020-11-01T01:30:00-04:00", "2020-11-01T01:30:00-05:00")
    assert (plain.restore("first", "--time", first) / "g").read_text() == "changed 0"
    assert (plain.restore("second", "--time", second) / "g").read_text() == "changed 1"


def test_times_are_whole_on_a_narrow_terminal(plain: Host) -> None:
    command = " ".join(plain.command("list", plain.root))
    shown = subprocess.run(
        ["script", "-qec", f"stty cols 80; {command}", "/dev/null"],
        env={**plain.environment, "TERM": "xterm", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "2019-12-28T02:00:00+00:00" in shown


def test_names_that_are_not_utf_8_are_reported(newest: Host) -> None:
    """In JSON and in text; the backup is made."""
    if os.geteuid() == 0:
        newest.wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--"]
    newest.init("--no-encryption")
    name = os.fsencode(newest.source) + b"/odd\xff\x1b[31m"
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0))
    done = newest.json("backup", "--config", newest.config, "--now", "2019-12-28", status=10)
    assert done["lost"][0]["path"].startswith("odd")
    text = newest.backup("2019-12-29", status=10).stderr
    assert "\x1b" not in text
    assert "odd" in text


@pytest.mark.parametrize("word", ["list", "init-archive", "collect"])
def test_a_name_that_is_too_long_is_an_error_and_no_traceback(newest: Host, word: str) -> None:
    assert "too long" in newest.run(word, newest.place / ("x" * 300), status=1).stderr


def test_a_demo_that_would_overwrite_is_refused(newest: Host) -> None:
    assert "is there already" in newest.run("demo", "--keep", newest.place, status=2).stderr


def test_an_engine_that_is_not_there_is_refused_at_init(newest: Host) -> None:
    words = ("init", "--config", newest.config, "--source", newest.source, "--archive", newest.root)
    assert 'expected "native" or "duplicity"' in newest.run(*words, "--engine", "other", status=2).stderr
    assert not newest.config.exists()
    assert not newest.root.exists()


def test_wrong_usage_is_told_in_a_line(newest: Host) -> None:
    for words in (("backup",), ("restore",), ("list", "--nonsense"), ("nonsense",), ("list",), ("collect",)):
        ran = newest.run(*words, status=2)
        assert ran.stderr.startswith("cya: ")
        assert len(ran.stderr.splitlines()) == 1


def test_every_verb_explains_itself(newest: Host) -> None:
    verbs = list(VERBS)
    assert {"init", "backup", "restore", "list", "init-archive", "collect", "demo"} <= set(verbs)
    for verb in verbs:
        assert "EXIT STATUS" in newest.run(verb, "--help").stdout, verb


def test_the_clock_can_be_set_before_the_verb_too(plain: Host) -> None:
    plain.run("--now", "2020-01-03", "backup", "--config", plain.config)
    plain.environment["CYA_NOW"] = "2020-01-04"
    plain.run("backup", "--config", plain.config)
    assert [each["time"][:10] for each in plain.list()] == ["2019-12-28", "2020-01-03", "2020-01-04"]


@needs_root
def test_an_interrupted_restore_says_what_it_means(newest: Host) -> None:
    chance = random.Random(1)
    for number in range(200):
        (newest.source / f"large {number}").write_bytes(chance.randbytes(1 << 20))
    newest.init("--no-encryption")
    newest.backup("2019-12-28")
    running = subprocess.Popen(
        newest.command("restore", newest.place / "out", "--config", newest.config),
        env=newest.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any("large" in name for _, _, names in os.walk(newest.place / "out") for name in names):
        assert running.poll() is None
        time.sleep(0.01)
    running.terminate()
    _, message = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "is not whole; to go on, run the same with --resume --time 2019-12-28T00:00:00Z" in message


def test_a_backup_from_a_leftover_next_of_long_ago_lies_where_it_belongs(plain: Host) -> None:
    """A client was killed in 2019 and runs again in 2022: its leftovers must not decide the place."""
    (plain.root / "incoming/next/duplicity-inc.20191228T020000Z.to.20191229T020000Z.vol1.difftar.gz").write_text("x")
    plain.backup("2022-02-02T02:00:00Z")
    assert plain.list()[-1]["path"] == "2000/2020/2022/2022-01/2022-01-30"


def test_a_restore_to_a_relative_path_and_the_current_directory(plain: Host) -> None:
    (plain.place / "here").mkdir()
    plain.run("restore", ".", "--config", plain.config, cwd=plain.place / "here")
    assert picture(plain.place / "here") == picture(plain.source)
    assert Path(plain.place / "here/g").read_text() == "g"
