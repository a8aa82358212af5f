"""Backups to a public key, with the secret key elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption, Progress, RestoreJob
from cya.errors import DecryptionFailed, EngineError
from tests.engine.conftest import T1, T2, T3, tree
from tests.stock import gpg_home


@dataclass
class Keys:
    public_only: Path
    with_secret: Path
    recipient: str


def gpg(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


@pytest.fixture(scope="session")
def keys() -> Iterator[Keys]:
    with gpg_home() as public_only, gpg_home() as with_secret:
        gpg(
            with_secret,
            "--passphrase",
            "key secret",
            "--quick-generate-key",
            "web1",
            "future-default",
            "default",
            "never",
        )
        gpg(public_only, "--import", data=gpg(with_secret, "--export"))
        listing = gpg(with_secret, "--with-colons", "--list-keys").decode()
        fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        yield Keys(public_only, with_secret, fingerprint)


def test_the_secret_key_is_needed_for_restoring_only(
    program: Path, keys: Keys, source: Path, target: Path, destination: Path, tmp_path: Path
) -> None:
    client = Duplicity(program, tmp_path / "cache", keys.public_only)
    # A passphrase in the config must not make duplicity try to decrypt.
    for now, passphrase in ((T1, None), (T2, None), (T3, "key secret")):
        (source / "hello").write_text(f"as of {now}")
        os.utime(source / "hello", (now, now))  # stock compares whole seconds only
        report = client.backup(BackupJob(source, target, now, Encryption(passphrase, (keys.recipient,))))
        assert report.kind == ("full" if now == T1 else "inc")
    with pytest.raises(DecryptionFailed, match="No secret key"):
        client.restore(RestoreJob(target, destination, T3, Encryption(recipients=(keys.recipient,))))

    owner = Duplicity(program, tmp_path / "owner", keys.with_secret)
    with pytest.raises(DecryptionFailed, match="Bad passphrase"):
        owner.restore(RestoreJob(target, destination, T3, Encryption("wrong", (keys.recipient,))))
    owner.restore(RestoreJob(target, destination, T3, Encryption("key secret", (keys.recipient,))))
    assert tree(destination) == tree(source)


def test_a_lost_cache_without_the_secret_key(
    program: Path, keys: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    encryption = Encryption(recipients=(keys.recipient,))
    Duplicity(program, tmp_path / "cache", keys.public_only).backup(BackupJob(source, target, T1, encryption))
    client = Duplicity(program, tmp_path / "other", keys.public_only)
    with pytest.raises(DecryptionFailed, match=r"No secret key.*import the secret key once.*cya backup --full"):
        client.backup(BackupJob(source, target, T2, encryption))


def test_a_new_chain_needs_no_secret_key_though_the_cache_is_lost(
    program: Path, keys: Keys, source: Path, target: Path, destination: Path, tmp_path: Path
) -> None:
    encryption = Encryption(recipients=(keys.recipient,))
    (source / "noise").write_bytes(os.urandom(3 << 20))
    Duplicity(program, tmp_path / "cache", keys.public_only).backup(BackupJob(source, target, T1, encryption))
    before = set(os.listdir(target))
    client = Duplicity(program, tmp_path / "other", keys.public_only)
    client.backup(BackupJob(source, target, T2, encryption, full=True, dry_run=True))
    assert set(os.listdir(target)) == before

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    job = BackupJob(source, target, T2, encryption, volume_size=1, full=True)
    with pytest.raises(KeyboardInterrupt):
        client.backup(job, interrupt)
    assert set(os.listdir(target)) == before
    assert client.backup(job).kind == "full"
    made = set(os.listdir(target)) - before
    assert len(made) in (5, 6)
    assert all(name.startswith("duplicity-full") for name in made)

    # The next run continues the new chain, alone or beside the old one.
    for name in before:
        (target / name).unlink()
    assert client.backup(BackupJob(source, target, T3, encryption)).start == T2
    owner = Duplicity(program, tmp_path / "owner", keys.with_secret)
    owner.restore(RestoreJob(target, destination, T3, Encryption("key secret", (keys.recipient,))))
    assert tree(destination) == tree(source)


def test_a_new_chain_needs_no_old_passphrase(
    program: Path, keys: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    Duplicity(program, tmp_path / "cache").backup(BackupJob(source, target, T1, Encryption("old")))
    engine = Duplicity(program, tmp_path / "other")
    assert engine.backup(BackupJob(source, target, T2, Encryption("new"), full=True)).kind == "full"
    assert engine.backup(BackupJob(source, target, T3, Encryption("new"))).start == T2


def test_an_unknown_recipient_is_named(program: Path, keys: Keys, source: Path, target: Path, tmp_path: Path) -> None:
    engine = Duplicity(program, tmp_path / "cache", keys.public_only)
    with pytest.raises(EngineError, match=r"nobody@example\.org.*its public key is missing, expired"):
        engine.backup(BackupJob(source, target, T1, Encryption(recipients=("nobody@example.org",))))
