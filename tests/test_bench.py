"""The benchmark beside peers measures what it says, and writes it down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import change, trees
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
