"""Entries that the source does not have."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import IO

import pytest

from cya.engine.protocol import VirtualEntry
from cya.errors import ConfigError
from tests.engine.native.conftest import Lab

DUMP = random.Random(1).randbytes(3_000_000)


def entries(dump: bytes = DUMP, note: bytes = b"a note") -> tuple[VirtualEntry, ...]:
    return (
        VirtualEntry(b".cya", None, 0o700, mtime=10**9),
        VirtualEntry(b".cya/note", note, 0o640, mtime=10**9),
        VirtualEntry(b".cya/empty", b"", mtime=10**9),
        VirtualEntry(b"dump", lambda: io.BytesIO(dump), mtime=10**9),
    )


@pytest.fixture
def used(lab: Lab) -> Lab:
    (lab.source / "dump").write_text("is replaced")
    (lab.source / "a").write_text("a")
    (lab.source / "z").write_text("z")
    lab.backup(virtual=entries())
    return lab


def test_they_are_restored_beside_what_the_source_has(used: Lab) -> None:
    place = used.restored()
    assert sorted(path.name for path in place.iterdir()) == [".cya", "a", "dump", "z"]
    assert (place / ".cya/note").read_bytes() == b"a note"
    assert (place / ".cya/note").stat().st_mode & 0o777 == 0o640
    assert (place / ".cya/note").stat().st_mtime == 10**9
    assert (place / ".cya/empty").read_bytes() == b""
    assert (place / "dump").read_bytes() == DUMP


def test_what_is_the_same_is_not_stored_again(used: Lab) -> None:
    for _ in range(2):
        statistics = used.backup(virtual=entries()).statistics
        assert (statistics["NewFiles"], statistics["ChangedFiles"], statistics["DeletedFiles"]) == (0, 0, 0)
    assert (used.restored() / "dump").read_bytes() == DUMP


def test_what_has_changed_is_stored_as_a_delta_also_with_the_old_time_and_size(used: Lab) -> None:
    other = bytearray(DUMP)
    other[1_000_000:1_000_010] = b"0123456789"
    statistics = used.backup(virtual=entries(bytes(other), b"another note, and longer")).statistics
    assert statistics["ChangedFiles"] == 2
    assert statistics["RawDeltaSize"] < 100_000
    place = used.restored()
    assert (place / "dump").read_bytes() == other
    assert (place / ".cya/note").read_bytes() == b"another note, and longer"


def test_what_is_not_given_any_more_is_gone_or_what_the_source_has(used: Lab) -> None:
    used.backup()
    assert used.is_restored()


@pytest.mark.parametrize("length", [0, 1, 500_000, 1 << 20])
def test_streams_of_any_length(lab: Lab, length: int) -> None:
    for content in (DUMP[:length], DUMP[: length // 2], DUMP[length:]):
        lab.backup(virtual=(VirtualEntry(b"dump", lambda content=content: io.BytesIO(content), mtime=5),))  # type: ignore[misc]
        assert (lab.restored() / "dump").read_bytes() == content


class Breaking(io.BytesIO):
    """A stream that fails after some bytes."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 1_500_000:
            raise OSError(5, "the data base went away")
        return super().read(size)


@pytest.mark.parametrize("known", [True, False])
def test_a_stream_that_breaks_is_named(lab: Lab, known: bool) -> None:
    def opened() -> IO[bytes]:
        return Breaking(DUMP)

    (lab.source / "z").write_text("z")
    if known:
        lab.backup(virtual=entries())
    (lost,) = lab.backup(virtual=(VirtualEntry(b"dump", opened, mtime=10**9),)).lost  # type: ignore[arg-type]
    assert lost.path == "dump"
    assert "the data base went away" in lost.reason
    got = (lab.restored() / "dump").read_bytes()
    assert DUMP.startswith(got)
    assert f"only its first {len(got)} bytes" in lost.reason
    assert (lab.restored() / "z").read_text() == "z"


def test_a_stream_that_cannot_be_opened_is_named_and_what_was_known_stays(used: Lab) -> None:
    def fail() -> IO[bytes]:
        raise FileNotFoundError(2, "no such program")

    (lost,) = used.backup(virtual=(VirtualEntry(b"dump", fail, mtime=10**9),)).lost  # type: ignore[arg-type]
    assert (lost.path, lost.reason) == ("dump", "no such program")
    assert (used.restored() / "dump").read_bytes() == DUMP


@pytest.mark.parametrize("path", [b"", b"/a", b"a//b", b"../a", b"a/.", b"a/"])
def test_paths_that_cannot_be_are_refused(lab: Lab, path: bytes) -> None:
    with pytest.raises(ConfigError, match="no path for an entry"):
        lab.backup(virtual=(VirtualEntry(path, b""),))
    assert list(lab.target.iterdir()) == []


def test_two_of_a_path_and_one_in_a_file_are_refused(lab: Lab) -> None:
    for two in ((b"a", b"a"), (b"a", b"a/b")):
        with pytest.raises(ConfigError):
            lab.backup(virtual=tuple(VirtualEntry(path, b"") for path in two))


def test_without_a_source_of_their_own_they_are_no_danger_to_it(used: Lab, tmp_path: Path) -> None:
    assert (used.source / "dump").read_text() == "is replaced"
    assert not (used.source / ".cya").exists()
