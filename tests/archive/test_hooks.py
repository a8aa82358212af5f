"""The archive host's own commands: after a commit, on a refusal, and once for each silence of a client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cya.archive import log
from cya.archive.root import read_root
from tests.archive.conftest import Site, at


class Host:
    """An archive host with one root and a config."""

    def __init__(self, site: Site, place: Path) -> None:
        self.site, self.place, self.config = site, place, place / "archive.toml"

    def hooks(self, **commands: list[list[str]]) -> None:
        words = {**commands}
        lines = [f"roots = [{json.dumps(str(self.site.root))}]", "[hooks]"]
        lines += [f"{event} = {json.dumps(command)}" for event, command in words.items()]
        self.config.write_text("\n".join(lines) + "\n")
        self.config.chmod(0o644)

    def noting(self, *events: str, code: int = 0) -> None:
        script = f"env | grep ^CYA_ | grep -v ^CYA_NOW | sort > {self.place}/$CYA_HOOK; echo said; exit {code}"
        self.hooks(**{event: [["sh", "-c", script]] for event in events})

    def collect(self, now: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "cya", "--now", at(now).isoformat(), "collect", "--config", str(self.config)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == status, ran.stderr
        return str(ran.stderr)

    def known(self, event: str) -> dict[str, str] | None:
        """Return what a command got to know, once; None: it did not run."""
        file = self.place / event
        if not file.exists():
            return None
        found = dict(line.split("=", 1) for line in file.read_text().splitlines())
        file.unlink()
        return found

    def log(self) -> list[str]:
        with read_root(self.site.root) as root:
            return [line.split(" ", 1)[1] for line in log.tail(root, 0, "hook", "said")]


@pytest.fixture
def host(site: Site, tmp_path: Path) -> Host:
    return Host(site, tmp_path)


def test_after_a_commit(host: Host) -> None:
    host.noting("after_commit", "on_quarantine", "on_overdue")
    host.site.collect("2012-12-04")
    host.site.upload("2012-12-04T02:00")
    assert host.collect("2012-12-04T03:00") == ""
    assert host.known("after_commit") == {
        "CYA_HOOK": "after_commit",
        "CYA_KIND": "full",
        "CYA_NAME": host.site.root.name,
        "CYA_ROOT": str(host.site.root),
        "CYA_TIME": "2012-12-04T02:00:00Z",
    }
    assert host.known("on_quarantine") is None
    assert host.log()[0].startswith("hook after_commit ['sh', '-c', ")
    assert host.log()[0].endswith(": done")
    assert host.log()[1] == "said said"
    host.collect("2012-12-04T04:00")
    assert host.known("after_commit") is None


def test_it_runs_when_the_root_is_no_longer_locked(host: Host) -> None:
    again = [sys.executable, "-m", "cya", "--now", "2012-12-04T03:00Z", "collect", str(host.site.root)]
    host.hooks(after_commit=[again])
    host.site.collect("2012-12-04")
    host.site.upload("2012-12-04T02:00")
    assert host.collect("2012-12-04T03:00") == ""


def test_one_that_fails_is_an_alarm_and_changes_nothing(host: Host) -> None:
    host.noting("after_commit", code=3)
    host.site.collect("2012-12-04")
    host.site.upload("2012-12-04T02:00")
    said = host.collect("2012-12-04T03:00")
    assert f"{host.site.root.name}: hooks.after_commit: sh: exit code 3: said" in said
    assert len(host.site.catalog.backups) == 1


def test_on_a_refusal(host: Host) -> None:
    host.noting("after_commit", "on_quarantine")
    host.site.collect("2012-12-04")
    names = host.site.upload("2012-12-04T02:00")
    (host.site.next / names[0]).write_bytes(b"something else")
    host.collect("2012-12-04T03:00", status=13)
    known = host.known("on_quarantine")
    assert known is not None
    assert names[0] in known["CYA_REASON"] or "size" in known["CYA_REASON"]
    assert host.known("after_commit") is None


def test_once_for_each_silence(host: Host) -> None:
    host.noting("on_overdue")
    host.site.day("2012-12-04T02:00")
    host.collect("2012-12-05T13:59")
    assert host.known("on_overdue") is None
    host.collect("2012-12-05T14:01")
    known = host.known("on_overdue")
    assert known is not None
    assert "overdue: the last backup is of 2012-12-04" in known["CYA_REASON"]
    host.collect("2012-12-06T02:00")
    assert host.known("on_overdue") is None
    host.site.upload("2012-12-06T02:00")
    host.collect("2012-12-06T02:10")
    assert host.known("on_overdue") is None
    host.collect("2012-12-09T02:10")
    assert host.known("on_overdue") is not None


def test_a_command_that_fails_is_tried_again_for_the_same_silence(host: Host) -> None:
    host.site.day("2012-12-04T02:00")
    host.noting("on_overdue", code=1)
    assert "hooks.on_overdue" in host.collect("2012-12-06")
    host.noting("on_overdue")
    host.collect("2012-12-06T01:00")
    assert host.known("on_overdue") is not None
    host.collect("2012-12-06T02:00")
    assert host.known("on_overdue") is None


def test_a_client_that_never_came_is_overdue_too(host: Host) -> None:
    host.noting("on_overdue")
    host.collect("2099-01-01")
    known = host.known("on_overdue")
    assert known is not None
    assert "no backup since" in known["CYA_REASON"]


def test_a_client_that_was_removed_is_not(host: Host) -> None:
    host.noting("on_overdue")
    host.site.day("2012-12-04T02:00")
    (host.site.state / "removed").write_text("2012-12-05T00:00:00Z\n")
    host.collect("2012-12-09")
    assert host.known("on_overdue") is None


def test_what_a_client_has_chosen_stands_escaped_in_the_environment_and_in_the_log(host: Host) -> None:
    host.noting("on_quarantine")
    host.site.collect("2012-12-04")
    host.site.upload("2012-12-04T02:00")
    (host.site.next / "evil\n2012-12-04T00:00:00Z commit forged\x1b[31m").write_bytes(b"x")
    host.collect("2012-12-04T03:00", status=13)
    known = host.known("on_quarantine")
    assert known is not None
    assert "\x1b" not in known["CYA_REASON"]
    assert not [line for line in (host.site.state / "log").read_text().splitlines() if line.endswith("forged\x1b[31m")]


def test_without_the_config_none_run(host: Host) -> None:
    host.noting("after_commit")
    host.site.day("2012-12-04T02:00")
    assert host.known("after_commit") is None
