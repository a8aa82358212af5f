"""DESIGN.md and SECURITY.md are the argument: each promise in them names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TEXTS = {name: (TESTS.parent / name).read_text() for name in ("DESIGN.md", "SECURITY.md")}


def named_tests() -> list[tuple[str, str]]:
    """Every ``file::test`` of the texts; ``…::test`` is in the file named before."""
    found, file = [], ""
    for name, test in re.findall(r"`([\w/.]+\.py|…)(?:::(test_\w+))?`", "".join(TEXTS.values())):
        file = file if name == "…" else name
        found.append((file, test))
    return found


@pytest.mark.parametrize(("file", "test"), named_tests())
def test_each_test_that_the_design_names_is_there(file: str, test: str) -> None:
    if not (TESTS / file).is_file():
        pytest.fail(f"tests/{file} is named, and is not there")
    assert not test or re.search(rf"^def {test}\(", (TESTS / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", TEXTS)
def test_each_row_of_promises_names_a_test(text: str) -> None:
    rows = [
        row
        for table in re.findall(r"\| promise \|.*\|\n[|-]+\n((?:\|.*\|\n)+)", TEXTS[text])
        for row in table.splitlines()
    ]
    assert len(rows) > 10
    for row in rows:
        assert re.search(r"`((?:\w+/)*test_\w+\.py|…::test_\w+)", row), row
