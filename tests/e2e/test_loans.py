"""A client restores what its archive lends to it, over SFTP: a real sshd, real sftp, real backups."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cya.archive.lend import lend
from cya.archive.return_loan import return_loan
from tests import stock
from tests.archive.conftest import at
from tests.e2e import days
from tests.e2e.conftest import picture
from tests.e2e.routed import routed
from tests.e2e.sftp_host import USER, ArchiveHost, SftpHost, archive_host, end_sessions, until

pytestmark = pytest.mark.slow
TWO_DAYS = timedelta(days=2)
LAST = "2026-03-08T03:00:00"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveHost]:
    with archive_host(tmp_path_factory.mktemp("archive-host")) as made:
        yield made


@pytest.fixture
def client(archive: ArchiveHost, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SftpHost]:
    version, engine = stock.MAKERS[getattr(request, "param", "native")]
    made = SftpHost(tmp_path, stock.program(version), archive, f"{USER}-{os.urandom(3).hex()}", engine)
    live(made)
    yield made
    made.close()
    archive.forget(made.user)


def live(client: SftpHost, host: str = "localhost") -> None:
    """Back three days up; the last one is a Sunday, and begins a week."""
    days.begin(client.source)
    (client.source / "data").write_bytes(random.Random(3).randbytes(3 << 20))
    client.set_up("volume_size = 1\n", host=host)
    for number, day in enumerate(("2026-03-05", "2026-03-06", "2026-03-08")):
        days.live(client.source, number)
        client.was[day] = picture(client.source)
        client.collect(f"{day}T01:00:00")  # a new week is prepared for
        client.backup(f"{day}T02:00:00")
        client.collect(f"{day}T03:00:00")


def lent(client: SftpHost, time: str = LAST, now: str = LAST, length: timedelta = TWO_DAYS) -> str:
    return lend(client.root, at(time), length, at(now)).loan.name


@pytest.mark.parametrize("client", list(stock.MAKERS), indirect=True)
def test_a_loan_is_found_by_itself_and_restored_and_nothing_of_it_stays(client: SftpHost) -> None:
    lent(client)
    assert picture(client.restore("newest")) == client.was["2026-03-08"]
    assert picture(client.restore("older", "--time", "2026-03-05")) == client.was["2026-03-05"], (
        "the loan holds it, too"
    )
    assert [path for path in (client.cache / "sftp").iterdir() if path.name.startswith("lent-")] == []


def test_without_a_loan_it_says_what_the_administrator_has_to_run(client: SftpHost) -> None:
    for word in ("restore", "lend"):
        said = client.run("restore", client.place / word, "--config", client.config, status=1).stderr
        assert f"cya lend {client.user}" in said
    lent(client, "2026-03-06T12:00:00")
    said = client.run("restore", client.place / "x", "--config", client.config, "--time", "2026-03-01", status=1).stderr
    assert "no backup from 2026-03-01" in said
    assert "the first is 2026-03-05" in said


def test_only_the_volumes_that_are_needed_are_fetched(client: SftpHost) -> None:
    name = lent(client)
    loan = client.root / "outgoing" / name
    volumes = sorted(path.name for path in loan.iterdir() if ".difftar" in path.name)
    assert len(volumes) > 4
    for path in loan.iterdir():  # another name of what is committed: told by what has been read of it
        os.utime(path, (0, path.stat().st_mtime))
    client.restore("one", "--path", "etc/passwd")
    fetched = [path.name for path in loan.iterdir() if ".difftar" in path.name and path.stat().st_atime > 0]
    assert 1 <= len(fetched) < len(volumes)


def test_what_is_over_or_taken_back_can_be_restored_no_more(client: SftpHost) -> None:
    lent(client, length=timedelta(hours=1))
    assert picture(client.restore("in-time")) == client.was["2026-03-08"]
    client.collect("2026-03-08T05:00:00")
    client.restore("too-late", status=1)
    lent(client, now="2026-03-08T06:00:00")
    client.restore("again")
    return_loan(client.root, at("2026-03-08T06:30:00"))
    client.restore("returned", status=1)


def test_a_client_in_a_network_of_its_own_restores_until_it_is_over_and_changes_nothing(
    archive: ArchiveHost, tmp_path: Path
) -> None:
    client = SftpHost(tmp_path, stock.program("3"), archive, f"{USER}-{os.urandom(3).hex()}")
    try:
        with routed(archive) as (on_the_client, address):
            client.wrapper = on_the_client
            live(client, address)
            name = lent(client, length=timedelta(hours=1))
            assert picture(client.restore("newest")) == client.was["2026-03-08"]
            loan = client.root / "outgoing" / name
            before = contents(loan)
            file = min(before)
            tries = [
                f"put /etc/hostname {file}",
                "put /etc/hostname new",
                f"rm {file}",
                f"rename {file} /incoming/next/x",
            ]
            tries += ["mkdir more", f"rmdir /outgoing/{name}", f"chmod 777 {file}", f"ln {file} /incoming/next/kept"]
            tries += [f"rename /outgoing/{name} /outgoing/20290101T000000Z", "put /etc/hostname LOAN.json"]
            assert refused(client, address, name, tries) == len(tries)
            assert contents(loan) == before
            assert not [path for path in client.next.iterdir() if path.name in ("x", "kept")]
            client.collect("2026-03-08T05:00:00")
            client.restore("over", status=1)
            lent(client, now="2026-03-08T06:00:00")
            return_loan(client.root, at("2026-03-08T06:30:00"))
            client.restore("taken-back", status=1)
    finally:
        client.close()
        archive.forget(client.user)


def contents(loan: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in loan.iterdir()}


def refused(client: SftpHost, address: str, loan: str, tries: list[str]) -> int:
    """Try things with plain sftp, from the client's network; return how many were not done."""
    command = [
        *client.wrapper,
        "sftp",
        "-b",
        "-",
        "-P",
        str(client.archive.port),
        "-i",
        str(client.config.with_suffix(".key")),
    ]
    command += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", f"{client.user}@{address}"]
    count = 0
    for each in tries:
        batch = f"cd /outgoing/{loan}\n{each}\n"
        count += subprocess.run(command, input=batch, text=True, capture_output=True, check=False).returncode == 1
    return count


def test_the_list_tells_what_is_lent_and_with_an_index_all_that_there_is(client: SftpHost) -> None:
    lent(client, "2026-03-06T12:00:00")
    found = client.json("list", "--config", client.config)
    assert [(each["time"], each["kind"], each["lent_until"]) for each in found] == [
        ("2026-03-05T02:00:00Z", "full", "2026-03-10T03:00:00Z"),
        ("2026-03-06T02:00:00Z", "inc", "2026-03-10T03:00:00Z"),
        ("2026-03-08T02:00:00Z", "inc", None),
    ]
    settings = client.root / "cya.toml"
    settings.write_text(settings.read_text().replace("index = false", "index = true"))
    client.collect("2026-03-08T04:00:00")
    found = client.json("list", "--config", client.config)
    assert [(each["time"][:10], each["chain_length"], bool(each["lent_until"])) for each in found] == [
        ("2026-03-05", 1, True),
        ("2026-03-06", 2, True),
        ("2026-03-08", 2, False),
    ]
    assert found[0]["levels"][0] == "week"
    text = client.run("list", "--config", client.config).stdout
    assert "2026-03-10T03:00:00+00:00" in text
    assert "index = true" not in text


def test_what_is_lent_is_looked_into_together_with_what_the_engine_knows(client: SftpHost) -> None:
    before = client.run("files", "--config", client.config, "--time", "2026-03-06", status=None)
    assert "lends nothing now" in before.stderr
    lent(client, "2026-03-06T12:00:00")
    listed = client.json("files", "--config", client.config, "--time", "2026-03-06")
    assert {each["path"] for each in listed} == set(client.was["2026-03-06"])
    client.run("diff", "2026-03-05", "2026-03-08", "--config", client.config)
    address = f"sftp://{client.user}@localhost:{client.archive.port}"
    words = ("files", "--config", client.config, "--from", address, "--time", "2026-03-08")
    assert max(each["backup"] for each in client.json(*words))[:10] == "2026-03-06", "only what is lent counts"


def test_with_the_archive_out_of_reach_the_cache_is_looked_into(client: SftpHost) -> None:
    text = client.config.read_text()
    client.config.write_text(text.replace(f":{client.archive.port}", ":1"))
    ran = client.run("files", "--config", client.config)
    assert "etc/passwd" in ran.stdout
    assert "as the engine keeps it here" in ran.stderr


def restoring_slowly(client: SftpHost) -> subprocess.Popen[str]:
    """Begin to restore a loan over a slow line; return when the second volume is on its way."""
    (client.source / "more").write_bytes(random.Random(4).randbytes(6 << 20))
    client.backup("2026-03-09T02:00:00")
    assert client.collect("2026-03-09T03:00:00").committed
    lent(client, "2026-03-09T12:00:00", "2026-03-09T12:00:00")
    text = client.config.read_text()
    client.config.write_text(text.replace("[sftp]\n", "[sftp]\nrate_limit = 3000\n"))
    running = client.run_in_background("restore", client.place / "there", "--config", client.config)
    until(lambda: list((client.cache / "sftp").glob("lent-*/*.vol2.*")), running)
    client.config.write_text(text)
    return running


def test_a_connection_that_breaks_costs_what_was_on_its_way(client: SftpHost) -> None:
    running = restoring_slowly(client)
    assert end_sessions(client.user)
    client.ended(running)
    assert picture(client.place / "there") == picture(client.source)


def test_a_loan_that_is_taken_back_in_the_middle_is_told_and_can_be_gone_on_with(client: SftpHost) -> None:
    running = restoring_slowly(client)
    return_loan(client.root, at("2026-03-09T12:30:00"))
    said = client.ended(running, status=1)
    assert "the loan is there no more" in said
    assert "--resume" in said
    lent(client, "2026-03-09T12:00:00", "2026-03-09T13:00:00")
    client.run("restore", client.place / "there", "--config", client.config, "--resume")
    assert picture(client.place / "there") == picture(client.source)


def test_a_new_machine_is_restored_from_nothing_but_the_sheet(archive: ArchiveHost, tmp_path: Path) -> None:
    """The steps of the recovery sheet, one by one: a new key, the passphrase typed in, a loan."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old = SftpHost(tmp_path / "old", stock.program("3"), archive, f"{USER}-{os.urandom(3).hex()}")
    try:
        live(old)
        sheet = old.sheet
        passphrase = next(line.split()[-1] for line in sheet.splitlines() if line.startswith("  passphrase"))
        address = next(line.split()[-1] for line in sheet.splitlines() if line.startswith("  archive"))
        shutil.rmtree(old.place / "source")
        new = SftpHost(tmp_path / "new", stock.program("3"), archive, old.user)
        typed = new.place / "typed"
        typed.write_text(f"{passphrase}\n")
        typed.chmod(0o600)
        words = ("--source", new.source, "--archive", address, "--passphrase-file", typed)
        said = new.run("init", "--config", new.config, *words).stdout
        assert f"cya add-client {old.user}" in said
        archive.take_in(old.user, new.config.with_suffix(".key.pub").read_text(), LAST)
        lent(old)
        text = new.config.read_text().replace("[sftp]", f'[sftp]\nhost_key = "{archive.host_key}"')
        new.config.write_text(f'cache_dir = "{new.cache}"\n{text}')
        new.run("restore", "--config", new.config, "--in-place", "--overwrite")
        assert picture(new.source) == old.was["2026-03-08"]
        days.live(new.source, 9)
        new.backup("2026-03-09T02:00:00")
        done = old.collect("2026-03-09T03:00:00")
        assert len(done.committed) == 1, "and the backups go on where they were"
        assert old.list()[-1]["kind"] == "inc"
    finally:
        old.close()
        archive.forget(old.user)
