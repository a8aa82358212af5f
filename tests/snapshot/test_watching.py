"""A snapshot that goes bad ends what reads it, whatever that waits for."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cya.errors import EngineError, SnapshotError
from cya.snapshot.watching import watched


def full() -> None:
    raise SnapshotError("it is full")


def test_what_waits_is_ended_and_the_reason_is_raised() -> None:
    began = time.monotonic()
    with pytest.raises(SnapshotError, match="it is full"), watched(full, every=0.05):
        time.sleep(600)
    assert time.monotonic() - began < 300
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


def test_also_where_ctrl_c_is_ignored_as_in_the_background_of_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import time\nfrom tests.snapshot.test_watching import full\nfrom cya.snapshot.watching import watched\n"
        "try:\n    with watched(full, every=0.05):\n        time.sleep(600)\n"
        "except Exception as error:\n    print(error)\n"
    )
    ran = subprocess.run(
        ["sh", "-c", f"trap '' INT; exec {sys.executable} {script}"],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.stdout == "it is full\n", ran.stderr


def test_it_is_looked_at_once_more_at_the_end() -> None:
    with pytest.raises(SnapshotError, match="it is full"), watched(full, every=600):
        pass


def test_it_is_looked_at_when_the_reading_fails_since_that_may_be_why() -> None:
    with pytest.raises(SnapshotError, match="it is full"), watched(full, every=600):
        raise EngineError("input/output error")
    with pytest.raises(EngineError, match="something else"), watched(lambda: None, every=600):
        raise EngineError("something else")


def test_ctrl_c_is_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), watched(lambda: None, every=0.05):
        signal.raise_signal(signal.SIGINT)
