"""What a verb loads: each run pays for it, thousands of times a day."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys
from cya.cli.app import app_for
app_for(sys.argv[1:])
print(*sorted(sys.modules), sep="\\n")
"""
NOT_FOR = {
    "backup": ("cya.engine.native.reading.restoring", "cya.engine.duplicity", "cya.archive.lend"),
    "restore": ("cya.engine.native.making", "cya.engine.duplicity", "cya.client.lent", "cya.archive.lend"),
    "collect": ("cya.client", "cya.engine", "cryptography", "isal"),
}


@pytest.mark.parametrize("verb", list(NOT_FOR))
def test_a_verb_loads_nothing_that_it_does_not_need(verb: str) -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED, verb], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert f"cya.cli.{verb}" in loaded
    assert loaded & {"pydantic", "rich.console", "asyncio", "hypothesis", *NOT_FOR[verb]} == set()
