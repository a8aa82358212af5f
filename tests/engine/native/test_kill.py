"""Killed at any moment: the next run is right, and nothing of the killed one is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cya.engine.protocol import Encryption
from cya.errors import EngineError
from tests.engine.native.conftest import Lab

RUN = """
import sys
from pathlib import Path
from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption
source, target, cache = map(Path, sys.argv[1:4])
engine = Native(None, cache)
print("begin", flush=True)
engine.backup(BackupJob(source, target, int(sys.argv[4]), Encryption("secret"), volume_size=1))
"""


def started(lab: Lab) -> subprocess.Popen[bytes]:
    lab.now += 100
    command = [sys.executable, "-c", RUN, str(lab.source), str(lab.target), str(lab.cache), str(lab.now)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert running.stdout is not None
    assert running.stdout.readline() == b"begin\n"
    return running


def workers_of(lab: Lab) -> list[int]:
    """Processes that hold a directory of this lab open, or were started by the engine."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"cya.engine.native.worker" in (place / "cmdline").read_bytes():
                held = [os.readlink(fd) for fd in (place / "fd").iterdir()]
                if str(lab.source) in held:
                    found.append(int(place.name))
        except OSError:
            continue
    return found


@pytest.fixture
def busy(lab: Lab) -> Lab:
    """With some megabytes in many files, a large one among them."""
    chance = random.Random(3)
    for number in range(300):
        (lab.source / f"file{number}").write_bytes(chance.randbytes(20_000))
    (lab.source / "large").write_bytes(chance.randbytes(6_000_000))
    lab.job = replace(lab.job, encryption=Encryption("secret"))
    return lab


@pytest.mark.slow
@pytest.mark.parametrize("incremental", [False, True])
def test_killed_at_any_moment_and_run_again_it_is_right(busy: Lab, incremental: bool) -> None:
    chance = random.Random(4)
    if incremental:
        busy.backup()
    whole = set(os.listdir(busy.target))
    for _ in range(12):
        for number in chance.sample(range(300), 30):
            (busy.source / f"file{number}").write_bytes(chance.randbytes(20_000))
        running = started(busy)
        time.sleep(chance.uniform(0, 0.5))
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        # What the client removes before the next run: all that was not served.
        for name in set(os.listdir(busy.target)) - whole:
            (busy.target / name).unlink()
        if chance.random() < 0.5:
            busy.backup()
            assert busy.is_restored()
            whole = set(os.listdir(busy.target))
            assert os.listdir(busy.cache / "tmp") == []


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(busy: Lab) -> None:
    for _ in range(3):
        running = started(busy)
        deadline = time.monotonic() + 20
        while not (workers := workers_of(busy)) and running.poll() is None:
            assert time.monotonic() < deadline
        running.kill()  # this one alone
        running.communicate()
        while workers_of(busy):
            assert time.monotonic() < deadline, workers
            time.sleep(0.01)
        for path in busy.target.iterdir():
            path.unlink()


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_run_with_a_message_and_nothing_is_left(busy: Lab) -> None:
    (busy.source / "larger").touch()
    os.truncate(busy.source / "larger", 4 << 30)  # some seconds of zeros
    running = started(busy)
    deadline = time.monotonic() + 20
    while len(workers := workers_of(busy)) < len(os.sched_getaffinity(0)):
        assert time.monotonic() < deadline
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    assert EngineError.__name__ in said.decode()
    assert "a process that reads files ended before its time" in said.decode()
    assert list(busy.target.iterdir()) == []
    (busy.source / "larger").unlink()
    busy.backup()
    assert busy.is_restored()
