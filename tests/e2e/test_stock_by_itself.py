"""A client without cya: the script of docs/archive-host.md, run by stock duplicity with its own sftp back end."""

from __future__ import annotations

import re
import subprocess
import textwrap
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cya.archive.collect import Collected, collect
from cya.config import root as root_config
from tests import stock
from tests.e2e.conftest import picture
from tests.e2e.sftp_host import USER, SftpHost, archive_host

TEXT = (Path(__file__).parents[2] / "docs/archive-host.md").read_text()
needs_pexpect = pytest.mark.skipif(
    subprocess.run(["/usr/bin/python3", "-c", "import pexpect"], capture_output=True, check=False).returncode != 0,
    reason="python3-pexpect is missing",
)


def script(client: SftpHost) -> Path:
    """The script as it stands there, but for the names of this test's client and host."""
    (block,) = re.findall(r"^    #!/bin/sh -eu\n(?:    .*\n|\n(?=    ))+", TEXT, re.MULTILINE)
    text = textwrap.dedent(block)
    for word, ours in (
        ("web1@archive.example", f"{client.user}@localhost"),
        ("2222", str(client.archive.port)),
        ("/root/.ssh/web1", str(client.config.with_suffix(".key"))),
        (" / ", f" {client.source} "),
        ("-oBatchMode=yes", f"-oBatchMode=yes -oUserKnownHostsFile={client.place}/known_hosts"),
    ):
        assert word in text, word
        text = text.replace(word, ours)
    (client.place / "known_hosts").write_text(f"[localhost]:{client.archive.port} {client.archive.host_key}\n")
    path = client.place / "backup.sh"
    path.write_text(text)
    return path


def run(client: SftpHost, program: Path) -> subprocess.CompletedProcess[str]:
    environment = {**client.environment, "PASSPHRASE": "some words", "HOME": str(client.place)}
    return subprocess.run(["sh", "-eu", program], env=environment, capture_output=True, text=True, check=False)


def collected(client: SftpHost) -> Collected:
    return collect(client.root, datetime.now(UTC))


@needs_pexpect
def test_stock_duplicity_uploads_by_its_own_sftp_back_end_and_hands_over_by_renaming(tmp_path: Path) -> None:
    with archive_host(tmp_path) as archive, closing(SftpHost(tmp_path, stock.program("0.8"), archive, USER)) as client:
        client.set_up()
        settings = root_config.load(client.root)
        text = root_config.dump(msgspec.structs.replace(settings, handover="rename"))
        (client.root / "cya.toml").write_bytes(text)
        subprocess.run(["chown", client.user, client.root / "incoming"], check=True)
        program = script(client)
        for number in range(2):
            (client.source / f"file {number}").write_text(f"day {number}")
            done = run(client, program)
            assert done.returncode == 0, done.stdout + done.stderr
            after = collected(client)
            assert [increment.is_full for increment in after.committed] == [number == 0], after
            time.sleep(1.1)  # duplicity's times have steps of one second
        (client.next / "duplicity-full.20200101T000000Z.vol1.difftar.gpg").write_text("broken off")
        done = run(client, program)
        assert done.returncode == 1
        assert "broken off" in done.stderr
        files = max(client.root.glob("backups/*/*/*/*/*/files"))
        client.config.with_suffix(".passphrase").write_text("some words\n")
        client.stock_restore(files, tmp_path / "out")
        assert picture(tmp_path / "out") == picture(client.source)
