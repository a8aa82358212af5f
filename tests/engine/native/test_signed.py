"""Backups that are signed: gpg says so, and stock goes on with them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption, Engine, RestoreJob
from cya.errors import DecryptionFailed, EngineError
from tests.engine.conftest import T1, T2, T3, tree
from tests.engine.test_recipients import Keys, gpg, keys

__all__ = ["keys"]


def engine(kind: str, program: Path, cache: Path, home: Path) -> Engine:
    return (Native if kind == "native" else Duplicity)(str(program), cache, home)


@pytest.mark.parametrize("order", [("native", "stock", "native")])
def test_signed_backups_of_both_engines_make_one_chain(
    program: Path, keys: Keys, source: Path, target: Path, destination: Path, tmp_path: Path, order: tuple[str, ...]
) -> None:
    encryption = Encryption("key secret", (keys.recipient,), keys.recipient)
    (source / "large").write_bytes(os.urandom(3 << 19))
    for now, kind in zip((T1, T2, T3), order, strict=True):
        (source / "hello").write_text(f"as of {now}")
        os.utime(source / "hello", (now, now))  # stock compares whole seconds only
        made = engine(kind, program, tmp_path / "cache", keys.with_secret)
        made.backup(BackupJob(source, target, now, encryption, volume_size=1))
    volumes = sorted(target.glob("*.difftar.gpg"))
    assert len(volumes) > 3
    for path in [*volumes, *target.glob("*.sigtar.gpg"), *target.glob("*.manifest.gpg")]:
        command = ["gpg", "--homedir", str(keys.with_secret), "--batch", "--pinentry-mode=loopback", "--status-fd=1"]
        command += ["--passphrase=key secret", "--output=/dev/null", "--decrypt", str(path)]
        said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        assert "[GNUPG:] GOODSIG" in said
        assert path.stat().st_size <= (1 << 20) or "sigtar" in path.name or "stock" in order
    Duplicity(program, tmp_path / "owner", keys.with_secret).restore(RestoreJob(target, destination, T3, encryption))
    assert tree(destination) == tree(source)


def test_a_key_that_cannot_sign_is_an_error_and_nothing_is_left(
    program: Path, keys: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    encryption = Encryption("wrong", (keys.recipient,), keys.recipient)
    client = engine("native", program, tmp_path / "cache", keys.with_secret)
    with pytest.raises((DecryptionFailed, EngineError), match=r"[Pp]assphrase|sign"):
        client.backup(BackupJob(source, target, T1, encryption))
    without = engine("native", program, tmp_path / "other", keys.public_only)
    with pytest.raises((DecryptionFailed, EngineError), match=r"No secret key|no default secret key|sign"):
        without.backup(BackupJob(source, target, T1, encryption))
    assert list(target.iterdir()) == []
    assert gpg(keys.with_secret, "--list-keys")
