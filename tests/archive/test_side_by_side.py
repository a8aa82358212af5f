"""Many roots at once: each is told of, and what is wrong with one is no matter of the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from cya.archive import collect as module
from cya.archive.collect import Collected, collect, collect_all
from cya.archive.init import init_archive
from cya.archive.state import State
from cya.config.root import RootConfig
from tests.archive.conftest import Site, at

DAY = "2012-12-04"


@pytest.fixture
def fleet(tmp_path: Path) -> list[Path]:
    """Twenty roots, each with a finished upload."""
    roots = [tmp_path / f"web{number}" for number in range(20)]
    for root in roots:
        init_archive(root, RootConfig())
        site = Site(root)
        site.collect(DAY)
        site.upload(DAY)
    return roots


def at_root(name: str, act: Callable[[], object]) -> Callable[[Path, datetime], Collected]:
    def instead(path: Path, now: datetime) -> Collected:
        if path.name == name:
            act()
        return collect(path, now)

    return instead


def unexpected() -> None:
    raise ZeroDivisionError("nobody thought of that")


def test_broken_roots_do_not_stop_the_others(fleet: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (fleet[3] / "cya.toml").write_text("nonsense")
    (fleet[4] / "state").rename(fleet[4] / "elsewhere")
    monkeypatch.setattr(module, "collect", at_root("web5", unexpected))
    done = collect_all(fleet, at(DAY))
    assert [each.root for each in done] == fleet
    assert {each.root.name for each in done if each.error} == {"web3", "web4", "web5"}
    assert [len(each.committed) for each in done if not each.error] == [1] * 17
    assert done[3].error is not None
    assert done[3].error.exit_code == 2
    assert "ZeroDivisionError" in str(done[5].error)
    assert any("in unexpected" in note for note in getattr(done[5].error, "__notes__", []))


def test_a_process_that_is_killed_loses_nothing(fleet: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "collect", at_root("web5", lambda: os.kill(os.getpid(), signal.SIGKILL)))
        done = collect_all(fleet, at(DAY))
    assert [each.root for each in done] == fleet
    assert "was killed" in str(done[5].error)
    again = collect_all(fleet, at(DAY))
    assert {each.state for each in again} == {State.SERVED}
    assert {len(list(root.glob("backups/2000/files/*vol1*"))) for root in fleet} == {1}


def test_processes_end_with_the_one_that_started_them(fleet: list[Path], tmp_path: Path) -> None:
    program = """if True:
        import sys, time
        from datetime import UTC, datetime
        from pathlib import Path
        from cya.archive import collect
        def wait(path, now):
            (Path(sys.argv[1]) / path.name).touch()
            time.sleep(60)
        collect.collect = wait
        collect.collect_all([Path(name) for name in sys.argv[2:]], datetime.now(UTC))
    """
    started = tmp_path / "started"
    started.mkdir()
    running = subprocess.Popen([sys.executable, "-c", program, started, *fleet], start_new_session=True)
    deadline = time.monotonic() + 30
    while len(list(started.iterdir())) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.kill()
    running.wait()
    while group_is_alive(running.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
