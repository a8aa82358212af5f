"""`cya verify`: a backup beside the source, or beside a restored tree; through the command line, with real files."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests import mounts
from tests.e2e.conftest import Host

PAST, FUTURE = "2019-12-21", "2039-12-21"
"""Of a backup: whatever is done to the source now is after the one, and before the other."""
ROOT = os.geteuid() == 0
KINDS = ("content", "touched", "appended", "mode", "owner", "type", "target", "missing", "extra", "device", "pipe")


def begin(top: Path) -> None:
    """A directory for each thing that will be done; its own time of modification is put back."""
    for name in KINDS:
        (top / name).mkdir()
        (top / name / "file").write_bytes(name.encode() * 5000)
    (top / "target/link").symlink_to("file")
    os.mkfifo(top / "pipe/pipe")
    if ROOT:
        os.mknod(top / "device/device", 0o020600, os.makedev(1, 3))
    for path in (*top.rglob("*"), top):  # whole seconds are compared: this one is over
        os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)


def change(top: Path) -> dict[str, list[str]]:
    """Do it; return what of each path differs."""
    times = {path: path.stat().st_mtime_ns for path in top.iterdir()}
    flip(top / "content/file", 7)
    os.utime(top / "touched/file", (1, 1))
    with (top / "appended/file").open("ab") as file:
        file.write(b"more")
    (top / "mode/file").chmod(0o4711)
    (top / "type/file").unlink()
    (top / "type/file").mkdir()
    (top / "type/file/within").touch()
    (top / "target/link").unlink()
    (top / "target/link").symlink_to("elsewhere")
    shutil.rmtree(top / "missing")
    (top / "extra/directory").mkdir()
    (top / "extra/directory/file").touch()
    (top / "pipe/pipe").chmod(0o600)
    if ROOT:
        os.chown(top / "owner/file", 12345, 54321)
        (top / "device/device").unlink()
        os.mknod(top / "device/device", 0o020600, os.makedev(1, 5))
    for path in top.iterdir():
        os.utime(path, ns=(times[path], times[path]))
    differing = {
        "content/file": ["content"],
        "touched/file": ["mtime"],
        "appended/file": ["content", "mtime"],
        "mode/file": ["mode"],
        "type/file": ["type"],
        "type/file/within": ["extra"],
        "target/link": ["target", "mtime"],
        "missing": ["missing"],
        "missing/file": ["missing"],
        "extra/directory": ["extra"],
        "extra/directory/file": ["extra"],
        "pipe/pipe": ["mode"],
        ".": ["mtime"],
    }
    return differing | ({"owner/file": ["owner"], "device/device": ["device", "mtime"]} if ROOT else {})


def flip(path: Path, at: int) -> None:
    """Change a byte, and leave no trace but the change time."""
    there = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))


def second_is_over() -> None:
    """What was made until now was made before a backup that begins now: its time is in whole seconds."""
    time.sleep(1 - time.time() % 1)


def verify(host: Host, *words: object, status: int, **options: Any) -> dict[str, Any]:
    found = host.json("verify", "--config", host.config, *words, status=status, **options)
    assert isinstance(found, dict)
    return found


def named(found: dict[str, Any]) -> dict[str, list[str]]:
    return {each["path"]: each["what"] for each in found["differences"]}


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_where_nothing_differs_nothing_is_said(newest: Host, time: str) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(time)
    ran = newest.run("verify", "--config", newest.config, "--now", FUTURE)
    assert (ran.stdout, ran.stderr) == ("", "")
    found = verify(newest, "--now", FUTURE, status=0)
    files = [path for path in newest.source.rglob("*") if path.is_file() and not path.is_symlink()]
    assert (found["files_read"], found["bytes_read"]) == (len(files), sum(path.stat().st_size for path in files))
    assert found["compared"] == len([newest.source, *newest.source.rglob("*")])


def test_what_was_changed_since_is_named_and_nothing_to_worry_about(newest: Host) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(PAST)
    expected = change(newest.source)
    found = verify(newest, status=10)
    assert named(found) == expected
    assert all(each["since"] for each in found["differences"])
    assert (found["changed_since"], found["differ"], found["not_read"]) == (len(expected), 0, 0)
    ran = newest.run("verify", "--config", newest.config, status=10)
    assert "changed since: appended/file: content, mtime\n" in ran.stdout
    assert f"0 differ, {len(expected)} changed since" in ran.stdout
    assert not ran.stderr


def test_what_differs_and_was_not_changed_since_is_an_error(newest: Host) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(FUTURE)
    expected = change(newest.source)
    found = verify(newest, "--now", FUTURE, status=13)
    assert named(found) == expected
    assert not any(each["since"] for each in found["differences"])
    ran = newest.run("verify", "--config", newest.config, "--now", FUTURE, status=13)
    assert "cya: differs: content/file: content\n" in ran.stderr


@pytest.mark.skipif(not ROOT, reason="needs root, to mount")
def test_a_rotten_bit_in_the_source_is_told_from_a_change(newest: Host, tmp_path: Path) -> None:
    """The byte is changed in the image, where no time of the file is touched by it."""
    disk, content = tmp_path / "disk", random.Random(1).randbytes(20_000)
    newest.init()
    with mounts.small_file_system(disk, 16):
        (disk / "rots").write_bytes(content)
        (disk / "changes").write_bytes(content[::-1])
        newest.config.write_text(newest.config.read_text().replace(f'"{newest.source}"', f'"{disk}"'))
        second_is_over()
        newest.run("backup", "--config", newest.config)
        newest.run("verify", "--config", newest.config)
    image = disk.with_suffix(".img")
    stored = image.read_bytes()
    assert stored.count(content[:4096]) == 1
    with image.open("r+b") as file:
        file.seek(stored.index(content[:4096]) + 100)
        file.write(bytes([content[100] ^ 1]))
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        flip(disk / "changes", 5)
        found = newest.json("verify", "--config", newest.config, status=13)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    rotten = [each for each in found["differences"] if not each["since"]]
    assert [(each["path"], each["what"]) for each in rotten] == [("rots", ["content"])]
    assert {each["path"] for each in found["differences"]} == {"rots", "changes"}


def test_a_restored_tree_is_the_same_until_something_in_it_changes(newest: Host) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(PAST)
    tree = newest.restore("restored")
    against = ("--against", tree)
    assert verify(newest, *against, status=0)["compared"] > 20
    keys_of = newest.config.with_suffix(".passphrase")
    words = ("verify", "--from", newest.root, "--passphrase-file", keys_of, "--against", tree)
    assert newest.run(*words).stdout == ""
    flip(tree / "content/file", 7)
    (tree / "missing/file").unlink()
    os.utime(tree / "missing", ns=(0, (newest.source / "missing").stat().st_mtime_ns // 10**9 * 10**9))
    ran = newest.run(*words, status=10)  # the source is younger than the backup's simulated time
    assert "changed since: content/file: content\n" in ran.stdout
    assert "changed since: missing/file: missing\n" in ran.stdout


def test_damage_in_a_restored_tree_is_told_by_its_times(newest: Host) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(FUTURE)
    tree = newest.restore("restored", "--now", FUTURE)
    flip(tree / "content/file", 7)
    (tree / "appended/new").touch()
    os.utime(tree / "appended/file", (2_300_000_000, 2_300_000_000))
    found = verify(newest, "--against", tree, "--now", FUTURE, status=13)
    assert {each["path"]: (each["what"], each["since"]) for each in found["differences"]} == {
        "appended": (["mtime"], False),
        "appended/file": (["mtime"], True),
        "appended/new": (["extra"], False),
        "content/file": (["content"], False),
    }


def test_a_sample_reads_about_its_share_and_the_same_for_a_seed(newest: Host) -> None:
    for number in range(600):
        (newest.source / f"file {number}").write_bytes(b"content")
    newest.init()
    newest.backup(FUTURE)
    for path in newest.source.iterdir():
        flip(path, 3)

    def drawn(*words: object) -> set[str]:
        found = verify(newest, "--now", FUTURE, *words, status=13)
        assert found["files_read"] == found["differ"]
        assert found["compared"] == 601
        return set(named(found))

    share = drawn("--sample", "25%", "--seed", 7)
    assert 100 < len(share) < 200
    assert drawn("--sample", "25%", "--seed", 7) == share
    assert drawn("--sample", "50%", "--seed", 7) > share
    assert drawn("--sample", "25%", "--seed", 8) != share
    assert len(drawn()) == 600
    assert verify(newest, "--sample", "0%", "--now", FUTURE, status=0)["files_read"] == 0
    ran = newest.run("verify", "--config", newest.config, "--sample", "25%", "--now", FUTURE, status=13)
    seed = ran.stdout.rpartition("--seed ")[2].strip()
    again = newest.run(
        *("verify", "--config", newest.config, "--sample", "25%", "--now", FUTURE, "--seed", seed), status=13
    )
    assert again.stderr == ran.stderr
    for wrong in ("25", "101%", "-1%", "x"):
        newest.run("verify", "--config", newest.config, f"--sample={wrong}", status=2)
    newest.run("verify", "--config", newest.config, "--seed", 2**64, status=2)


def test_what_the_config_leaves_out_is_left_out(newest: Host) -> None:
    """The archive and the cache, too, though they lie in the source."""
    newest.source = newest.place
    (newest.place / "kept").write_text("x")
    (newest.place / "left out").mkdir()
    (newest.place / "left out/before").write_text("x")
    (newest.place / "later").mkdir()
    (newest.place / "later/in the backup").write_text("x")
    newest.init()
    left_out = 'patterns = ["- **/left out"'
    text = newest.config.read_text().replace("#patterns", "patterns")
    lines = [line for line in text.splitlines() if not line.startswith("patterns")]
    at = lines.index("[selection]") + 1
    newest.config.write_text("\n".join([*lines[:at], f"{left_out}]", *lines[at:]]) + "\n")
    newest.backup(PAST)
    (newest.place / "left out/after").write_text("x")
    assert verify(newest, status=0)["compared"] > 5
    newest.config.write_text(newest.config.read_text().replace(left_out, f'{left_out}, "- **/later"'))
    later = newest.place / "later"
    times = later.stat().st_mtime_ns
    (later / "extra").write_text("x")
    os.utime(later, ns=(times, times))
    flip(later / "in the backup", 0)
    found = named(verify(newest, "later", status=10))
    assert found == {"later/in the backup": ["content"]}


def test_only_the_paths_that_are_named(newest: Host) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(PAST)
    change(newest.source)
    assert set(named(verify(newest, "mode", newest.source / "missing", status=10))) == {
        *("mode/file", "missing", "missing/file")
    }
    verify(newest, "pipe/file", "owner", status=10 if ROOT else 0)
    ran = newest.run("verify", "--config", newest.config, "mode", "nowhere", status=1)
    assert "nowhere: not in the backup" in ran.stderr
    assert "mode/file" in ran.stdout
    assert "--config" in newest.run("verify", status=2).stderr
    assert "before" in newest.run("verify", "--config", newest.config, "--time", "2018-01-01", status=1).stderr
