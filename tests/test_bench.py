"""The benchmarks beside peers measure what they say, and write it down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import change, life, trees
from bench.keepers_linear import Linear, Monthly
from bench.picture import picture
from tests.standin import write_increment
from tests.stock import PROJECT


def test_peers_are_measured_and_the_page_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = [
        sys.executable,
        "-m",
        "bench",
        "peers",
        "--trees",
        "system",
        "large",
        "--scale",
        "0.002",
        "--rounds",
        "1",
    ]
    with tempfile.TemporaryDirectory(dir="/tmp") as work:  # short: gpg-agent's socket lies below it
        command += ["--tools", "native", "duplicity", "--work", work, "--output", str(page)]
        subprocess.run(command, check=True, cwd=PROJECT, capture_output=True)
    results = json.loads(page.with_suffix(".json").read_text())
    assert len(results["runs"]) == 2 * 2 * 3
    for run in results["runs"]:
        assert run["exit"] == 0
        assert run["wall"] > 0
        assert run["user"] + run["kernel"] > 0
        assert run["memory"] > 5e6
        assert run["stored"] > 1000
    assert results["trees"]["system"]["files"] > 10
    text = page.read_text()
    assert text.count("| full | cya, native engine |") == 2
    assert text.count("| 1 % changed | duplicity 0.8 |") == 2
    assert page.with_suffix(".svg").read_text().startswith("<svg")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "bench",
            "report",
            str(page.with_suffix(".json")),
            "--output",
            str(tmp_path / "again.md"),
        ],
        check=True,
        cwd=PROJECT,
    )
    assert (tmp_path / "again.md").read_text() == text.replace("(page.svg)", "(again.svg)")


def test_a_change_is_taken_back_exactly(tmp_path: Path) -> None:
    trees.million(tmp_path / "tree", 0.0005)

    def seen() -> dict[str, tuple[int, int, bytes]]:
        return {
            str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
            for path in (tmp_path / "tree").rglob("*")
            if path.is_file()
        }

    before = seen()
    assert len(before) == 500
    done = change.apply(tmp_path / "tree", tmp_path / "kept", 0.1)
    assert done.rewritten + done.appended + done.deleted == 50
    assert seen() != before
    change.undo(tmp_path / "tree", tmp_path / "kept")
    assert seen() == before
    assert not os.path.exists(tmp_path / "kept")


def test_restores_are_measured_and_compared_with_what_was_backed_up(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    arguments = ["--trees", "million", "--scale", "0.0002", "--rounds", "1", "--chains", "1", "2"]
    arguments += ["--tools", "native", "duplicity", "--output", str(page)]
    with tempfile.TemporaryDirectory(dir="/tmp") as work:
        done = _bench("restores", *arguments, "--work", work)
        assert done.returncode == 0, done.stderr
        runs = json.loads(page.with_suffix(".json").read_text())["restores"]["million x 0.0002"]["runs"]
        assert [run["tool"] for run in runs] == ["native", "duplicity"] * 2 * 3
        for run in runs:
            assert run["exit"] == 0
            assert run["wall"] > 0
            assert run["memory"] > 5e6
        text = page.read_text()
        assert text.count("| everything | 2 |") == 2
        assert text.count("| one file | 1 |") == 2
        assert page.with_name("page-restores.svg").read_text().startswith("<svg")

        noted = Path(work, "restores-million-0.0002", "history.json")
        history = json.loads(noted.read_text())
        history["pictures"]["0"]["everything"] = "of another tree"
        noted.write_text(json.dumps(history))
        done = _bench("restores", *arguments, "--work", work)
        assert done.returncode == 1
        assert "everything of backup 0: what was restored is wrong" in done.stderr


def test_a_few_days_are_kept_in_all_ways_and_restored(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    with tempfile.TemporaryDirectory(dir="/tmp") as work:
        done = _bench("decade", "--years", "0.01", "--rounds", "1", "--work", work, "--output", str(page))
    assert done.returncode == 0, done.stderr
    decade = json.loads(page.with_suffix(".json").read_text())["decade"]
    assert decade["days"] == 4
    assert {keeper["kept"] for keeper in decade["keepers"].values()} == {4}
    by = [(label, run["program"]) for label, keeper in decade["keepers"].items() for run in keeper["restores"]]
    assert len(by) == 3 * 2 + 2
    assert "| newest | borg | borg |" in page.read_text()
    assert page.with_name("page-decade.svg").read_text().startswith("<svg")


def test_of_monthly_chains_the_newest_twelve_stay_whole_and_all_fulls(tmp_path: Path) -> None:
    linear = Linear(tmp_path / "linear", tmp_path)
    monthly = Monthly(tmp_path / "monthly", tmp_path, linear)
    monthly.repository.mkdir(parents=True)
    for month in range(14):
        for increment in range(3):
            start = None if increment == 0 else 1000 * month + increment - 1
            write_increment(monthly.repository, start, 1000 * month + increment)
    monthly.prune()
    kept = monthly.kept()
    assert set(kept) == {0, 1000} | {1000 * month + each for month in range(2, 14) for each in range(3)}
    assert kept[13002] == 3


def test_the_same_days_give_the_same_tree(tmp_path: Path) -> None:
    pictures = set()
    for name in ("one", "other"):
        life.lived(tmp_path / name, 1456797600, 365)
        pictures.add(picture(tmp_path / name))
    assert len(pictures) == 1


def _bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *words]
    return subprocess.run(command, check=False, cwd=PROJECT, capture_output=True, text=True)
