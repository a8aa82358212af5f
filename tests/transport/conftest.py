"""A client in this process, and a real sshd of an archive host on a machine of the tests' own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cya.archive.collect import collect
from cya.client import backup as client
from cya.client.places import remote_next
from cya.config.address import SftpAddress
from cya.config.client import ClientConfig
from cya.config.encryption import EncryptionConfig
from cya.config.sftp import SftpConfig
from cya.transport.sftp import SftpNext
from tests.archive.conftest import at
from tests.e2e.sftp_host import START, USER, ArchiveHost, archive_host
from tests.standin import StandIn


class Account:
    """A client with an account on the archive host."""

    def __init__(self, place: Path, archive: ArchiveHost) -> None:
        self.place, self.archive, self.user = place, archive, f"{USER}-{os.urandom(3).hex()}"
        self.key = place / "client.key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.root = archive.take_in(self.user, self.key.with_suffix(".key.pub").read_text())
        self.next = self.root / "incoming" / "next"
        (place / "source").mkdir()
        self.sftp = SftpConfig(identity_file=self.key, host_key=archive.host_key, give_up_after=0)
        self.address = SftpAddress(self.user, "localhost", archive.port)

    def config(self, **changes: Any) -> ClientConfig:
        """The config; ``changes`` to the table ``sftp``."""
        return ClientConfig(
            path=self.place / "client.toml",
            source=self.place / "source",
            archive=str(self.address),
            cache_dir=self.place / "cache",
            encryption=EncryptionConfig(none=True),
            sftp=msgspec.structs.replace(self.sftp, **changes),
        )

    def target(self, **changes: Any) -> SftpNext:
        (self.place / "cache").mkdir(mode=0o700, exist_ok=True)
        return remote_next(self.config(**changes))

    def backup(
        self, now: str, target: SftpNext | None = None, engine: StandIn | None = None, **changes: Any
    ) -> client.Done:
        target = target or self.target(**changes)
        return client.backup(self.config(**changes), engine or StandIn(2), target, at(now))

    def collect(self, now: str) -> int:
        """Return how many increments were committed; none may be refused."""
        collected = collect(self.root, at(now))
        assert collected.refused == []
        return len(collected.committed)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveHost]:
    with archive_host(tmp_path_factory.mktemp("archive-host")) as made:
        yield made


@pytest.fixture
def account(archive: ArchiveHost, tmp_path: Path) -> Iterator[Account]:
    made = Account(tmp_path, archive)
    yield made
    archive.forget(made.user)


__all__ = ["START", "Account"]
