"""Opening config files: permissions, kinds of files, encodings; and fuzz."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.config import client, reading
from cya.config.reading import SECRET, SHARED, read_file
from cya.errors import ConfigError
from tests.config.conftest import Write

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.mark.parametrize(
    ("mode", "forbidden"),
    [(0o600, SECRET), (0o400, SECRET), (0o700, SECRET), (0o644, SHARED), (0o755, SHARED), (0o640, SHARED)],
)
def test_a_file_that_is_closed_enough_is_read(write: Write, mode: int, forbidden: int) -> None:
    assert read_file(write("x", mode=mode), forbidden=forbidden) == "x"


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601])
def test_any_bit_for_group_or_others_is_refused_on_a_secret(write: Write, mode: int) -> None:
    path = write("x", mode=mode)
    with pytest.raises(ConfigError) as caught:
        read_file(path, forbidden=SECRET)
    assert str(caught.value) == (
        f"{path}: group or others may read or write it (mode {mode:04o}); run: chmod 600 {path}"
    )


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o620, 0o602])
def test_writing_by_others_is_refused_on_what_all_may_read(write: Write, mode: int) -> None:
    path = write("x", mode=mode)
    with pytest.raises(ConfigError, match=f"may write it .mode {mode:04o}.; run: chmod go-w {path}"):
        read_file(path, forbidden=SHARED)


def test_the_advised_command_is_quoted_for_the_shell(write: Write) -> None:
    path = write("x", "it's mine; rm.toml", mode=0o644)
    with pytest.raises(ConfigError) as caught:
        read_file(path, forbidden=SECRET)
    assert os.system(str(caught.value).rpartition("run: ")[2]) == 0
    assert read_file(path, forbidden=SECRET) == "x"


@ROOT_ONLY
def test_a_file_of_another_user_is_refused(write: Write) -> None:
    path = write("x")
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigError, match=f"belongs to uid 65534, .* run: chown 0 {path}"):
        read_file(path, forbidden=SECRET)
    assert read_file(path, forbidden=SECRET, others_own=True) == "x"


@ROOT_ONLY
def test_a_file_of_root_is_taken_by_an_ordinary_user(write: Write, as_nobody: None) -> None:
    os.seteuid(0)
    path = write("x", mode=0o644)
    os.seteuid(65534)
    assert read_file(path, forbidden=SHARED) == "x"


def test_a_file_that_may_not_be_read_is_refused(write: Write, as_nobody: None) -> None:
    if os.getuid() == 0:
        os.seteuid(0)
    path = write("x", mode=0o000)
    if os.getuid() == 0:
        os.seteuid(65534)
    with pytest.raises(ConfigError, match="this user may not read it"):
        read_file(path, forbidden=SECRET)


def test_symbolic_links_are_followed_and_their_target_is_checked(write: Write, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(write("x"))
    assert read_file(link, forbidden=SECRET) == "x"
    link.resolve().chmod(0o644)
    with pytest.raises(ConfigError, match=f"^{link}: group or others"):
        read_file(link, forbidden=SECRET)


def test_a_file_swapped_after_it_was_opened_is_not_what_is_checked(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_one, closed_one = write("theirs", "open", mode=0o666), write("mine", "closed")
    fstat = os.fstat

    def swap(fd: int) -> os.stat_result:
        if closed_one.exists():
            os.replace(closed_one, open_one)
        return fstat(fd)

    monkeypatch.setattr(os, "fstat", swap)
    with pytest.raises(ConfigError, match="mode 0666"):
        read_file(open_one, forbidden=SECRET)
    assert open_one.read_text() == "mine"


def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    for name in ("fifo", "directory"):
        with pytest.raises(ConfigError, match=r"not a regular file|Is a directory"):
            read_file(tmp_path / name, forbidden=SECRET)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(ConfigError, match="No such device"):
            read_file(tmp_path / "socket", forbidden=SECRET)


def test_a_missing_file_and_a_loop_of_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; do this"):
        read_file(tmp_path / "missing", forbidden=SECRET, if_missing="do this")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match="Too many levels of symbolic links"):
        read_file(tmp_path / "loop", forbidden=SECRET)


def test_a_huge_file_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        read_file(write(b"#" * ((1 << 20) + 1)), forbidden=SECRET)


def test_bytes_that_are_not_utf8_are_refused_with_their_line(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"not UTF-8 \(line 3\)"):
        read_file(write(b"a = 1\n\nb = '\xe9'\n"), forbidden=SECRET)


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "[a", "\0", "a = 2026-99-99", "a = " + "[" * 100_000])
def test_malformed_toml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^/etc/x\.toml: malformed TOML: "):
        reading.parse(text, Path("/etc/x.toml"))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times()
_VALUES = st.recursive(
    _SCALARS.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(["source", "archive", "engine", "volume_size", "encryption", "selection", "gnupg_home"])


@given(st.dictionaries(_NAMES | st.text(), _VALUES))
def test_no_table_ends_in_another_error(table: dict[str, Any]) -> None:
    path = Path("/etc/x.toml")
    try:
        reading.build(client.ClientConfig, table, path, given={"path": path, "cache_dir": path})
    except ConfigError as error:
        message = str(error)
        assert message.startswith("/etc/x.toml: ")
        assert "\n" not in message


@given(st.text())
def test_no_text_ends_in_another_error(text: str) -> None:
    with pytest.raises(ConfigError):
        client.parse(text, Path("/etc/x.toml"))
