"""A client drills what its archive lends to it, over SFTP."""

from __future__ import annotations

import pytest

from cya.client.drill import PREFIX
from tests.e2e.sftp_host import SftpHost
from tests.e2e.test_loans import archive, client, lent

__all__ = ["archive", "client"]

pytestmark = pytest.mark.slow


def test_what_is_lent_is_drilled_and_what_is_not_lent_is_said(client: SftpHost) -> None:
    words = ("drill", "--config", client.config, "--now", "2026-03-08T03:00:00")
    ran = client.run(*words, status=1)
    assert "lend" in ran.stderr
    lent(client)
    ran = client.run(*words, "--sample", 1000, "--directory", ".")
    assert ran.stdout == ""
    found = client.json(*words, "--sample", 1000, "--directory", ".")["backups"]
    assert found[0]["time"] == "2026-03-08T02:00:00Z"
    assert found[0]["compared"] == len([client.source, *client.source.rglob("*")])
    assert all(each["well"] for each in found)
    assert not [*client.cache.glob(f"{PREFIX}*")]
