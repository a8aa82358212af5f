"""The main job over SFTP: a real sshd, real sftp, real duplicity of both versions."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import stock
from tests.e2e import days
from tests.e2e.conftest import picture
from tests.e2e.routed import forward, routed
from tests.e2e.sftp_host import USER, ArchiveHost, SftpHost, archive_host, end_sessions, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveHost]:
    with archive_host(tmp_path_factory.mktemp("archive-host")) as made:
        yield made


@pytest.fixture
def client(archive: ArchiveHost, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SftpHost]:
    version, engine = stock.MAKERS[getattr(request, "param", "native")]
    made = SftpHost(tmp_path, stock.program(version), archive, f"{USER}-{os.urandom(3).hex()}", engine)
    yield made
    made.close()
    archive.forget(made.user)


def fill(place: Path, mebibytes: int) -> None:
    (place / "data").write_bytes(random.Random(mebibytes).randbytes(mebibytes << 20))


@pytest.mark.parametrize("client", list(stock.MAKERS), indirect=True)
def test_every_day_is_restored_by_stock_duplicity_alone(client: SftpHost) -> None:
    days.begin(client.source)
    fill(client.source, 3)
    client.set_up("volume_size = 1\n")
    for number, day in enumerate(("2026-03-05", "2026-03-06", "2026-03-08")):  # the last is a Sunday: a new week
        days.live(client.source, number)
        client.collect(f"{day}T01:00:00")
        client.was[day] = picture(client.source)
        served = set(os.listdir(client.next))
        done = client.json("backup", "--config", client.config, "--now", f"{day}T02:00:00")
        assert done["kind"] == ("inc" if number else "full")
        assert done["files"] == len(set(os.listdir(client.next)) - served - {"FINISHED"})
        assert done["bytes"] > (3 << 20 if number == 0 else 1000)
        assert client.backup(f"{day}T02:30:00", status=11).stderr.count("has not collected the last upload yet") == 1
        assert len(client.collect(f"{day}T03:00:00").committed) == 1
        assert not client.collect(f"{day}T03:01:00").refused
    assert [backup["kind"] for backup in client.list()] == ["full", "inc", "inc"]
    for day, week in (("2026-03-06", "2026-03-01"), ("2026-03-08", "2026-03-08")):
        files = client.root / "backups/2000/2020/2026/2026-03" / week / "files"
        restored = client.place / f"restored-{day}"
        client.stock_restore(files, restored, "--time", f"{day}T02:00:00+00:00")
        assert picture(restored) == client.was[day]


def whole(client: SftpHost, moment: str) -> None:
    """Commit what was uploaded, and compare it with the source."""
    collected = client.collect(moment)
    assert (len(collected.committed), collected.refused) == (1, [])
    restored = client.place / f"restored-{moment[:13]}"
    client.run("restore", restored, "--config", client.config, "--from", client.root)
    assert picture(restored) == picture(client.source)


def nothing_committed(client: SftpHost) -> bool:
    return not list((client.root / "backups").rglob("*.gpg"))


@pytest.mark.parametrize("client", ["3", "native"], indirect=True)
def test_the_engine_waits_when_two_finished_volumes_wait(client: SftpHost) -> None:
    fill(client.source, 12)
    client.set_up("volume_size = 2\n", "rate_limit = 4000\n")
    begun, most, halted = time.monotonic(), 0, False
    running = client.start("2026-03-05T02:00:00")
    while running.poll() is None:
        volumes = {name for place in (client.mirror, client.spool) if place.exists() for name in os.listdir(place)}
        most = max(most, len({name for name in volumes if ".difftar" in name}))
        halted |= halted_child(running.pid) > 0
        time.sleep(0.01)
    client.ended(running)
    assert halted == (client.engine == "duplicity")
    assert most <= 3, "two that wait, and one that was being made"
    assert time.monotonic() - begun > 12 * 1024 / 4000, "the rate limit holds"
    assert not os.listdir(client.spool)
    assert not [name for name in os.listdir(client.mirror) if ".difftar" in name]
    whole(client, "2026-03-05T03:00:00")


def halted_child(pid: int) -> int:
    """Return the child of a process that is stopped; 0: there is none."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if (state, int(parent)) == ("T", pid):
            return int(file.parent.name)
    return 0


def session_of(leader: int) -> list[int]:
    """Return the processes of a session: an engine with its gpg."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(file.read_text().rpartition(")")[2].split()[3]) == leader:
                found.append(int(file.parent.name))
    return found


def test_the_marker_comes_last_and_the_volumes_first(client: SftpHost) -> None:
    fill(client.source, 3)
    client.set_up("volume_size = 1\n")
    client.backup("2026-03-05T02:00:00")
    arrived = sorted(client.next.iterdir(), key=lambda path: path.stat().st_ctime_ns)  # of its renaming
    kinds = [path.name.split(".")[-2] if path.suffix == ".gpg" else path.name for path in arrived]
    assert kinds == [*["difftar"] * (len(kinds) - 3), "sigtar", "manifest", "FINISHED"]


def test_a_connection_that_breaks_in_a_volume_costs_that_volume_only(client: SftpHost) -> None:
    fill(client.source, 8)
    client.set_up("volume_size = 2\n", "rate_limit = 2000\n")
    running = client.start("2026-03-05T02:00:00")
    for count in (0, 2):
        until(lambda count=count: len(client.uploaded()) >= count and client.parts(), running)  # type: ignore[misc]
        before = {name: (client.next / name).stat().st_ino for name in client.uploaded()}
        assert end_sessions(client.user)
    client.ended(running)
    assert {name: (client.next / name).stat().st_ino for name in before} == before, "what had arrived is not sent again"
    whole(client, "2026-03-05T03:00:00")


def test_an_archive_host_that_is_started_again_in_the_middle_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    (tmp_path / "client").mkdir()
    with archive_host(tmp_path / "machine", started=False) as archive:
        client = SftpHost(tmp_path / "client", stock.program("3"), archive, f"{USER}-again")
        try:
            fill(client.source, 6)
            with archive.sshd():
                client.set_up("volume_size = 2\n", "rate_limit = 3000\n")
                running = client.start("2026-03-05T02:00:00")
                until(lambda: client.uploaded() and client.parts(), running)
            time.sleep(1)  # refused meanwhile
            with archive.sshd():
                client.ended(running)
                whole(client, "2026-03-05T03:00:00")
                client.config.write_text(client.config.read_text().replace("[sftp]", "[sftp]\ngive_up_after = 0.05"))
                fill(client.source, 5)
                running = client.start("2026-03-06T02:00:00")
                until(lambda: client.uploaded() and client.parts(), running)
            said = client.ended(running, status=1)  # never came back
            assert f"sftp://{client.user}@localhost:{archive.port}: no connection:" in said
            assert "given up after 0.05 minutes" in said
            assert client.collect("2026-03-06T03:00:00").committed == []
            with archive.sshd():
                fill(client.source, 4)
                client.backup("2026-03-07T02:00:00")
                whole(client, "2026-03-07T03:00:00")
        finally:
            client.close()


@pytest.mark.parametrize("client", list(stock.MAKERS), indirect=True)
def test_a_client_that_is_killed_starts_over_and_never_mixes(client: SftpHost) -> None:
    fill(client.source, 6)
    client.set_up("volume_size = 1\n", "rate_limit = 1500\n")
    running = client.start("2026-03-05T02:00:00")
    engine = 0

    def halted() -> bool:
        nonlocal engine
        engine = halted_child(running.pid)
        return (engine > 0 or client.engine == "native") and len(client.uploaded()) >= 2

    until(halted, running)
    assert session_of(engine) or client.engine == "native"
    running.kill()
    running.communicate()
    debris = set(client.uploaded())
    until(lambda: not processes_in(client.place) and not (engine and session_of(engine)), seconds=20)
    fill(client.source, 3)
    client.backup("2026-03-06T02:00:00")
    assert not debris & set(os.listdir(client.next))
    whole(client, "2026-03-06T03:00:00")


def processes_in(place: Path) -> list[str]:
    """Command lines that name a directory: what a client has started."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"{place}/" in line and "gpg-agent" not in line:
            found.append(line)
    return found


def transfers(place: Path) -> list[str]:
    return [line for line in processes_in(place) if line.startswith("sftp\0")]


@pytest.mark.parametrize("client", ["3", "native"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_client_leaves_nothing(client: SftpHost, number: signal.Signals) -> None:
    fill(client.source, 6)
    client.set_up("volume_size = 1\n", "rate_limit = 1000\n")
    running = client.start("2026-03-05T02:00:00")
    until(lambda: client.uploaded() and (client.engine == "native" or halted_child(running.pid)), running)
    begun = time.monotonic()
    running.send_signal(number)
    assert "interrupted; nothing was committed" in client.ended(running, status=1)
    assert time.monotonic() - begun < 10, "an engine that waits ends at once"
    assert os.listdir(client.next) == []
    assert not processes_in(client.place)


def test_a_full_archive_is_told_at_once_and_the_next_run_is_whole(client: SftpHost) -> None:
    fill(client.source, 8)
    client.set_up("volume_size = 1\n")
    there = os.statvfs("/srv")
    used = (there.f_blocks - there.f_bfree) * there.f_frsize >> 20
    subprocess.run(["mount", "-o", f"remount,size={used + 4}m", "/srv"], check=True)
    try:
        running = client.start("2026-03-05T02:00:00")
        assert "the archive cannot store more: most likely its disk is full" in client.ended(running, status=1)
        assert os.listdir(client.next) == []
    finally:
        subprocess.run(["mount", "-o", "remount,size=50%", "/srv"], check=True)
    client.backup("2026-03-05T02:10:00")
    whole(client, "2026-03-05T03:00:00")


def test_two_configs_of_a_user_never_upload_into_one_account_at_once(client: SftpHost) -> None:
    fill(client.source, 4)
    client.set_up("volume_size = 1\n", "rate_limit = 1000\n")
    other = client.config.with_name("other.toml")
    other.write_text(client.config.read_text().replace(f'"{client.cache}"', f'"{client.cache}-2"'))
    other.chmod(0o600)
    running = client.start("2026-03-05T02:00:00")
    until(client.uploaded, running)
    said = client.run("backup", "--config", other, "--now", "2026-03-05T02:00:01", status=12).stderr
    assert (
        f"sftp://{client.user}@localhost:{client.archive.port}: another upload into this archive is under way" in said
    )
    client.ended(running)


@pytest.mark.parametrize("client", list(stock.PROGRAMS), indirect=True)
def test_a_full_beside_a_chain_that_cannot_be_read_goes_by_sftp_too(client: SftpHost) -> None:
    fill(client.source, 1)
    client.set_up("volume_size = 1\n")
    client.backup("2026-03-05T02:00:00")
    client.collect("2026-03-05T03:00:00")
    client.config.with_suffix(".passphrase").write_text("another passphrase\n")
    subprocess.run(["rm", "-r", client.cache / "archive-dir"], check=True)
    assert client.run("backup", "--config", client.config, "--now", "2026-03-06T02:00:00", status=1)
    assert not client.uploaded()
    fill(client.source, 3)
    client.backup("2026-03-06T02:00:00", "--full")
    whole(client, "2026-03-06T03:00:00")


def test_a_dry_run_sends_nothing_and_says_what_would_be_done(client: SftpHost) -> None:
    fill(client.source, 1)
    client.set_up()
    done = client.json("backup", "--config", client.config, "--now", "2026-03-05T02:00:00", "--dry-run")
    assert (done["kind"], done["files"], done["committed"]) == ("full", 0, False)
    assert os.listdir(client.next) == []


def test_list_shows_what_is_served_and_restore_says_what_to_do_instead(client: SftpHost) -> None:
    client.set_up()
    assert "the next backup begins a chain" in client.run("list", "--config", client.config).stdout
    fill(client.source, 1)
    client.backup("2026-03-05T02:00:00")
    assert "has not collected the last upload" in client.run("list", "--config", client.config, status=11).stderr
    client.collect("2026-03-05T03:00:00")
    assert "2026-03-05T02:00:00+00:00  full" in client.run("list", "--config", client.config).stdout
    assert [each["kind"] for each in client.json("list", "--config", client.config)] == ["full"]
    said = client.run("restore", client.place / "there", "--config", client.config, status=1).stderr
    assert f"cya lend {client.user}" in said


def test_a_link_that_swallows_everything_is_noticed_and_the_volume_sent_again(client: SftpHost) -> None:
    fill(client.source, 6)
    with routed(client.archive) as (on_the_client, address):
        watch = 'options = ["ServerAliveInterval=1", "ServerAliveCountMax=2", "ConnectTimeout=2"]\n'
        client.set_up("volume_size = 2\n", f"rate_limit = 2000\n{watch}", host=address)
        client.wrapper = on_the_client
        running = client.start("2026-03-05T02:00:00")
        until(lambda: client.uploaded() and client.parts(), running)
        router = f"cyt{os.getpid()}r"
        forward(router, "0")
        until(lambda: not transfers(client.place), running, seconds=20)  # given up, and waiting
        forward(router, "1")
        client.ended(running)
        client.wrapper = []
        whole(client, "2026-03-05T03:00:00")
