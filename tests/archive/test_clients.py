"""Clients are taken in and let go, on a machine of the test's own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cya import catalog
from cya.archive import clients, sshd, users
from cya.archive.clients import add_client, remove_client
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.lend import lend
from cya.archive.status import status
from cya.config import root as root_config
from cya.config.archive import ArchiveConfig, load, parse_age
from cya.config.root import RootConfig
from cya.errors import ArchiveError, ConfigError, UsageError
from tests.archive.conftest import Site, at
from tests.archive.own_machine import CYA, own_machine

NAME = "cyatest-web1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhoq0PaYPrzuGXHg5YWtjYq2nP0hTMTJx3L8hLbbHi root@web1"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8P2F0hP9rKwNxQxQfWnmJHh3sFJ3rTn5mQmY4F0Kp1 root@web1"
NOW = at("2026-03-02T03:00:00")
ROOT = Path("/srv/cya") / NAME


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ArchiveConfig]:
    with own_machine(tmp_path):
        yield config()


def config(text: str = 'roots = ["/srv/cya/*"]\n') -> ArchiveConfig:
    file = Path("/etc/cya/archive.toml")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return load(file)


def facts() -> list[str]:
    """Owners, modes and contents of what add-client makes, but the time of serving."""
    lines = []
    for top in (ROOT, Path("/etc/cya")):
        for path in sorted([top, *top.rglob("*")]):
            found = path.lstat()
            text = path.read_bytes() if path.is_file() and path.name != "served.json" else b""
            lines.append(f"{path} {found.st_mode:o} {found.st_uid}:{found.st_gid} {text!r}")
    return [*lines, *(Path(file).read_text() for file in ("/etc/passwd", "/etc/group", "/etc/shadow"))]


def committed(day: str = "2026-03-02") -> list[str]:
    """A backup by the client, committed."""
    site = Site(ROOT)
    names = site.upload(f"{day}T03:30:00")
    user = pwd.getpwnam(NAME)
    for path in site.next.iterdir():
        if path.stat().st_nlink == 1:
            os.chown(path, user.pw_uid, user.pw_gid)
    assert len(collect(ROOT, at(f"{day}T04:00:00")).committed) == 1
    return names


def test_a_client_gets_a_user_a_root_and_a_key_file(host: ArchiveConfig) -> None:
    added = add_client(NAME, KEY, host, NOW)
    user = pwd.getpwnam(NAME)
    assert (user.pw_dir, user.pw_shell) == (str(ROOT), "/usr/sbin/nologin")
    assert f"{NAME}:*:" in Path("/etc/shadow").read_text()
    assert root_config.load(ROOT).user == NAME
    expected = {".": 0o755, "backups": 0o700, "incoming": 0o755, "outgoing": 0o755, "state": 0o700}
    for name, mode in expected.items():
        found = (ROOT / name).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 0, mode), name
    found = (ROOT / "incoming" / "next").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (user.pw_uid, user.pw_gid, 0o700)
    key_file = Path(host.sshd_dir, "keys", NAME)
    assert key_file.read_text() == f"restrict {KEY}\n"
    assert (key_file.stat().st_uid, stat.S_IMODE(key_file.stat().st_mode)) == (0, 0o644)
    assert stat.S_IMODE(Path(host.sshd_dir, sshd.HOST_KEY).stat().st_mode) == 0o600
    assert added.start == "install -d -m 755 /run/sshd && /usr/sbin/sshd -f /etc/cya/sshd/sshd_config"


def test_a_second_run_changes_nothing_and_puts_modes_right(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    committed()
    before = facts()
    add_client(NAME, KEY, host, at("2026-03-02T05:00:00"))
    assert facts() == before
    ROOT.chmod(0o777)
    os.chown(ROOT / "incoming", 1, 1)
    (ROOT / "state").chmod(0o755)
    os.chown(ROOT / "incoming" / "next", 0, 0)
    Path(host.sshd_dir, sshd.HOST_KEY).chmod(0o644)
    Path(host.sshd_dir, "keys").chmod(0o700)
    subprocess.run(["usermod", "--shell", "/bin/sh", "--groups", "", "--lock", NAME], check=True)
    add_client(NAME, KEY, host, at("2026-03-02T05:00:00"))
    assert facts() == before


def test_another_key_takes_the_place_of_the_first(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    add_client(NAME, OTHER_KEY, host, NOW)
    assert Path(host.sshd_dir, "keys", NAME).read_text() == f"restrict {OTHER_KEY}\n"


@pytest.mark.parametrize("name", ["daemon", "root", "nobody", "lonely"])
def test_a_user_or_group_that_is_not_ours_is_left_alone(host: ArchiveConfig, name: str) -> None:
    subprocess.run(["groupadd", "lonely"], check=True)
    before = Path("/etc/passwd").read_text()
    with pytest.raises(ArchiveError, match=f"{name}: there is a (user|group) of this name already"):
        add_client(name, KEY, host, NOW)
    if name != "lonely":
        with pytest.raises(ArchiveError, match="left alone"):
            remove_client(name, host, NOW)
    assert Path("/etc/passwd").read_text() == before
    assert not Path("/srv/cya", name).exists()
    assert not Path(host.sshd_dir, "keys", name).exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "Web1", "9web", "a b", "web1\n", "x" * 32, users.GROUP])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a name for a client"):
        users.check_name(name)


@pytest.mark.parametrize("spoil", ["/srv", "/srv/cya"])
def test_a_parent_that_others_may_write_is_named(host: ArchiveConfig, spoil: str) -> None:
    Path("/srv/cya").mkdir()
    Path(spoil).chmod(0o775)
    with pytest.raises(ArchiveError, match=f"{spoil}: group or others may write it .*run: chmod go-w {spoil}"):
        add_client(NAME, KEY, host, NOW)
    Path(spoil).chmod(0o755)
    os.chown(spoil, 1, 0)
    with pytest.raises(ArchiveError, match=f"{spoil}: belongs to uid 1: .*run: chown root {spoil}"):
        add_client(NAME, KEY, host, NOW)
    assert not ROOT.exists()
    assert users.find(NAME, ROOT) is None


def test_a_directory_that_sshd_could_not_pass_as_the_client_is_named(host: ArchiveConfig) -> None:
    Path("/etc/cya").chmod(0o700)
    with pytest.raises(ArchiveError, match=r"/etc/cya: others may not pass through it.*chmod o\+x /etc/cya"):
        add_client(NAME, KEY, host, NOW)


def test_a_root_that_no_pattern_stands_for_is_refused(host: ArchiveConfig) -> None:
    with pytest.raises(ConfigError, match=f"none of them stands for /srv/cya/{NAME}; add /srv/cya/"):
        add_client(NAME, KEY, config('roots = ["/srv/other/*"]\n'), NOW)


def test_a_root_of_somebody_else_is_left_alone(host: ArchiveConfig) -> None:
    ROOT.parent.mkdir()
    init_archive(ROOT, RootConfig())
    with pytest.raises(ArchiveError, match="is a root of whoever runs the archive; to hand it over, set user"):
        add_client(NAME, KEY, host, NOW)
    with pytest.raises(ArchiveError, match="no client's root"):
        remove_client(NAME, host, NOW, delete_backups=True)
    assert root_config.load(ROOT).user is None
    os.chown(ROOT, 1, 1)
    with pytest.raises(ArchiveError, match="is a root of the user with uid 1"):
        add_client(NAME, KEY, host, NOW)


def test_an_ordinary_user_is_told_to_be_root(as_nobody: None, tmp_path: Path) -> None:
    unused = ArchiveConfig(path=tmp_path, roots=("/srv/cya/*",))
    if os.geteuid() == 0:
        pytest.skip("cannot be an ordinary user here")
    with pytest.raises(ArchiveError, match="run it as root: sudo cya add-client"):
        add_client(NAME, KEY, unused, NOW)
    with pytest.raises(ArchiveError, match="run it as root: sudo cya remove-client"):
        remove_client(NAME, unused, NOW)


def test_a_client_without_backups_goes_without_a_trace(host: ArchiveConfig) -> None:
    before = Path("/etc/passwd").read_text()
    add_client(NAME, KEY, host, NOW)
    gone = remove_client(NAME, host, NOW)
    assert gone == clients.Gone(known=True, kept=None)
    assert not ROOT.exists()
    assert not Path(host.sshd_dir, "keys", NAME).exists()
    assert Path("/etc/passwd").read_text() == before
    assert remove_client(NAME, host, NOW) == clients.Gone(known=False, kept=None)


def test_a_removal_keeps_the_backups_and_what_was_just_finished(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    committed("2026-03-02")
    collect(ROOT, at("2026-03-03T01:00:00"))
    Site(ROOT).upload("2026-03-03T03:30:00")
    user = pwd.getpwnam(NAME)
    for path in Site(ROOT).next.iterdir():
        if path.stat().st_nlink == 1:
            os.chown(path, user.pw_uid, user.pw_gid)
    for _ in range(2):
        gone = remove_client(NAME, host, at("2026-03-03T05:00:00"))
        assert gone == clients.Gone(known=True, kept=ROOT)
        assert len(catalog.read(ROOT).backups) == 2
        assert users.find(NAME, ROOT) is None
    # The root is in order without its user: years later, too, nothing fails and nobody is reminded of it.
    assert collect(ROOT, at("2031-01-01T00:00:00")).error is None
    later = status(ROOT, at("2031-01-01T00:00:00"), parse_age("36h"))
    assert (later.error, later.overdue, later.removed, later.backups) == (None, None, True, 2)
    assert (ROOT / "incoming" / "next").stat().st_uid == 0
    assert remove_client(NAME, host, NOW, delete_backups=True) == clients.Gone(known=True, kept=None)
    assert not ROOT.exists()


def test_a_client_that_comes_back_goes_on_with_its_backups(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    committed("2026-03-02")
    remove_client(NAME, host, NOW)
    for name in ("cyatest-first", "cyatest-second"):  # so that the ids are other ones
        subprocess.run(["useradd", "--system", "--user-group", name], check=True)
    add_client(NAME, KEY, host, NOW)
    user = pwd.getpwnam(NAME)
    served = list((ROOT / "incoming" / "next").iterdir())
    assert served
    for path in served:
        assert (path.stat().st_uid, path.stat().st_gid) == (0, user.pw_gid)
    committed("2026-03-03")
    assert len(catalog.read(ROOT).backups) == 2
    assert not status(ROOT, at("2026-03-03T05:00:00"), parse_age("36h")).removed


def test_what_is_lent_ends_with_its_client(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    committed("2026-03-02")
    now = at("2026-03-02T12:00:00")
    loan = lend(ROOT, now, timedelta(hours=48), now).loan
    assert (ROOT / "outgoing" / loan.name).stat().st_gid == pwd.getpwnam(NAME).pw_gid
    add_client(NAME, KEY, host, now)
    assert (ROOT / "outgoing" / loan.name).exists()
    remove_client(NAME, host, now)
    assert list((ROOT / "outgoing").iterdir()) == []
    assert not (ROOT / "state/loans.json").exists()
    with pytest.raises(ArchiveError, match="its client is removed; restore here: cya restore DEST --from ROOT"):
        lend(ROOT, now, timedelta(hours=48), now)


def test_a_broken_root_keeps_its_backups_but_not_its_client(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    committed()
    (ROOT / "state" / "plan.json").write_text("{")
    with pytest.raises(ArchiveError, match=r"plan\.json: malformed") as caught:
        remove_client(NAME, host, NOW)
    assert "has no access any more" in caught.value.__notes__[0]
    assert not Path(host.sshd_dir, "keys", NAME).exists()
    (ROOT / "state" / "plan.json").unlink()
    assert remove_client(NAME, host, NOW).kept == ROOT
    assert users.find(NAME, ROOT) is None


def cya(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CYA, *words], capture_output=True, text=True, check=False)


def test_the_command_prints_what_the_client_needs(host: ArchiveConfig, tmp_path: Path) -> None:
    host.path.unlink()
    host.path.parent.rmdir()
    key = tmp_path / "key.pub"
    key.write_text(f"{KEY}\n")
    done = cya("add-client", NAME, "--key", str(key), "--host", "archive.example")
    assert done.returncode == 0, done.stderr
    public = " ".join(sshd.host_key(load(Path("/etc/cya/archive.toml"))).split())
    assert f'\n[sftp]\nhost_key = "{public}"\n' in done.stdout
    assert f"(fingerprint of the host key: {sshd.host_fingerprint(load(host.path))})" in done.stdout
    assert f'archive = "sftp://{NAME}@archive.example:2222"' in done.stdout
    init = (
        f" --source / --archive sftp://{NAME}@archive.example:2222 \\\n    --host-key '{public}' --identity-file FILE"
    )
    assert f"cya init --config /etc/cya/{NAME}.toml{init}\n" in done.stdout
    assert "/usr/sbin/sshd -f /etc/cya/sshd/sshd_config" in done.stdout
    again = cya("add-client", NAME, "--key", KEY, "--host", "archive.example")  # the line itself, as cya init says
    assert again.returncode == 0, again.stderr
    assert f"Made {host.path}" in done.stdout
    assert again.stdout == done.stdout.split("\n", 1)[1]
    assert cya("add-client", NAME, "--host", "archive.example").stdout == again.stdout  # the key is there already
    removed = cya("remove-client", NAME)
    assert (removed.returncode, removed.stdout) == (0, f"{NAME} is removed; there are no backups of it.\n")
    assert cya("remove-client", NAME).stdout == f"There is no client {NAME}.\n"


def test_the_command_says_what_is_wrong(host: ArchiveConfig, tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    for words, code, reason in (
        (["add-client", NAME, "--key", str(key)], 2, "there is no such file"),
        (["add-client", NAME], 2, "has no key yet; give its public SSH key with --key"),
        (["add-client", "Web 1", "--key", KEY], 2, "not a name for a client"),
        (["add-client", NAME, "--key", f'command="sh" {KEY}'], 2, "without options"),
        (["add-client", "daemon", "--key", KEY], 1, "there is a user of this name"),
    ):
        done = cya(*words)
        assert (done.returncode, done.stdout) == (code, "")
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_below_the_reserve_a_stolen_key_can_be_replaced_and_a_client_be_removed(host: ArchiveConfig) -> None:
    add_client(NAME, KEY, host, NOW)
    committed()
    settings = ROOT / "cya.toml"
    settings.write_text(re.sub(r"(?m)^reserve = .*", f"reserve = {1 << 50}", settings.read_text()))
    shutil.rmtree(ROOT / "incoming/next")
    new = f"{KEY.rsplit(' ', 1)[0]} another"
    with pytest.raises(ArchiveError, match="reserve"):
        add_client(NAME, new, host, NOW)
    assert "another" in (Path(host.sshd_dir) / "keys" / NAME).read_text()
    assert remove_client(NAME, host, NOW).kept == ROOT
    with pytest.raises(KeyError):
        pwd.getpwnam(NAME)
