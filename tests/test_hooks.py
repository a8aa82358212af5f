"""Running one command of an administrator's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cya import hooks

LIMIT = 60.0


def test_what_it_says_its_code_and_what_it_knows() -> None:
    done = hooks.run(["sh", "-c", "echo $CYA_KIND; echo err >&2; pwd; exit 3"], {"CYA_KIND": "full"}, LIMIT)
    assert (done.code, done.output, done.trouble) == (3, "full\nerr\n/\n", "exit code 3")
    assert done.told == "sh: exit code 3: /"


def test_success_is_silent() -> None:
    done = hooks.run(["true"], {}, LIMIT)
    assert (done.code, done.output, done.trouble) == (0, "", "")


def test_arguments_are_no_matter_of_a_shell(tmp_path: Path) -> None:
    done = hooks.run(["printf", "%s|", "a b", "$HOME", "*", ""], {}, LIMIT)
    assert done.output == "a b|$HOME|*||"


@pytest.mark.parametrize("program", ["/nonexistent/program", "no-such-program", "/etc"])
def test_a_command_that_cannot_be_run_has_failed(program: str) -> None:
    done = hooks.run([program], {}, LIMIT)
    assert done.code is None
    assert done.trouble.startswith("cannot be run: ")


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {pid}; sleep 1000' & echo begun; wait; sleep 1000"
    done = hooks.run(["sh", "-c", script], {}, 0.5)
    assert done.trouble == "took longer than 0.5 s"
    assert done.output == "begun\n"
    patience = time.monotonic() + 30
    while _lives(int(pid.read_text())) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not _lives(int(pid.read_text()))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    done = hooks.run(["sh", "-c", f"(sleep 1; touch {tmp_path}/later; sleep 30) & echo done"], {}, LIMIT)
    assert (done.trouble, done.output) == ("", "done\n")
    assert not (tmp_path / "later").exists()
    patience = time.monotonic() + 30
    while not (tmp_path / "later").exists() and time.monotonic() < patience:
        time.sleep(0.05)
    assert (tmp_path / "later").exists()  # nor is it ended


def test_of_much_that_it_says_the_last_is_kept() -> None:
    done = hooks.run([sys.executable, "-c", "print('x' * 3_000_000); print('the end')"], {}, LIMIT)
    assert len(done.output) == hooks.MOST_KEPT
    assert done.output.endswith("x\nthe end\n")


def test_one_that_a_signal_ends_has_failed() -> None:
    assert hooks.run(["sh", "-c", "kill -9 $$"], {}, LIMIT).trouble == "was ended by signal 9"


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 1000"]
    script.write_text(f"from cya import hooks\nhooks.run({command!r}, {{}}, 100)\n")
    running = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGINT)
    running.communicate(timeout=30)
    assert not _lives(int((tmp_path / "pid").read_text()))
