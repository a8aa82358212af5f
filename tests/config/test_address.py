"""The ``archive`` key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.config.address import SftpAddress, parse_archive


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/mnt/backup/web1", Path("/mnt/backup/web1")),
        ("/mnt/a:b@c", Path("/mnt/a:b@c")),
        ("sftp://web1@backup.example", SftpAddress("web1", "backup.example")),
        ("sftp://web1@backup.example/", SftpAddress("web1", "backup.example")),
        ("sftp://web1@backup.example:2222", SftpAddress("web1", "backup.example", 2222)),
        ("sftp://w_1.x-y@192.0.2.7:65535", SftpAddress("w_1.x-y", "192.0.2.7", 65535)),
        ("sftp://web1@[2001:db8::1]:22", SftpAddress("web1", "2001:db8::1")),
    ],
)
def test_a_place_is_read(text: str, expected: object) -> None:
    assert parse_archive(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "/", "//", "mnt/backup", "~/backup", "/mnt/../etc", "/mnt/\0", "file:///mnt", "ssh://u@h", "u@h"),
        *("sftp://", "sftp://host", "sftp://@host", "sftp://user@", "sftp://user@:22", "sftp://user@host:"),
        *("sftp://user@host:0", "sftp://user@host:65536", "sftp://user@host:ssh", "sftp://user@host/dir"),
        *("sftp://-oProxyCommand=x@host", "sftp://user@-oProxyCommand=x", "sftp://user@host\n", "sftp://u ser@host"),
        *("sftp://üser@host", "sftp://user@host:٢٢", "SFTP://user@host?x=1"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_archive(text)


@pytest.mark.parametrize(
    "text",
    ["sftp://u:hunter2@host", "sftp://u:hunter2@host:22/x", "sftp://:hunter2@h", "u:hunter2@host", "ftp://u:hunter2@h"],
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="password") as caught:
        parse_archive(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet="abz019_.", min_size=1), st.text(alphabet="abz019_.", min_size=1), st.integers(1, 65535))
def test_an_address_is_written_as_it_is_read(user: str, host: str, port: int) -> None:
    text = f"sftp://u{user}@h{host}:{port}"
    assert str(parse_archive(text)) == text


@given(st.text())
def test_no_text_ends_in_another_error(text: str) -> None:
    try:
        place = parse_archive(text)
    except ValueError:
        return
    assert isinstance(place, SftpAddress) or place.is_absolute()
