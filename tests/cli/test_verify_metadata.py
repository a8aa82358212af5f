"""``cya verify`` of what the signatures do not tell: each kind of difference is named."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Host

MOMENT = 1_500_000_000_123_456_789
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set these")


@pytest.fixture
def kept(newest: Host) -> Host:
    top = newest.source
    (top / "d").mkdir()
    for name in ("a", "d/stored", "plain", "log"):
        (top / name).write_bytes(name.encode() * 1000)
    os.truncate(top / "log", 1 << 20)
    os.link(top / "d/stored", top / "b")
    os.link(top / "d/stored", top / "e")
    os.setxattr(top / "plain", "user.a", b"1")
    subprocess.run(["setfacl", "-m", "u:1000:r", top / "plain"], check=True)
    os.symlink("nowhere", top / "link")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(top / "sock"))
    listening.close()
    for name in ("a", "d/stored", "plain", "link", "d"):
        os.utime(top / name, ns=(MOMENT, MOMENT), follow_symlinks=False)
    newest.init()
    newest.backup("2019-12-21")
    return newest


def told(host: Host, *words: object, status: int | None = None) -> dict[str, set[str]]:
    ran = host.run("verify", "--config", host.config, *words, "--json", status=status)
    import json

    said = json.loads(ran.stdout)
    assert said["metadata"] is True
    return {each["path"]: set(each["what"]) for each in said["differences"]}


def test_nothing_differs_right_after_a_backup(kept: Host) -> None:
    assert told(kept, status=0) == {}


def change_xattr(top: Path) -> None:
    os.setxattr(top / "plain", "user.a", b"2")


def change_acl(top: Path) -> None:
    subprocess.run(["setfacl", "-m", "u:1000:-", top / "plain"], check=True)


def change_nanoseconds(top: Path) -> None:
    os.utime(top / "a", ns=(MOMENT + 1, MOMENT + 1))


def change_time_of_link(top: Path) -> None:
    os.utime(top / "link", ns=(MOMENT + 1, MOMENT + 1), follow_symlinks=False)


def change_flags(top: Path) -> None:
    subprocess.run(["chattr", "+d", top / "a"], check=True)


def change_holes(top: Path) -> None:
    before = (top / "log").stat()
    with (top / "log").open("r+b") as file:
        file.seek(500_000)
        file.write(bytes(100_000))
    os.utime(top / "log", ns=(before.st_atime_ns, before.st_mtime_ns))


def change_link(top: Path) -> None:
    (top / "e").unlink()
    (top / "e").write_bytes((top / "d/stored").read_bytes())


def add_link(top: Path) -> None:
    (top / "a").unlink()
    os.link(top / "log", top / "a")


def remove_link(top: Path) -> None:
    (top / "e").unlink()


def change_socket(top: Path) -> None:
    (top / "sock").chmod(0o700)


def remove_socket(top: Path) -> None:
    (top / "sock").unlink()


@needs_root
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_xattr, {"plain": {"xattrs"}}),
        (change_acl, {"plain": {"acl"}}),
        (change_nanoseconds, {"a": {"mtime"}}),
        (change_time_of_link, {"link": {"mtime"}}),
        (change_flags, {"a": {"flags"}}),
        (change_holes, {"log": {"holes"}}),
        (change_link, {"e": {"links"}, ".": {"mtime"}}),
        (add_link, {"log": {"links"}, "a": {"content", "mtime", "holes"}, ".": {"mtime"}}),
        (remove_link, {"e": {"missing"}, ".": {"mtime"}}),
        (change_socket, {"sock": {"mode"}}),
        (remove_socket, {"sock": {"missing"}, ".": {"mtime"}}),
    ],
)
def test_each_change_is_named_and_was_made_since(
    kept: Host, change: Callable[[Path], None], expected: dict[str, set[str]]
) -> None:
    change(kept.source)
    assert told(kept, status=10) == expected


@needs_root
def test_a_restored_tree_is_the_same_and_what_was_left_out_is_named(kept: Host, tmp_path: Path) -> None:
    kept.run("restore", tmp_path / "to", "--config", kept.config)
    assert told(kept, "--against", tmp_path / "to", status=0) == {}
    kept.run("restore", tmp_path / "less", "--config", kept.config, "--no-xattrs", "--no-acls", "--no-exact-times")
    found = told(kept, "--against", tmp_path / "less")
    assert found["plain"] == {"xattrs", "acl", "mtime"}
    assert found["a"] == {"mtime"}


def test_the_volumes_elsewhere_the_rest_is_compared_and_that_is_said(kept: Host, tmp_path: Path) -> None:
    for path in kept.root.rglob("*.sigtar.gpg"):
        if not (tmp_path / path.name).exists():
            os.link(path, tmp_path / path.name)
    words = ("verify", "--config", kept.config, "--from", tmp_path)
    assert kept.json(*words, status=0)["metadata"] is False
    change_xattr(kept.source)
    assert kept.json(*words, status=0)["differences"] == []
    (kept.source / "a").write_text("changed")
    ran = kept.run(*words, status=10)
    assert "hard links, ACLs and attributes not compared" in ran.stdout


def test_other_names_are_listed_and_found_where_they_lie(kept: Host) -> None:
    listed = {each["path"] for each in kept.json("files", "--config", kept.config)}
    assert {"b", "d/stored", "e"} <= listed
    assert not any(path.startswith(".dupext") for path in listed)
    asked = {each["path"] for each in kept.json("files", "--config", kept.config, ".dupext")}
    assert ".dupext/hardlinks.txtz" in asked
    (only,) = kept.json("files", "--config", kept.config, "e")
    assert only["path"] == "e"
