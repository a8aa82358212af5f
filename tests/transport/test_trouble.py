"""Whatever is wrong between a client and its archive is said, with the way out; and what cannot pass is not retried."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cya.config.address import SftpAddress
from cya.errors import ArchiveError, ConfigError
from cya.transport import session
from cya.transport.account import Account as Login
from tests.archive.own_machine import free_port
from tests.transport.conftest import Account

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhoq0PaYPrzuGXHg5YWtjYq2nP0hTMTJx3L8hLbbHi"


def look(account: Account, **changes: Any) -> None:
    account.target(**{"give_up_after": 10, **changes}).look()


def refused(account: Account, reason: str, **changes: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(ArchiveError, match=reason) as caught:
        look(account, **changes)
    assert str(caught.value).startswith(f"{account.address}: ")
    assert time.monotonic() - begun < 10, "it is not tried again"


def test_all_is_well(account: Account) -> None:
    look(account)


def test_another_host_key_than_the_pinned_one(account: Account) -> None:
    refused(account, r"another key than host_key in \[sftp\] says: it may be somebody who poses", host_key=OTHER_KEY)


def test_an_unknown_host_key(account: Account, tmp_path: Path) -> None:
    refused(account, "host key is not known here", host_key=None, options=(f"UserKnownHostsFile={tmp_path}/none",))


def test_a_host_key_that_changed_since(account: Account, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"[localhost]:{account.archive.port} {OTHER_KEY}\n")
    refused(
        account,
        "another key than ~/.ssh/known_hosts says",
        host_key=None,
        options=(f"UserKnownHostsFile={tmp_path}/known",),
    )


def test_the_users_known_hosts_count_where_none_is_pinned(account: Account, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"[localhost]:{account.archive.port} {account.archive.host_key}\n")
    look(account, host_key=None, options=(f"UserKnownHostsFile={tmp_path}/known",))


def test_a_key_that_the_archive_does_not_know(account: Account, tmp_path: Path) -> None:
    key = tmp_path / 'it\'s a 100% "other" key'
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    refused(
        account, "does not let .* in with .*other.* key; on the archive host run: cya add-client", identity_file=key
    )
    shutil.copy(account.key, key)
    Path(f"{key}.pub").unlink()  # ssh believes it, if it is there
    look(account, identity_file=key)


def test_a_port_where_nobody_listens(account: Account) -> None:
    account.address = SftpAddress(account.user, "localhost", free_port())
    refused(account, "no connection: .*Connection refused; does the archive's sshd run there", give_up_after=0)


def test_a_name_that_nobody_knows(account: Account) -> None:
    account.address = SftpAddress(account.user, "localhost.invalid", 22)
    refused(account, "no connection: .*resolve hostname.*; is the name right?", give_up_after=0)


def test_ssh_options_that_ssh_does_not_take(account: Account) -> None:
    refused(account, "ssh does not take its settings: .*Bad configuration option: nonsense", options=("Nonsense=yes",))


def test_what_may_pass_is_tried_again_until_patience_ends(account: Account) -> None:
    account.address = SftpAddress(account.user, "127.0.0.1", free_port())
    begun = time.monotonic()
    with pytest.raises(ArchiveError, match="Connection refused") as caught:
        look(account, give_up_after=0.03)
    assert time.monotonic() - begun > 1.8
    assert "given up after 0.03 minutes and" in caught.value.__notes__[0]


def test_a_host_that_answers_nothing_is_given_up(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        account.address = SftpAddress(account.user, "127.0.0.1", silent.getsockname()[1])
        refused(account, "no connection: .*timed out", give_up_after=0, options=("ConnectTimeout=1",))
        monkeypatch.setattr(session, "_SILENCE", 1.0)
        refused(account, "nothing has come or gone", give_up_after=0, options=("ConnectTimeout=60",))


def test_addresses_of_both_kinds_are_reached(account: Account) -> None:
    for host in ("127.0.0.1", "::1"):
        account.address = SftpAddress(account.user, host, account.archive.port)
        look(account)


@pytest.mark.parametrize(("mode", "reason"), [(0o644, "is open to others"), (None, "cannot be read: No such file")])
def test_a_key_file_that_will_not_do(account: Account, mode: int | None, reason: str) -> None:
    if mode is None:
        account.key.unlink()
    else:
        account.key.chmod(mode)
    with pytest.raises(ConfigError, match=rf"sftp\.identity_file: .*{reason}"):
        look(account)


def test_a_users_ssh_config_counts_and_a_pinned_key_holds_whatever_it_says(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "ssh_config"
    config.write_text("Host archive.invalid\n  HostName 127.0.0.1\n  ControlMaster auto\n  ControlPath /nowhere/x\n")
    account.address = SftpAddress(account.user, "archive.invalid", account.archive.port)
    real = Login.command
    monkeypatch.setattr(Login, "command", lambda self: [*(words := real(self))[:4], "-F", str(config), *words[4:]])
    look(account)
    refused(account, "poses", host_key=OTHER_KEY)
