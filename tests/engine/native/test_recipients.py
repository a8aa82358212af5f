"""Backups to a public key by the native engine, with the secret key elsewhere; and changing engines meanwhile."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption, Engine, RestoreJob
from cya.errors import DecryptionFailed
from tests.engine.conftest import T1, T2, T3, tree
from tests.engine.test_recipients import Keys, keys

__all__ = ["keys"]


class Client:
    """A host without the secret key, that backs up by one engine or the other."""

    def __init__(self, program: Path, keys: Keys, source: Path, target: Path, cache: Path) -> None:
        self.program, self.keys, self.cache = program, keys, cache
        self.job = BackupJob(source, target, 0, Encryption(recipients=(keys.recipient,)), volume_size=1)
        self.truth: dict[int, object] = {}

    def engine(self, kind: str, home: Path | None = None) -> Engine:
        made = Native if kind == "native" else Duplicity
        return made(str(self.program), self.cache, home or self.keys.public_only)

    def backup(self, kind: str, now: int, *, home: Path | None = None, full: bool = False) -> str | None:
        (self.job.source / "hello").write_text(f"as of {now}")
        (self.job.source / "dir/data").write_bytes(bytes(range(256)) * 2000 + b"%d" % now)
        for name in ("hello", "dir/data"):
            os.utime(self.job.source / name, (now, now))  # stock compares whole seconds only
        self.truth[now] = tree(self.job.source)
        return self.engine(kind, home).backup(replace(self.job, now=now, full=full)).kind

    def check(self, place: Path) -> None:
        """The owner of the secret key restores every day."""
        for now in self.truth:
            (place / str(now)).mkdir(parents=True)
            owner = Duplicity(self.program, place / "owner", self.keys.with_secret)
            owner.restore(RestoreJob(self.job.target, place / str(now), now, Encryption("key secret")))
            assert tree(place / str(now)) == self.truth[now]


@pytest.fixture
def client(program: Path, keys: Keys, source: Path, target: Path, tmp_path: Path) -> Client:
    return Client(program, keys, source, target, tmp_path / "cache")


def cut_back(client: Client, end: int) -> None:
    """Serve the chain up to a time only, as after a change of level."""
    from cya.format.collection import collect

    for files in collect(os.listdir(os.fsencode(client.job.target))).sets:
        if files.end > end:
            for name in files.names:
                (client.job.target / os.fsdecode(name)).unlink()
    client.truth = {now: was for now, was in client.truth.items() if now <= end}


@pytest.mark.parametrize(
    "order", [("native",) * 4, ("native", "stock", "native", "stock"), ("stock", "native", "native", "native")]
)
def test_without_the_secret_key_the_chain_goes_on_also_when_it_is_cut_back(
    client: Client, tmp_path: Path, order: tuple[str, ...]
) -> None:
    assert client.backup(order[0], T1) == "full"
    assert client.backup(order[1], T2) == "inc"
    cut_back(client, T1)
    assert client.backup(order[2], T3) == "inc"
    assert client.backup(order[3], T3 + 100) == "inc"
    client.check(tmp_path / "restored")


def test_a_lost_cache_needs_the_secret_key_once_or_a_full(client: Client, keys: Keys, tmp_path: Path) -> None:
    client.backup("native", T1)
    shutil.rmtree(client.cache)
    before = set(client.job.target.iterdir())
    with pytest.raises(DecryptionFailed, match=r"import the secret key once.*cya backup --full"):
        client.backup("native", T2)
    assert set(client.job.target.iterdir()) == before
    del client.truth[T2]
    client.job = replace(client.job, encryption=Encryption("key secret", (keys.recipient,)))
    assert client.backup("native", T2, home=keys.with_secret) == "inc"
    client.job = replace(client.job, encryption=Encryption(recipients=(keys.recipient,)))
    assert client.backup("native", T3) == "inc"
    shutil.rmtree(client.cache)
    assert client.backup("native", T3 + 100, full=True) == "full"
    client.check(tmp_path / "restored")


def test_a_damaged_local_sigtar_without_the_key_costs_deltas_and_no_backup(client: Client, tmp_path: Path) -> None:
    client.backup("native", T1)
    (sigtar,) = client.cache.glob("archive-dir/backup/*sigtar.gz")
    data = bytearray(sigtar.read_bytes())
    data[len(data) // 2] ^= 1
    sigtar.write_bytes(data)
    assert client.backup("native", T2) == "inc"
    client.check(tmp_path / "restored")
