"""The main job by the command line, with duplicity 0.8.22 and 3.2.1: what a user does, and what has to come of it."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from cya import catalog
from tests.e2e import days
from tests.e2e.conftest import Host, picture


@pytest.fixture
def living(host: Host) -> Host:
    """A host with four backups over a change of week; each day's picture is in ``was``."""
    days.begin(host.source)
    host.init(now="2020-02-27")
    host.was = {}
    for number, day in enumerate(("2020-02-27", "2020-02-28", "2020-03-01", "2020-03-02")):
        days.live(host.source, number)
        host.backup(f"{day}T02:00:00Z")
        host.was[day] = picture(host.source)
    return host


def test_each_day_comes_back_as_it_was(living: Host) -> None:
    for day, was in living.was.items():
        assert picture(living.restore(f"restored {day}", "--time", day)) == was


def test_the_list_tells_when_what_and_where(living: Host) -> None:
    listed = living.list()
    assert [each["time"] for each in listed] == [f"{day}T02:00:00Z" for day in living.was]
    assert [each["kind"] for each in listed] == ["full", "inc", "inc", "inc"]
    assert [each["chain_length"] for each in listed] == [1, 2, 2, 3]
    assert listed[0]["levels"] == ["week", "month", "year", "decade", "century"]
    assert listed[1]["levels"] == ["week"]
    assert listed[2]["levels"] == ["week", "month", "year"]
    assert [each["path"] for each in listed] == [
        *["2000/2020/2020/2020-02/2020-02-23"] * 2,
        *["2000/2020/2020/2020-03/2020-03-01"] * 2,
    ]
    for each in listed:
        files = living.root / "backups" / each["path"] / "files"
        stamp = each["time"].replace("-", "").replace(":", "")
        own = [path for path in files.iterdir() if f"{stamp}." in path.name and f"{stamp}.to." not in path.name]
        assert each["files"] == len(own)
        assert each["bytes"] == sum(path.stat().st_size for path in own)
    table = living.run("list", "--config", living.config).stdout
    assert all(day in table for day in living.was)


def test_one_path_comes_back_alone(living: Host) -> None:
    place = living.restore(
        "one", "--path", "etc/passwd", "--path", str(living.source / "home/a b"), "--time", "2020-02-28"
    )
    assert sorted(path.name for path in place.iterdir()) == ["etc", "home"]
    assert [path.name for path in (place / "etc").iterdir()] == ["passwd"]
    was = living.was["2020-02-28"]
    assert (place / "etc/passwd").read_bytes() == was["etc/passwd"][2]
    assert (place / "home/a b/new\nline").read_bytes() == was["home/a b/new\nline"][2]


def test_it_comes_back_from_any_directory_without_a_config(living: Host) -> None:
    key = living.config.with_suffix(".passphrase")
    month = living.root / "backups/2000/2020/2020/2020-03/files"
    for name, source in (("root", living.root), ("month", month)):
        place = living.place / name
        ran = living.run("restore", place, "--from", source, "--passphrase-file", key, "--time", "2020-03-01")
        assert "2020-03-01T02:00:00" in ran.stdout
        assert picture(place) == living.was["2020-03-01"]
    assert [each["time"] for each in living.json("list", month)] == ["2020-02-27T02:00:00Z", "2020-03-01T02:00:00Z"]


def test_deleting_a_week_leaves_the_month_restorable(living: Host) -> None:
    subprocess.run(["rm", "-r", living.root / "backups/2000/2020/2020/2020-03/2020-03-01"], check=True)
    assert picture(living.restore("restored", "--time", "2020-03-01")) == living.was["2020-03-01"]
    days.live(living.source, 9)
    living.backup("2020-03-03T02:00:00Z")
    assert picture(living.restore("newest")) == picture(living.source)


def test_cron_sees_nothing_when_all_is_well(living: Host) -> None:
    ran = living.backup("2020-03-03T02:00:00Z")
    assert (ran.stdout, ran.stderr) == ("", "")


def test_a_backup_is_reported_as_json(living: Host) -> None:
    (living.source / "new").write_text("new")
    done = living.json("backup", "--config", living.config, "--now", "2020-03-03T02:00:00Z")
    assert (done["kind"], done["start"], done["end"]) == ("inc", "2020-03-02T02:00:00Z", "2020-03-03T02:00:00Z")
    assert (done["committed"], done["files"], done["lost"]) == (True, 3, [])
    assert done["statistics"]["NewFiles"] >= 1
    assert done["bytes"] == living.list()[-1]["bytes"]


def test_a_dry_run_changes_nothing(living: Host) -> None:
    before = sorted(living.root.rglob("*"))
    done = living.json("backup", "--config", living.config, "--dry-run", "--now", "2020-03-03T02:00:00Z")
    assert done["committed"] is False
    assert sorted(living.root.rglob("*")) == before


def test_a_full_on_demand_begins_a_chain_in_every_level(living: Host) -> None:
    days.live(living.source, 8)
    living.backup("2020-03-03T02:00:00Z", "--full")
    newest = living.list()[-1]
    assert (newest["kind"], newest["chain_length"], len(newest["levels"])) == ("full", 1, 5)
    days.live(living.source, 9)
    living.backup("2020-03-04T02:00:00Z")
    assert living.list()[-1]["chain_length"] == 2
    assert picture(living.restore("newest")) == picture(living.source)
    assert picture(living.restore("older", "--time", "2020-03-02")) == living.was["2020-03-02"]


def test_without_encryption(host: Host) -> None:
    days.begin(host.source)
    host.init("--no-encryption")
    host.backup("2020-02-27")
    days.live(host.source, 1)
    host.backup("2020-02-28")
    assert {path.suffix for path in host.root.glob("backups/**/*.vol*")} == {".gz"}
    assert picture(host.restore("restored")) == picture(host.source)
    host.run("restore", host.place / "plain", "--from", host.root)
    assert picture(host.place / "plain") == picture(host.source)


def test_to_a_public_key_over_changes_of_level_without_the_secret_key(host: Host) -> None:
    """The client has the public key only; the chain is cut back at each change of level, and nothing is decrypted."""
    (host.place / "safe").mkdir()
    secret = Host(host.place / "safe", host.duplicity)
    gpg = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "cya test", "rsa2048", "encr"], env=secret.environment, check=True)
    shown = subprocess.run(
        ["gpg", "--list-keys", "--with-colons"], env=secret.environment, capture_output=True, text=True, check=True
    )
    key = next(line.split(":")[9] for line in shown.stdout.splitlines() if line.startswith("fpr:"))
    public = subprocess.run(["gpg", "--export", key], env=secret.environment, capture_output=True, check=True).stdout
    subprocess.run(["gpg", "--batch", "--import"], env=host.environment, input=public, check=True)
    days.begin(host.source)
    host.init("--recipient", key, now="2019-12-27")
    was = {}
    for number, day in enumerate(("2019-12-27", "2019-12-28", "2019-12-29", "2019-12-31", "2020-01-05", "2020-01-06")):
        days.live(host.source, number)
        host.backup(f"{day}T02:00:00Z")
        was[day] = picture(host.source)
    assert "secret key" in host.run("restore", host.place / "no", "--config", host.config, status=1).stderr
    for day in ("2019-12-28", "2020-01-05", "2020-01-06"):
        place = host.place / f"restored {day}"
        secret.run("restore", place, "--from", host.root, "--time", day)
        assert picture(place) == was[day]
    secret.close()


def test_selection_and_what_is_never_backed_up(host: Host) -> None:
    """The archive and the cache lie within the source; they are left out by themselves."""
    days.begin(host.source)
    host.root, host.cache = host.source / "mnt/archive", host.source / "var/cache/cya"
    for path, text in {
        "home/one/keep": "",
        "home/one/drop": "",
        "cached/CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55",
        "cached/thing": "",
        "private/.nobackup": "",
        "private/thing": "",
    }.items():
        (host.source / path).parent.mkdir(parents=True, exist_ok=True)
        (host.source / path).write_text(text)
    host.init()
    text = host.config.read_text()
    text = text[: text.index("[selection]")] + (
        f'[selection]\npatterns = ["+ {host.source}/home/*/keep", "- {host.source}/home/*", "- **/log"]\n'
        'exclude_caches = true\nexclude_if_present = [".nobackup"]\n'
    )
    host.config.write_text(text)
    host.backup("2020-02-27")
    restored = host.restore("restored")
    assert sorted(str(path.relative_to(restored)) for path in (restored / "home").rglob("*")) == [
        "home/one",
        "home/one/keep",
    ]
    for absent in ("cached/thing", "private", "mnt/archive", "var/cache/cya", "var/log"):
        assert not (restored / absent).exists(), absent
    for present in ("etc/passwd", "mnt", "var/cache", "var/pipe"):
        assert (restored / present).exists(), present


def test_other_levels_and_an_hourly_day(host: Host) -> None:
    days.begin(host.source)
    host.init("--levels", "month,week,day", now="2020-02-28T20:00:00Z")
    for hour in ("2020-02-28T22:00:00Z", "2020-02-28T23:00:00Z", "2020-02-29T00:00:00Z", "2020-03-01T00:00:00Z"):
        host.backup(hour)
    assert [each["path"] for each in host.list()] == [
        *["2020-02/2020-02-23/2020-02-28"] * 2,
        "2020-02/2020-02-23/2020-02-29",
        "2020-03/2020-03-01/2020-03-01",
    ]
    assert [each["kind"] for each in host.list()] == ["full", "inc", "inc", "full"]


def test_a_host_that_was_renamed_goes_on(living: Host) -> None:
    if os.geteuid() != 0:
        pytest.skip("a host name of its own needs root")
    living.wrapper = ["unshare", "--uts", "sh", "-c", 'hostname renamed && exec "$@"', "sh"]
    living.backup("2020-03-03T02:00:00Z")
    living.backup("2020-03-08T02:00:00Z")
    living.wrapper = []
    living.backup("2020-03-09T02:00:00Z")
    assert all(each["chain_length"] for each in living.list())


def test_an_archive_of_2012_goes_on_with_todays_client(living: Host) -> None:
    """The tree as 2012 left it: no state, next_info, and weeks without the volumes that they began with."""
    nxt = living.root / "incoming/next"
    backups = living.root / "backups"
    (living.root / "next_info").write_text("2000/2020/2020/2020-03/2020-03-01\n" * 2)
    week = backups / "2000/2020/2020/2020-03/2020-03-01/files"
    for volume in week.glob("duplicity-full.*.vol*"):
        volume.unlink()
    subprocess.run(["rm", "-r", living.root / "state", living.root / "cya.toml", living.root / "outgoing"], check=True)
    assert nxt.is_dir()
    living.run("collect", living.root, "--now", "2020-03-02T03:00:00Z")
    assert 'handover = "rename"' in (living.root / "cya.toml").read_text()
    assert list(week.glob("duplicity-full.*.vol*"))
    days.live(living.source, 9)
    living.backup("2020-03-03T02:00:00Z")
    assert len(living.list()) == 5
    out = living.place / "from the week alone"
    living.stock_restore(week, out)
    assert picture(out) == picture(living.source)


def test_aliases_with_the_options_of_2012(newest: Host) -> None:
    days.begin(newest.source)
    scripts = Path(newest.command()[0]).parent
    collect = [str(scripts / "cya-collect"), str(newest.root)]
    newest.root.parent.mkdir()
    for words in (
        [*collect, "--init", "--force-time", "2020-02-27 00:00:00.5"],
        [*collect, "--force-time", "2020-02-27"],
    ):
        subprocess.run(words, env=newest.environment, check=True)
    assert (
        subprocess.run([*collect, "--init"], env=newest.environment, capture_output=True, check=False).returncode == 2
    )
    newest.init(now="2020-02-27")
    newest.backup("2020-02-28")
    shown = subprocess.run(
        [scripts / "cya-list", newest.root], env=newest.environment, capture_output=True, text=True, check=True
    ).stdout
    assert "2020-02-28T00:00:00" in shown
    assert str(newest.root) in shown


def test_a_config_that_others_can_read_is_refused(newest: Host) -> None:
    newest.init()
    newest.config.chmod(0o644)
    ran = newest.backup("2020-02-27", status=2)
    assert f"chmod 600 {newest.config}" in ran.stderr


def test_init_leaves_nothing_behind_when_the_archive_cannot_be_made(newest: Host) -> None:
    newest.root.mkdir(parents=True)
    (newest.root / "something").write_text("else")
    words = ("init", "--config", newest.config, "--source", newest.source, "--archive", newest.root)
    assert "is not empty" in newest.run(*words, status=1).stderr
    assert not newest.config.exists()
    assert not newest.config.with_suffix(".passphrase").exists()
    (newest.root / "something").unlink()
    ran = newest.run(*words)
    assert newest.passphrase in ran.stdout
    assert stat.S_IMODE(newest.config.with_suffix(".passphrase").stat().st_mode) == 0o600


def test_a_tree_is_read_by_the_catalog_as_it_is_listed(living: Host) -> None:
    assert not any(directory.foreign for directory in catalog.read(living.root).directories)
