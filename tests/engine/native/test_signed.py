"""Backups that are signed: gpg says so, and stock goes on with them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption, Engine, Report, RestoreJob
from cya.errors import DecryptionFailed, EngineError
from tests.engine.conftest import T1, T2, T3, tree
from tests.engine.test_recipients import Keys, gpg, keys
from tests.stock import gpg_home

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


@pytest.fixture(scope="module")
def strangers(keys: Keys) -> Iterator[Keys]:
    """Somebody else, who has the public key of the client, and a key of his own."""
    with gpg_home() as home:
        gpg(home, "--import", data=gpg(keys.public_only, "--export"))
        gpg(home, "--passphrase", "strange", "--quick-generate-key", "stranger", "future-default", "default", "never")
        listing = gpg(home, "--with-colons", "--list-secret-keys").decode()
        yield Keys(home, home, next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")))


def made_by(
    keys: Keys, source: Path, target: Path, cache: Path, *, now: int = T1, encryption: Encryption, text: str
) -> None:
    (source / "hello").write_text(text)
    os.utime(source / "hello", (now, now))
    engine("native", Path("duplicity"), cache, keys.with_secret).backup(BackupJob(source, target, now, encryption))


def restored(
    keys: Keys, target: Path, to: Path, signed: str | Encryption | None, time: int = T1, *, by: Path | None = None
) -> Report:
    """Restore; ``by`` stock duplicity, or by the native engine. ``signed``: the key that has to have signed."""
    to.mkdir(exist_ok=True)
    encryption = signed if isinstance(signed, Encryption) else Encryption("key secret", (keys.recipient,), signed)
    job = RestoreJob(target, to, time, encryption)
    kind = "native" if by is None else "stock"
    return engine(kind, by or Path("duplicity"), to.parent / "reader", keys.with_secret).restore(job)


@pytest.mark.parametrize("signed", [False, True])
def test_what_another_has_made_for_the_same_recipient_is_not_taken_where_signing_is_on(
    keys: Keys, strangers: Keys, source: Path, target: Path, tmp_path: Path, signed: bool
) -> None:
    forged = Encryption("strange", (keys.recipient,), strangers.recipient if signed else None)
    made_by(strangers, source, target, tmp_path / "cache", encryption=forged, text="forged")
    if signed:
        gpg(keys.with_secret, "--import", data=gpg(strangers.public_only, "--export", strangers.recipient))
    said = f"is signed by .*{strangers.recipient}.*by {keys.recipient}" if signed else "is not signed.*sign_key"
    with pytest.raises(DecryptionFailed, match=said):
        restored(keys, target, tmp_path / "to", keys.recipient)
    assert [*(tmp_path / "to").iterdir()] == []
    restored(keys, target, tmp_path / "to", None)  # as with --allow-unencrypted
    assert (tmp_path / "to/hello").read_text() == "forged"


def test_stock_duplicity_does_not_look_who_has_signed_so_it_is_looked_at_before(
    program: Path, keys: Keys, strangers: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    encryption = Encryption("key secret", (keys.recipient,), keys.recipient)
    made_by(keys, source, target, tmp_path / "cache", encryption=encryption, text="honest")
    restored(keys, target, tmp_path / "first", keys.recipient, by=program)
    assert (tmp_path / "first/hello").read_text() == "honest"
    forged = replace(encryption, passphrase=None, sign_key=None)
    made_by(keys, source, target, tmp_path / "cache", now=T2, encryption=forged, text="forged, and longer")
    with pytest.raises(DecryptionFailed, match="is not signed"):
        restored(keys, target, tmp_path / "to", keys.recipient, T2, by=program)
    assert [*(tmp_path / "to").iterdir()] == []


def test_a_forged_increment_on_top_of_what_is_signed_is_named_and_nothing_of_it_is_taken(
    keys: Keys, strangers: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    encryption = Encryption("key secret", (keys.recipient,), keys.recipient)
    made_by(keys, source, target, tmp_path / "cache", encryption=encryption, text="honest")
    forged = replace(encryption, passphrase=None, sign_key=None)
    made_by(keys, source, target, tmp_path / "cache", now=T2, encryption=forged, text="forged, and longer")
    report = restored(keys, target, tmp_path / "to", keys.recipient, T2)
    assert any("is not signed" in each.reason for each in report.damaged), report
    assert [lost.path for lost in report.lost] == [". … the end"]  # whatever the increment may hold
    assert not [path for path in (tmp_path / "to").rglob("*") if path.is_file() and b"forged" in path.read_bytes()]
    restored(keys, target, tmp_path / "first", keys.recipient)
    assert (tmp_path / "first/hello").read_text() == "honest"


@pytest.mark.parametrize("encryption", [Encryption("key secret"), Encryption()], ids=["passphrase", "plain"])
def test_what_is_not_encrypted_to_the_recipient_is_not_signed_either(
    keys: Keys, source: Path, target: Path, tmp_path: Path, encryption: Encryption
) -> None:
    made_by(keys, source, target, tmp_path / "cache", encryption=encryption, text="forged")
    with pytest.raises(DecryptionFailed, match="is not signed"):
        restored(keys, target, tmp_path / "to", keys.recipient)


def test_backups_under_a_former_sign_key_are_taken_where_it_is_named(
    keys: Keys, strangers: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    former = strangers.recipient
    made_by(
        strangers,
        source,
        target,
        tmp_path / "cache",
        encryption=Encryption("strange", (keys.recipient,), former),
        text="old",
    )
    gpg(keys.with_secret, "--import", data=gpg(strangers.public_only, "--export", former))
    now = Encryption("key secret", (keys.recipient,), f"0x{keys.recipient.lower()}")
    with pytest.raises(DecryptionFailed, match="former_sign_keys"):
        restored(keys, target, tmp_path / "to", now)
    restored(keys, target, tmp_path / "to", replace(now, former_sign_keys=(former,)))
    assert (tmp_path / "to/hello").read_text() == "old"
    made_by(keys, source, target, tmp_path / "cache", now=T2, encryption=now, text="and new")
    restored(keys, target, tmp_path / "new", replace(now, former_sign_keys=(f"0x{former[-16:]}",)), T2)
    assert (tmp_path / "new/hello").read_text() == "and new"


def test_who_has_not_the_key_of_the_signer_is_told_and_restores_without_a_look_at_signatures(
    keys: Keys, strangers: Keys, source: Path, target: Path, tmp_path: Path
) -> None:
    """Where a backup is restored in an emergency the recipient's key is; the client's went down with the client."""
    with gpg_home() as home:
        gpg(home, "--import", data=gpg(keys.public_only, "--export"))
        gpg(home, "--import", data=gpg(strangers.with_secret, "--export", strangers.recipient))
        secret = gpg(strangers.with_secret, "--passphrase=strange", "--export-secret-keys", strangers.recipient)
        gpg(home, "--import", data=secret)
        signed = Encryption("strange", (keys.recipient,), strangers.recipient)
        made_by(Keys(home, home, ""), source, target, tmp_path / "cache", encryption=signed, text="signed")
    owner = keys
    with gpg_home() as elsewhere:
        secret = gpg(owner.with_secret, "--passphrase=key secret", "--export-secret-keys", owner.recipient)
        gpg(elsewhere, "--import", data=secret)
        reader = Keys(elsewhere, elsewhere, owner.recipient)
        with pytest.raises(DecryptionFailed, match=r"public key .* is not here\. Import it"):
            restored(reader, target, tmp_path / "to", strangers.recipient)
        restored(reader, target, tmp_path / "to", None)
    assert (tmp_path / "to/hello").read_text() == "signed"
