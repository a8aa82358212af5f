"""Both ways: increments by whichever engine, in any order, are one chain that stock duplicity verifies and restores."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cya.client.restore import without_those_within
from cya.engine.native.reading import reader
from cya.engine.protocol import BackupJob, Encryption, RestoreJob
from cya.engine.registry import engine_named
from tests import stock
from tests.engine.native.trees import Living, Picture, picture

EXAMPLES = int(os.environ.get("CYA_SEQUENCES", "6"))
START = 1_100_000_000
PASSPHRASE = "correct horse"

Step = tuple[str, str]
steps = st.lists(
    st.tuples(
        st.sampled_from(["native", "native", "0.8", "3"]), st.sampled_from(["", "", "", "cache", "index", "full"])
    ),
    min_size=2,
    max_size=4,
)


class Sequence:
    """A tree, and the chain that is made of it."""

    def __init__(self, place: Path, seed: int, *, encrypted: bool) -> None:
        self.place, self.encryption = place, Encryption(PASSPHRASE) if encrypted else Encryption()
        self.target, self.cache = place / "target", place / "cache"
        self.target.mkdir()
        self.tree = Living(place / "source", seed)
        self.seen: dict[int, Picture] = {}
        self.now = START
        self.random = random.Random(seed)

    def step(self, engine: str, before: str) -> None:
        """Make an increment, after removing what is named of the cache."""
        self.now += 100
        if before == "cache":
            shutil.rmtree(self.cache, ignore_errors=True)
        elif before == "index":
            (self.cache / "index").unlink(missing_ok=True)
        name, program = ("native", None) if engine == "native" else ("duplicity", str(stock.program(engine)))
        source = self.place / "source"
        self.seen[self.now] = picture(source)
        made = engine_named(name, self.cache, self.home, program).backup(
            BackupJob(source, self.target, self.now, self.encryption, volume_size=1, full=before == "full")
        )
        assert made.lost == ()
        assert made.kind == ("full" if before == "full" or len(self.seen) == 1 else "inc")

    home: Path

    def duplicity(self, version: str, *words: str) -> str:
        with tempfile.TemporaryDirectory() as cache:
            command = [str(stock.program(version)), *words[:1], "--archive-dir", cache, *words[1:]]
            if not self.encryption.enabled:
                command.insert(2, "--no-encryption")
            environment = {**os.environ, "PASSPHRASE": PASSPHRASE, "GNUPGHOME": str(self.home), "LC_ALL": "C.UTF-8"}
            ran = subprocess.run(command, env=environment, capture_output=True, check=False)
        said = ran.stdout.decode(errors="replace")
        assert ran.returncode == 0, f"{words}: {said}{ran.stderr.decode(errors='replace')}"
        return said

    def check(self) -> None:
        """Stock finds no difference and whole chains, and restores every point in time."""
        url = f"file://{self.target}"
        for version in stock.PROGRAMS:
            said = self.duplicity(version, "verify", "--compare-data", url, str(self.place / "source"))
            assert " 0 difference" in said, said
            said = self.duplicity(version, "collection-status", url)
            assert "No orphaned or incomplete backup sets found" in said, said
        for number, (time, was) in enumerate(self.seen.items()):
            version = list(stock.PROGRAMS)[number % 2]
            restored = self.place / f"restored {time}"
            self.duplicity(version, "restore", f"--time={time}", url, str(restored))
            assert picture(restored) == was, f"{time} by {version}"
            self.restore_natively(time, was, crew=number % 2 == 0)

    def restore_natively(self, time: int, was: Picture, *, crew: bool) -> None:
        """The native engine restores the same, with and without processes, and single paths."""
        reader._FEW = 0 if crew else 1 << 40
        engine = engine_named("native", self.place / "reader", self.home)
        place = self.place / f"natively {time}"
        place.mkdir()
        report = engine.restore(RestoreJob(self.target, place, time, self.encryption))
        assert (report.lost, report.damaged) == ((), ())
        assert picture(place) == was, f"{time} natively"
        some = self.random.sample(sorted(set(was) - {b"."}), min(3, len(was) - 1))
        paths = without_those_within([Path(os.fsdecode(path)) for path in some])
        place = self.place / f"paths {time}"
        place.mkdir()
        engine.restore(RestoreJob(self.target, place, time, self.encryption, paths))
        found = picture(place)
        within = {
            path: what for path, what in was.items() if any(Path(os.fsdecode(path)).is_relative_to(p) for p in paths)
        }
        assert {path: what for path, what in found.items() if path in within} == within
        assert all(any(p.is_relative_to(os.fsdecode(path)) for p in paths) for path in found.keys() - within.keys())


@contextmanager
def sequence(seed: int, *, encrypted: bool) -> Iterator[Sequence]:
    with tempfile.TemporaryDirectory() as place, stock.gpg_home() as home:
        made = Sequence(Path(place), seed, encrypted=encrypted)
        made.home = home
        yield made


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="CYA_SEQUENCES" not in os.environ,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32), made=steps, encrypted=st.booleans())
def test_stock_restores_every_day_of_chains_made_by_any_engines_in_turn(
    seed: int, made: list[Step], encrypted: bool
) -> None:
    with sequence(seed, encrypted=encrypted) as living:
        for number, (engine, before) in enumerate(made):
            if number:
                living.tree.change()
            living.step(engine, before if number else "")
        living.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_change_that_leaves_no_trace_but_the_change_time_is_in_the_backup(seed: int) -> None:
    with sequence(seed, encrypted=False) as living:
        living.step("native", "")
        for _ in range(3):
            assert living.tree.change_without_a_trace()
            living.step("native", "")
        living.check()


@pytest.mark.slow
@pytest.mark.parametrize("engine", list(stock.PROGRAMS))
def test_a_change_right_after_a_backup_by_stock_is_in_the_next_one(engine: str) -> None:
    """Stock would not see it: the file has its old time. But its inode has changed since."""
    with sequence(7, encrypted=False) as living:
        living.step(engine, "")
        assert living.tree.change_without_a_trace()
        living.step("native", "")
        living.check()
