"""DESIGN.md is the argument: each promise in it names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DESIGN = (TESTS.parent / "DESIGN.md").read_text()


def named_tests() -> list[tuple[str, str]]:
    """Every ``file::test`` of DESIGN.md; ``…::test`` is in the file named before."""
    found, file = [], ""
    for name, test in re.findall(r"`([\w/.]+\.py|…)(?:::(test_\w+))?`", DESIGN):
        file = file if name == "…" else name
        found.append((file, test))
    return found


@pytest.mark.parametrize(("file", "test"), named_tests())
def test_each_test_that_the_design_names_is_there(file: str, test: str) -> None:
    if not (TESTS / file).is_file():
        pytest.fail(f"DESIGN.md names tests/{file}, which is not there")
    assert not test or re.search(rf"^def {test}\(", (TESTS / file).read_text(), re.MULTILINE)


def test_each_row_of_promises_names_a_test() -> None:
    rows = [
        row
        for table in re.findall(r"\| promise \| held by \|\n\|---\|---\|\n((?:\|.*\|\n)+)", DESIGN)
        for row in table.splitlines()
    ]
    assert len(rows) > 10
    for row in rows:
        assert re.search(r"`(\w+/test_\w+\.py|…::test_\w+)", row), row
