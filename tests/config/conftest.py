"""Config files on a real file system."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest


class Write(Protocol):
    """Writes a file below the test's directory and returns its path."""

    def __call__(self, text: str | bytes, name: str = ..., mode: int = ...) -> Path: ...


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "web1.toml", mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    return write
