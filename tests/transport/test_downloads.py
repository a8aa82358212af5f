"""What brings files of a loan here: ahead, once, in little room, and never more than was said."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cya.config.address import SftpAddress
from cya.config.sftp import SftpConfig
from cya.errors import ArchiveError
from cya.transport import account as accounts
from cya.transport import downloads, index, loan, outgoing
from cya.transport.downloads import Downloads
from cya.transport.loan import Note
from cya.transport.outgoing import Lent
from tests.archive.conftest import at
from tests.transport.conftest import Account

NAMES = [f"duplicity-full.20260305T020000Z.vol{number}.difftar.gpg".encode() for number in range(1, 31)]
NOTE = Note(at("2026-03-05T02:00:00"), at("2026-03-08T02:00:00"), ())


class Server:
    """Stands for the archive's: writes files of the right size, and remembers which."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.fails: Exception | None = None

    def fetch(self, account: accounts.Account, files: Sequence[tuple[str, Path, int]], stop: threading.Event) -> None:
        if self.fails is not None:
            raise self.fails
        for path, to, size in files:
            self.fetched.append(path.rpartition("/")[2])
            to.write_bytes(bytes(size))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(outgoing, "fetch", made.fetch)
    return made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Downloads]:
    with closing(made(tmp_path, 100)) as found:
        yield found


def made(place: Path, size: int) -> Downloads:
    account = accounts.Account(SftpAddress("web1", "archive", 22), SftpConfig(), place)
    lent = Lent("20260305T020000Z", NOTE, dict.fromkeys(NAMES, size))
    (place / "lent").mkdir()
    return Downloads(account, [lent], NAMES, place / "lent")


def until(true: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_each_file_is_fetched_once_however_often_it_is_asked_for(server: Server, here: Downloads) -> None:
    here.order([*NAMES, *NAMES])
    for name in (*NAMES[5:], *NAMES[:5], *NAMES):
        path = here.now(name)
        assert path is not None
        assert path.stat().st_size == here.size(name) == 100
    assert sorted(server.fetched) == sorted(name.decode() for name in NAMES)
    assert here.now(b"another") is None


def test_little_is_fetched_that_nobody_has_asked_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_UNUSED_BYTES", 200)
    monkeypatch.setattr(downloads, "_AT_ONCE", 1)
    with closing(made(tmp_path, 100)) as here:
        here.order(NAMES)
        for number, name in enumerate(NAMES):
            assert here.now(name) is not None
            here.release(name)
            assert len(server.fetched) <= number + 4
            assert len(os.listdir(tmp_path / "lent")) <= 3


def test_what_there_is_no_room_for_is_waited_for_and_what_is_needed_now_is_an_error(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """350 bytes are free, a file has 100."""
    monkeypatch.setattr(downloads, "_UNUSED_BYTES", 10_000)
    monkeypatch.setattr(downloads, "_AT_ONCE", 1)
    monkeypatch.setattr(Downloads, "_room", lambda self: 350 - 100 * len(os.listdir(tmp_path / "lent")))
    with closing(made(tmp_path, 100)) as here:
        here.order(NAMES)
        until(lambda: len(server.fetched) == 3)
        time.sleep(0.05)
        assert len(server.fetched) == 3
        for name in NAMES[:10]:
            assert here.now(name) is not None
            here.release(name)
        until(lambda: len(os.listdir(tmp_path / "lent")) == 3)
        with pytest.raises(ArchiveError, match="no space"):
            here.now(NAMES[-1])


@pytest.mark.parametrize("error", [ArchiveError("the archive refused"), OSError(5, "bad"), ValueError("a bug")])
def test_who_waits_is_told_whatever_goes_wrong(server: Server, here: Downloads, error: Exception) -> None:
    server.fails = error
    with pytest.raises(ValueError if isinstance(error, ValueError) else ArchiveError):
        here.now(NAMES[0])


def test_closing_ends_what_waits_for_orders(server: Server, tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).mkdir()
        here = made(tmp_path / str(number), 100)
        here.order([] if number % 2 else NAMES)
        here.close()


def test_a_server_that_sends_more_than_it_has_said_does_not_fill_the_disk(account: Account) -> None:
    there = account.root / "outgoing" / "20260305T020000Z"
    there.mkdir()
    (there / NAMES[0].decode()).write_bytes(bytes(5_000_000))
    there.chmod(0o755)
    target = account.target()
    target_account = target._account
    place = target_account.home / "lent"
    place.mkdir(parents=True)
    target_account.prepare()
    lent = Lent("20260305T020000Z", NOTE, {NAMES[0]: 1000})
    with closing(Downloads(target_account, [lent], NAMES, place)) as here:
        with pytest.raises(ArchiveError, match="changed while it was fetched"):
            here.now(NAMES[0])
        assert sum(path.stat().st_size for path in place.iterdir()) <= 1001


@pytest.mark.parametrize(
    "text",
    [
        '{"time": "0001-01-01T00:00:00Z", "expires": "2026-03-08T00:00:00Z", "chain": []}',
        '{"time": "2026-03-08T00:00:00Z", "expires": "9999-12-31T23:59:59-12:00", "chain": []}',
        '{"time": "2026-03-08T00:00:00", "expires": "2026-03-08T00:00:00Z", "chain": []}',
        '{"time": "2026-03-08T00:00:00Z", "expires": "2026-03-08T00:00:00Z", "chain": [], "version": 2}',
        '{"time": "2026-03-08T00:00:00Z"}',
        "[" * 100_000,
        "",
    ],
)
def test_a_note_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loan.decode(text.encode())


@pytest.mark.parametrize(
    "listed",
    [
        '{"time": "2026-03-08T00:00:00Z", "kind": "inc", "levels": ["\\u001b[2J"], "chain_length": 1}',
        '{"time": "2026-03-08T00:00:00Z", "kind": "inc", "levels": ["week\\nfull"], "chain_length": 1}',
        '{"time": "0001-01-01T00:00:00Z", "kind": "inc", "levels": [], "chain_length": 1}',
        '{"time": "2026-03-08T00:00:00Z", "kind": "other", "levels": [], "chain_length": 1}',
    ],
)
def test_an_index_that_is_none_is_refused(listed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        index.decode(f'{{"backups": [{listed}]}}'.encode())
