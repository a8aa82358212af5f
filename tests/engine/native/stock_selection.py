"""What stock duplicity 3.2.1 selects, asked of its own code: many questions to one process (stock_answers.py)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cya.engine import selection
from cya.engine.protocol import Selection


class Stock:
    """The other process."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("stock_answers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"LC_ALL": "C.UTF-8"},
        )

    def selected(self, source: Path, chosen: Selection, lines: bytes) -> list[bytes]:
        """Return the keys of what is selected, in stock's order."""
        options = selection.options(chosen, source, Path("list") if lines else None)
        question = {"root": str(source), "options": options, "lines": lines.decode()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return [os.fsencode(key) for key in json.loads(self._process.stdout.readline())]

    def end(self) -> None:
        self._process.communicate()


@contextmanager
def running(python: Path) -> Iterator[Stock]:
    """Keep the process for the block."""
    stock = Stock(python)
    try:
        yield stock
    finally:
        stock.end()
