"""Listing with stock duplicity."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.protocol import Encryption, Entry
from cya.errors import DecryptionFailed
from tests.engine.conftest import PLAIN, SECRET, T1, T2, Backup

ODD = ["new\nline", "it's", 'dou"ble', "back\\slash", "\\x41\\n", "tab\t", " blank ", "ü€😀", "\u2028", "\x85\x01"]


def test_types_times_and_odd_names(engine: Duplicity, backup: Backup, source: Path, target: Path) -> None:
    for name in ODD:
        (source / name).touch()
        os.utime(source / name, (1, 1))
    backup(T1)
    found = {entry.path: entry for entry in engine.entries(target, T1, PLAIN)}
    assert found[b"dir/deep"] == Entry(b"dir/deep", "dir", 900_000_000)
    assert found[b"link"].type == "sym"
    assert found[b"fifo"] == Entry(b"fifo", "fifo", 900_000_000)
    assert {os.fsencode(name) for name in ODD} <= found.keys()
    assert found[b"new\nline"] == Entry(b"new\nline", "reg", 1)
    assert len(found) == 8 + len(ODD)


def test_names_that_are_not_utf8_are_listed(engine: Duplicity, backup: Backup, source: Path, target: Path) -> None:
    bad = os.fsencode(source) + b"/\xe4\xf6"
    os.mkdir(bad)
    with open(bad + b"/\xff'\n", "wb"):
        pass
    backup(T1)
    last = [(entry.path, entry.type) for entry in engine.entries(target, T1, PLAIN)][-2:]
    assert last == [(b"\xe4\xf6", "dir"), (b"\xe4\xf6/\xff'\n", "reg")]


def test_an_earlier_backup_is_listed_as_it_was(engine: Duplicity, backup: Backup, source: Path, target: Path) -> None:
    backup(T1, SECRET)
    (source / "hello").unlink()
    backup(T2, SECRET)
    assert b"hello" in {entry.path for entry in engine.entries(target, T1, SECRET)}
    assert b"hello" not in {entry.path for entry in engine.entries(target, T2, SECRET)}


def test_a_wrong_passphrase(engine: Duplicity, backup: Backup, target: Path) -> None:
    backup(T1, SECRET)
    with pytest.raises(DecryptionFailed, match=r"sigtar\.gpg: cannot be decrypted.*give the right passphrase"):
        list(engine.entries(target, T1, Encryption(passphrase="wrong")))


def test_a_listing_that_is_left_early_leaves_nothing_running(engine: Duplicity, backup: Backup, target: Path) -> None:
    backup(T1)
    listing = engine.entries(target, T1, PLAIN)
    assert next(listing).path == b"."
    listing.close()  # type: ignore[attr-defined]
    assert len(list(engine.entries(target, T1, PLAIN))) == 8
