"""Passphrase files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from cya.config.passphrase import new_passphrase, read_passphrase_file
from cya.errors import ConfigError
from tests.config.conftest import Write


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        ("secret\n", "secret"),
        ("secret", "secret"),
        ("  two words \n", "  two words "),
        ("schlüssel 🗝\n", "schlüssel 🗝"),
    ],
)
def test_one_line_is_the_passphrase(write: Write, content: str, passphrase: str) -> None:
    assert read_passphrase_file(write(content)) == passphrase


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"one\ntwo\n", "more than one line"),
        (b"one\n\n", "more than one line"),
        (b"\none", "more than one line"),
        (b"se\0cret", r"a control character \(U\+0000\) in column 3"),
        (b"secret\r\n", r"a control character \(U\+000D\) in column 7"),
        (b"se\tcret\n", r"a control character \(U\+0009\)"),
        (b"\x7f", r"a control character \(U\+007F\)"),
        ("\x85".encode(), r"a control character \(U\+0085\)"),
        (b"\xef\xbb\xbfsecret", r"a control character \(U\+FEFF\) in column 1"),
        (b"\xffsecret", r"not UTF-8 \(line 1\)"),
    ],
)
def test_anything_else_is_refused_without_showing_it(write: Write, content: bytes, reason: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_passphrase_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "cret" not in str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o640, 0o620, 0o610, 0o644, 0o666])
def test_a_file_open_to_others_is_refused(write: Write, mode: int) -> None:
    path = write("secret\n", mode=mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.; run: chmod 600 {path}"):
        read_passphrase_file(path)


def test_a_new_passphrase_is_one_line_of_256_bits(tmp_path: Path, write: Write) -> None:
    asked = []

    def random(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    passphrase = new_passphrase(random)
    assert asked == [32]
    assert base64.b64decode(passphrase) == bytes(range(32))
    assert read_passphrase_file(write(f"{passphrase}\n")) == passphrase
