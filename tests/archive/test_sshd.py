"""The archive's sshd, a real one: a client uploads with its key, and can do nothing else."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cya import catalog
from cya.archive import sshd, users
from cya.archive.clients import add_client, remove_client
from cya.archive.collect import collect
from cya.config.archive import ArchiveConfig, load, standard
from cya.errors import UsageError
from tests.archive.conftest import Site, at
from tests.archive.own_machine import Client, free_port, own_machine, running_sshd

NOW = "2026-03-02T03:00:00"
ONE, TWO = "cyatest-one", "cyatest-two"


class Host:
    """An archive host with two clients, the first of which has a committed backup."""

    def __init__(self, scratch: Path) -> None:
        file = Path("/etc/cya/archive.toml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'roots = ["/srv/cya/*"]\nsshd_port = {free_port()}\n')
        self.config: ArchiveConfig = load(file)
        self.scratch = scratch
        self.one, self.two = (Client(scratch / name, name, self.config.sshd_port) for name in (ONE, TWO))
        for client in (self.one, self.two):
            add_client(client.user, client.public_key, self.config, at(NOW))
            client.known_hosts.write_text(sshd.known_hosts_line(self.config, "localhost") + "\n")
        self.root = Path("/srv/cya") / ONE

    def made(self, moment: str) -> list[Path]:
        """Make an increment and its marker, as a client does on its own machine."""
        area = self.scratch / f"made-{moment}"
        (area / "incoming" / "next").mkdir(parents=True)
        for name in os.listdir(self.root / "incoming" / "next"):
            (area / "incoming" / "next" / name).touch()
        names = Site(area).upload(moment)
        return [area / "incoming" / "next" / name for name in [*names, "FINISHED"]]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    scratch = tmp_path_factory.mktemp("archive-host")
    with own_machine(scratch):
        made = Host(scratch)
        with running_sshd(made.config, scratch / "sshd.log"):
            assert upload(made, NOW).returncode == 0
            assert len(collect(made.root, at("2026-03-02T04:00:00")).committed) == 1
            yield made


def upload(host: Host, moment: str) -> subprocess.CompletedProcess[str]:
    *files, marker = host.made(moment)
    puts = [f"put {file} /incoming/next/" for file in files]
    last = [f"put {marker} /incoming/next/FINISHED.new", "rename /incoming/next/FINISHED.new /incoming/next/FINISHED"]
    return host.one.sftp(*puts, *last)


def test_an_upload_with_the_clients_key_is_committed_and_continued(host: Host) -> None:
    for day in ("2026-03-03", "2026-03-04"):
        done = upload(host, f"{day}T03:00:00")
        assert done.returncode == 0, done.stderr
        collected = collect(host.root, at(f"{day}T04:00:00"))
        assert collected.refused == []
        assert [increment.is_full for increment in collected.committed] == [False]
    assert all(backup.chain for backup in catalog.read(host.root).backups)


def test_what_is_served_can_be_read(host: Host, tmp_path: Path) -> None:
    served = sorted(os.listdir(host.root / "incoming" / "next"))
    done = host.one.sftp(f"get /incoming/next/* {tmp_path}")
    assert done.returncode == 0, done.stderr
    assert served
    assert sorted(os.listdir(tmp_path)) == served


def test_sshd_takes_the_config_and_its_effective_settings_are_the_strict_ones(host: Host) -> None:
    command = ["/usr/sbin/sshd", "-T", "-f", f"{host.config.sshd_dir}/sshd_config", "-C", "user=x,host=h,addr=1.2.3.4"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in (
        "permitrootlogin no",
        "authenticationmethods publickey",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "disableforwarding yes",
        "permittty no",
        "chrootdirectory %h",
        f"allowgroups {users.GROUP}",
        f"authorizedkeysfile {host.config.sshd_dir}/keys/%u",
    ):
        assert line in text
    assert [line for line in text if line.startswith("hostkey ")] == [f"hostkey {host.config.sshd_dir}/{sshd.HOST_KEY}"]


@pytest.mark.parametrize(
    "words", [["localhost", "id"], ["localhost", "/bin/sh"], ["-tt", "localhost"], ["-s", "localhost", "shell"]]
)
def test_there_is_no_shell_and_no_command(host: Host, words: list[str]) -> None:
    done = host.one.ssh(*words)
    assert done.stdout.strip() in ("", "This service allows sftp connections only.")
    assert "uid=" not in done.stderr
    if "-tt" in words:
        assert "PTY allocation request failed" in done.stderr


def test_it_does_not_leave_its_root(host: Host) -> None:
    (host.root / "outgoing" / "way-out").symlink_to("/etc/passwd")
    done = host.one.sftp("ls -1 /", "cd ..", "cd ../../..", "ls -1 /", "pwd")
    assert done.returncode == 0, done.stderr
    listed = [line.split()[-1].strip("/") for line in done.stdout.splitlines() if not line.startswith("sftp>")]
    assert set(listed) == {"backups", "cya.toml", "incoming", "outgoing", "state", ""}
    for path in ("/etc/passwd", "/../../etc/passwd", "/outgoing/way-out", f"/srv/cya/{TWO}/cya.toml"):
        assert host.one.sftp(f"get {path} {host.scratch}/stolen").returncode != 0
    (host.root / "outgoing" / "way-out").unlink()


def test_it_neither_lists_nor_reads_what_is_committed(host: Host) -> None:
    committed = next(path for path in (host.root / "backups").rglob("*.gpg"))
    inner = committed.relative_to(host.root)
    for line in ("ls /backups", "ls /state", f"get /{inner} {host.scratch}/stolen", f"rm /{inner}", "ls /state/ledger"):
        done = host.one.sftp(line)
        assert done.returncode != 0, line
        assert "denied" in done.stderr.lower() or "not found" in done.stderr.lower(), done.stderr
    assert committed.exists()


@pytest.mark.parametrize(
    "line",
    [
        "put {file} /new",
        "put {file} /incoming/new",
        "put {file} /outgoing/new",
        "put {file} /state/new",
        "put {file} /backups/new",
        "put {file} /cya.toml",
        "mkdir /incoming/next/sub",
        "mkdir /sub",
        "rmdir /incoming/next",
        "rename /incoming/next /incoming/finished",
        "rename /incoming/next /outgoing/next",
        "rename /outgoing /gone",
        "ln -s /etc/passwd /incoming/next/link",
        "ln /cya.toml /incoming/next/link",
        "ln /incoming/next/{served} /incoming/next/link",
        "chmod 777 /incoming/next",
        "chmod 666 /incoming/next/{served}",
        "chown 0 /incoming/next/{served}",
        "chgrp 0 /incoming/next/{served}",
        "chmod 777 /",
        "cp /cya.toml /incoming/next/copy",
        "rm /cya.toml",
    ],
)
def test_it_writes_into_next_and_nowhere_else(host: Host, line: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    served = sorted(os.listdir(host.root / "incoming" / "next"))
    before = Site(host.root).listing()
    done = host.one.sftp(line.format(file=file, served=served[0]))
    assert done.returncode != 0, line
    assert Site(host.root).listing() == before


def test_it_cannot_write_into_a_committed_file_that_is_served(host: Host, tmp_path: Path) -> None:
    served = next((host.root / "incoming" / "next").iterdir())
    before = served.read_bytes()
    (tmp_path / "forged").write_text("forged")
    for verb in ("put", "put -a"):
        assert host.one.sftp(f"{verb} {tmp_path}/forged /incoming/next/{served.name}").returncode != 0
    assert served.read_bytes() == before
    assert served.stat().st_mode & 0o7777 == 0o440


def test_new_files_are_nobody_elses_to_read(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o777)
    try:
        # -p sets the mode afterwards
        assert "fsetstat: Permission denied" in host.one.sftp(f"put -p {file} /incoming/next/a").stderr
        assert host.one.sftp(f"put {file} /incoming/next/b").returncode == 0
        for name in ("a", "b"):
            assert (host.root / "incoming" / "next" / name).stat().st_mode & 0o077 == 0
    finally:
        host.one.sftp("-rm /incoming/next/a", "-rm /incoming/next/b")


@pytest.mark.parametrize("how", ["-L", "-R", "-D", "-W"])
def test_nothing_is_forwarded(host: Host, how: str) -> None:
    port = free_port()
    here = host.config.sshd_port
    if how == "-W":
        done = host.one.ssh("-W", f"127.0.0.1:{here}", "localhost")
        assert "SSH-" not in done.stdout
        assert done.returncode != 0
        return
    if how == "-R":
        done = host.one.ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{port}:127.0.0.1:{here}", "localhost")
        assert done.returncode != 0
        assert "forwarding failed" in done.stderr
        return
    target = [f"{port}:127.0.0.1:{here}"] if how == "-L" else [str(port)]
    words = [*host.one.options(), "-N", "-p", str(here), "-l", ONE, how, *target, "localhost"]
    with subprocess.Popen(["ssh", *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert received_through(port, here if how == "-D" else None) == b""
        finally:
            process.kill()


def received_through(port: int, socks_target: int | None) -> bytes:
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                if socks_target is not None:
                    connection.sendall(b"\x04\x01" + socks_target.to_bytes(2) + b"\x7f\0\0\1\0")
                received = b""
                with suppress(ConnectionResetError):
                    while len(received) < 12 and (data := connection.recv(64)):
                        received += data
                return received if socks_target is None else received[8:]  # behind the proxy's own answer
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail("ssh does not listen")


def test_a_client_does_not_log_in_as_another_nor_with_a_key_that_nobody_knows(host: Host) -> None:
    assert host.two.sftp("ls /").returncode == 0
    stranger = Client(host.scratch / "stranger", ONE, host.config.sshd_port)
    for key in (host.two.key, stranger.key):
        done = host.one.sftp("ls /", key=key)
        assert done.returncode != 0
        assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "hostbased", "none"])
def test_only_keys_are_asked_for(host: Host, method: str) -> None:
    done = host.one.ssh("-o", f"PreferredAuthentications={method}", "-o", "BatchMode=no", "localhost")
    assert done.returncode != 0
    assert "Permission denied (publickey)" in done.stderr


def test_other_users_of_the_machine_do_not_get_in_even_with_a_key_file(host: Host) -> None:
    for name in ("root", "nobody"):
        keys = Path(host.config.sshd_dir, sshd.KEYS, name)
        keys.write_text(host.one.public_key)
        try:
            other = Client(host.scratch / f"as-{name}", name, host.config.sshd_port)
            other.known_hosts = host.one.known_hosts
            assert "Permission denied" in other.sftp("ls /", key=host.one.key).stderr
        finally:
            keys.unlink()


def test_without_the_group_nobody_gets_in(host: Host) -> None:
    file = Path("/etc/group")
    before = file.read_text()
    file.write_text("".join(line for line in before.splitlines(True) if not line.startswith(f"{users.GROUP}:")))
    try:
        assert "Permission denied" in host.one.sftp("ls /").stderr
    finally:
        file.write_text(before)
    assert host.one.sftp("ls /").returncode == 0


def test_a_client_that_is_removed_is_thrown_out_and_refused(host: Host) -> None:
    name = "cyatest-gone"
    client = Client(host.scratch / name, name, host.config.sshd_port)
    client.known_hosts = host.one.known_hosts
    add_client(name, client.public_key, host.config, at(NOW))
    words = ["sftp", *client.options(), "-P", str(client.port), f"{name}@localhost"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(b"ls -1 /\n")
        session.stdin.flush()
        while b"incoming" not in session.stdout.readline():
            assert session.poll() is None
        uid = str(pwd.getpwnam(name).pw_uid)
        assert processes_of(uid)
        remove_client(name, host.config, at(NOW))
        assert not processes_of(uid)
        session.communicate(b"ls -1 /\n", timeout=20)
        assert session.returncode != 0
    assert "Permission denied" in client.sftp("ls /").stderr


def processes_of(uid: str) -> str:
    return subprocess.run(
        ["pgrep", "--runstates", "RSD", "--uid", uid], capture_output=True, text=True, check=False
    ).stdout


def test_a_second_key_takes_the_place_of_the_first(host: Host) -> None:
    first = host.two
    second = Client(host.scratch / "second", TWO, host.config.sshd_port)
    second.known_hosts = first.known_hosts
    add_client(TWO, second.public_key, host.config, at(NOW))
    try:
        assert second.sftp("ls /").returncode == 0
        assert "Permission denied" in first.sftp("ls /").stderr
    finally:
        add_client(TWO, first.public_key, host.config, at(NOW))


def test_the_unit_names_the_config_and_leaves_few_powers(host: Host) -> None:
    text = Path(host.config.sshd_dir, sshd.UNIT).read_text()
    assert f"sshd -D -f {host.config.sshd_dir}/sshd_config" in text
    assert (
        "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SYS_CHROOT CAP_KILL CAP_NET_BIND_SERVICE CAP_AUDIT_WRITE\n"
        in text
    )
    assert f"ReadWritePaths={host.config.base} /run\n" in text


def test_systemd_takes_the_unit(host: Host) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("not installed: systemd-analyze")
    unit = f"{host.config.sshd_dir}/{sshd.UNIT}"
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if sshd.UNIT in line], done.stderr


def test_the_systems_sshd_config_is_not_touched(host: Host) -> None:
    theirs = Path("/etc/ssh")
    assert not [path for path in theirs.rglob("*") if path.is_file() and b"cya" in path.read_bytes()]
    assert not list(Path("/etc/systemd").rglob("*cya*"))


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhoq0PaYPrzuGXHg5YWtjYq2nP0hTMTJx3L8hLbbHi"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "found 0 lines"),
        (f"{KEY}\n{KEY}\n", "found 2 lines"),
        (f"no-pty {KEY}", "without options before it"),
        (f'command="/bin/sh" {KEY}', "without options before it"),
        ("ssh-dss AAAAB3NzaC1kc3M= old", "expected a public key such as"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "expected a public key such as"),
        ("cert-authority " + KEY, "without options before it"),
        (KEY[:50], "does not take this"),
        ("ssh-ed25519", "does not take this"),
        (f"{KEY} na\x1b[2Jme", "cannot be printed"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "private key, which must stay on the client"),
    ],
)
def test_what_is_not_one_plain_public_key_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        sshd.public_key(text)


def test_a_weak_rsa_key_is_refused_and_a_good_key_is_taken_as_it_is(tmp_path: Path) -> None:
    for bits in (1024, 2048):
        file = tmp_path / str(bits)
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", str(bits), "-N", "", "-f", file], check=True)
    with pytest.raises(UsageError, match="1024 bits is too weak"):
        sshd.public_key((tmp_path / "1024.pub").read_text())
    good = (tmp_path / "2048.pub").read_text()
    assert sshd.public_key(f"\n{good}\n") == good.strip()
    assert sshd.public_key(f"{KEY}  root@web1\n") == f"{KEY} root@web1"


def test_the_config_that_is_made_is_one_that_loads(tmp_path: Path) -> None:
    file = tmp_path / "archive.toml"
    file.write_bytes(standard())
    loaded = load(file)
    assert (loaded.roots, loaded.base, loaded.sshd_port) == (("/srv/cya/*",), "/srv/cya", 2222)
