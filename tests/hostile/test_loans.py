"""What a client can do with what is lent to it: read it, as long as it is lent. Over SFTP, and with a shell besides."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cya import catalog
from cya.archive import lent
from cya.archive.check.run import check
from cya.archive.collect import collect
from cya.archive.lend import lend
from cya.archive.return_loan import return_loan
from cya.transport import index, loan
from tests.archive.conftest import at
from tests.archive.own_machine import own_machine, running_sshd
from tests.hostile.raw_sftp import APPEND, CREATE, READ, TRUNCATE, WRITE, Refused, Session, text
from tests.hostile.test_over_sftp import NEXT, VICTIM, VILLAIN, Host
from tests.hostile.villain import Villain, as_user
from tests.hostile.world import DAY, LATER, Scene, World, needs_root, picture, untouched

LONG = timedelta(days=300)


class Lender(Host):
    """An archive host that has lent to the villain; the villain's loan, as its client calls it."""

    place = ""

    def lend(self, length: timedelta = LONG) -> None:
        done = lend(self.root, at(self.day), length, at(self.day))
        self.place = f"/outgoing/{done.loan.name}"

    @property
    def outgoing(self) -> Path:
        return self.root / self.place[1:]

    def file(self, word: str = ".vol1.") -> str:
        return f"{self.place}/{min(name for name in os.listdir(self.outgoing) if word in name)}"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lender]:
    scratch = tmp_path_factory.mktemp("lending-host")
    with own_machine(scratch):
        made = Lender(scratch)
        settings = made.root / "cya.toml"
        settings.write_text(settings.read_text().replace("index = false", "index = true"))
        with running_sshd(made.config, scratch / "sshd.log"):
            for name in (VILLAIN, VICTIM):
                made.honest(name)
            yield made


def names(it: Session, path: str) -> set[str]:
    """List a directory: READDIR answers with a count, and a name, a long name and attributes each."""
    _, answer = it.request(12, text(it.opendir(path)))
    found, rest = set(), answer[4:]
    for _ in range(struct.unpack(">I", answer[:4])[0]):
        for turn in range(2):
            length = struct.unpack(">I", rest[:4])[0]
            found |= {rest[4 : 4 + length].decode()} if turn == 0 else set()
            rest = rest[4 + length :]
        flags = struct.unpack(">I", rest[:4])[0]
        rest = rest[4 + sum(size for bit, size in ((1, 8), (2, 8), (4, 4), (8, 8)) if flags & bit) :]
    return found - {".", ".."}


def test_a_client_finds_and_reads_all_of_its_loan(host: Lender) -> None:
    host.lend()
    with host.session() as it:
        (name,) = filter(loan.is_loan, names(it, "/outgoing"))
        place = f"/outgoing/{name}"
        note = loan.decode(it.read(it.open(f"{place}/LOAN.json", READ)))
        assert (note.expires, note.chain[0].start) == (at(host.day) + LONG, None)
        found = names(it, place)
        assert found == set(os.listdir(host.root / "outgoing" / name))
        for each in found - {"LOAN.json"}:
            (committed, *_) = (host.root / "backups").rglob(each)
            assert it.read(it.open(f"{place}/{each}", READ)) == committed.read_bytes()
        told = index.decode(it.read(it.open("/outgoing/index.json", READ)))
        assert [each.time for each in told.backups][-1] == note.time


def test_a_loan_is_fetched_by_sftp_itself_and_is_a_whole_chain(host: Lender, tmp_path: Path) -> None:
    host.lend()
    done = host.clients[VILLAIN].sftp(f"get -r {host.place} {tmp_path}/fetched")
    assert done.returncode == 0, done.stderr
    (*_, newest) = catalog.read(tmp_path / "fetched").backups
    assert newest.chain is not None


FORBIDDEN: dict[str, Callable[[Lender, Session], object]] = {
    "a volume written": lambda host, it: it.open(host.file(), WRITE),
    "a volume read and written": lambda host, it: it.open(host.file(), READ | WRITE),
    "a volume appended to": lambda host, it: it.open(host.file(), WRITE | APPEND),
    "a volume emptied": lambda host, it: it.open(host.file(), WRITE | CREATE | TRUNCATE),
    "a volume cut": lambda host, it: it.truncate(host.file(), 0),
    "a volume cut by its handle": lambda host, it: it.ftruncate(it.open(host.file(), READ), 0),
    "a volume written by a handle for reading": lambda host, it: it.write(it.open(host.file(), READ), b"x"),
    "a volume's mode": lambda host, it: it.chmod(host.file(), 0o666),
    "a volume's mode by its handle": lambda host, it: it.fchmod(it.open(host.file(), READ), 0o666),
    "a volume's owner": lambda host, it: it.chown(host.file(), 0),
    "a volume's times": lambda host, it: it.utime(host.file()),
    "a volume removed": lambda host, it: it.remove(host.file()),
    "a manifest removed": lambda host, it: it.remove(host.file("manifest")),
    "a volume renamed": lambda host, it: it.rename(host.file(), f"{host.place}/x"),
    "a volume renamed into next": lambda host, it: it.rename(host.file(), f"{NEXT}/x"),
    "a volume renamed over another": lambda host, it: it.extended(
        "posix-rename@openssh.com", text(host.file("manifest")) + text(host.file())
    ),
    "a volume linked in it": lambda host, it: it.extended(
        "hardlink@openssh.com", text(host.file()) + text(f"{host.place}/x")
    ),
    "a volume kept by a link in next": lambda host, it: it.extended(
        "hardlink@openssh.com", text(host.file()) + text(f"{NEXT}/x")
    ),
    "a symbolic link in it": lambda host, it: it.symlink("/state", f"{host.place}/x"),
    "a symbolic link to it": lambda host, it: it.symlink(host.file(), f"{NEXT}/x"),
    "a copy on the server": lambda host, it: it.extended(
        "copy-data",
        text(it.open(host.file(), READ))
        + struct.pack(">QQ", 0, 0)
        + text(it.open(f"{NEXT}/c", WRITE | CREATE))
        + bytes(8),
    ),
    "a new file in it": lambda host, it: it.open(f"{host.place}/new", WRITE | CREATE),
    "a directory in it": lambda host, it: it.mkdir(f"{host.place}/d"),
    "the note written": lambda host, it: it.open(f"{host.place}/LOAN.json", WRITE),
    "the note replaced": lambda host, it: it.extended(
        "posix-rename@openssh.com", text(f"{NEXT}/note") + text(f"{host.place}/LOAN.json")
    ),
    "the note removed": lambda host, it: it.remove(f"{host.place}/LOAN.json"),
    "the loan renamed": lambda host, it: it.rename(host.place, "/outgoing/20991231T000000Z"),
    "the loan renamed into next": lambda host, it: it.rename(host.place, f"{NEXT}/kept"),
    "the loan removed": lambda host, it: it.rmdir(host.place),
    "the loan's mode": lambda host, it: it.chmod(host.place, 0o777),
    "the loan's owner": lambda host, it: it.chown(host.place, 0),
    "the loan's times": lambda host, it: it.utime(host.place),
    "a loan of its own": lambda host, it: it.mkdir("/outgoing/20991231T000000Z"),
    "next renamed to a loan": lambda host, it: it.rename(NEXT, "/outgoing/20991231T000000Z"),
    "the record of loans read": lambda host, it: it.open("/state/loans.json", READ),
    "the record of loans written": lambda host, it: it.open("/state/loans.json", WRITE | CREATE),
    "the index written": lambda host, it: it.open("/outgoing/index.json", WRITE),
    "the index removed": lambda host, it: it.remove("/outgoing/index.json"),
    "outgoing's mode": lambda host, it: it.chmod("/outgoing", 0o777),
    "outgoing renamed": lambda host, it: it.rename("/outgoing", f"{NEXT}/outgoing"),
    "a committed file behind it": lambda host, it: it.open(f"{host.place}/../../backups/2000", READ),
}


def test_what_is_lent_can_be_read_and_not_changed_extended_or_kept(host: Lender) -> None:
    host.lend()
    with host.unharmed(), host.session() as it:
        it.put(f"{NEXT}/note", b'{"expires":"2099-01-01T00:00:00Z"}')
        before = sorted(os.listdir(host.next))
        for name, act in FORBIDDEN.items():
            try:
                act(host, it)
            except Refused:
                continue
            pytest.fail(f"{name}: the server has done it")
        assert set(os.listdir(host.next)) - {"c"} == set(before)
        for name in ("c", "note"):
            (host.next / name).unlink(missing_ok=True)
    found = lent.loans_of(host.root)
    assert [each.expires for each in found] == [each.lent + int(LONG.total_seconds()) for each in found]


def test_no_other_client_sees_what_is_lent(host: Lender) -> None:
    host.lend()
    with host.session(VICTIM) as it:
        assert names(it, "/outgoing") == set()
        for path in (host.place, f"/srv/cya/{VILLAIN}{host.place}", f"/../{VILLAIN}{host.place}"):
            with pytest.raises(Refused):
                it.opendir(path)
            with pytest.raises(Refused):
                it.open(f"{path}/LOAN.json", READ)


@pytest.mark.parametrize("returned", [False, True])
def test_what_is_over_is_gone_in_a_session_that_stays_open(host: Lender, returned: bool) -> None:
    return_loan(host.root, at(host.day))
    host.day = next(host.days)
    host.lend(timedelta(hours=12))
    with host.session() as it:
        paths = [f"{host.place}/{name}" for name in names(it, host.place)]
        held = it.open(host.file(), READ)
        if returned:
            return_loan(host.root, at(host.day))
        else:
            host.day = next(host.days)
            assert len(host.collect().returned) == 1
        for path in paths:
            with pytest.raises(Refused):
                it.open(path, READ)
            with pytest.raises(Refused):
                it.stat(path)
        with pytest.raises(Refused):
            it.opendir(host.place)
        assert names(it, "/outgoing") == {"index.json"}
        with pytest.raises(Refused):
            it.write(held, b"x")
        with pytest.raises(Refused):
            it.ftruncate(held, 0)
    host.honest(VILLAIN)
    assert not check(host.root, at(host.day)).damaged


# ---------------------------------------------------------------------------------------------------------------------
# With a shell, which no client ever gets


def _lend(world: World) -> Path:
    done = lend(world.villain.root, at(DAY), timedelta(hours=12), at(DAY))
    return world.villain.root / "outgoing" / done.loan.name


def _try_everything(place: Path, it: Scene) -> Iterator[None]:
    volume = next(place.glob("*vol1*"))
    to_files: tuple[Callable[[Path], object], ...] = (
        lambda path: path.open("r+b"),
        lambda path: os.truncate(path, 0),
        lambda path: path.chmod(0o666),
        lambda path: os.chown(path, os.getuid(), -1),
        lambda path: os.utime(path, (1, 1)),
        lambda path: os.setxattr(path, "user.x", b"x"),
        lambda path: path.unlink(),
        lambda path: path.rename(place / "x"),
        lambda path: path.rename(it.own / "stolen"),
        lambda path: (it.own / "note").rename(path),
        lambda path: os.link(path, place / "x"),
    )
    for path in place.iterdir():
        assert path.read_bytes()
        for harm in to_files:
            with pytest.raises(OSError):  # noqa: PT011
                harm(path)
    to_it: tuple[Callable[[], object], ...] = (
        lambda: (place / "new").touch(),
        lambda: (place / "new").mkdir(),
        lambda: (place / "new").symlink_to("/"),
        lambda: place.chmod(0o777),
        lambda: place.rename(it.own / "kept"),
        lambda: place.rename(place.with_name("20991231T000000Z")),
        lambda: place.with_name("20991231T000000Z").mkdir(),
        lambda: os.rmdir(place),
    )
    for act in to_it:
        with pytest.raises(OSError):  # noqa: PT011
            act()
    os.chdir(place)
    yield
    look: tuple[Callable[[], object], ...] = (lambda: os.listdir("."), Path(volume.name).read_bytes, volume.read_bytes)
    for act in look:
        with pytest.raises(OSError):  # noqa: PT011
            act()


@needs_root
def test_a_shell_changes_nothing_that_is_lent_and_loses_it_where_it_stands(world: World) -> None:
    place = _lend(world)
    (world.villain.own / "note").write_text("{}")
    but = [world.villain.state, world.villain.own]
    before = picture(world.base, but=but)
    with Villain(world.villain.user, lambda it: _try_everything(place, it), world.villain) as villain:
        allowed = {path: {"read"} for path in before}
        untouched(before, picture(world.base, but=but), allowed)
        return_loan(world.villain.root, at(DAY))
        villain.go_on()
        assert villain.ended
    (world.villain.own / "note").unlink()
    world.goes_on()


@needs_root
def test_the_user_of_another_client_cannot_open_a_loan(world: World) -> None:
    place = _lend(world)
    files = sorted(place.iterdir())

    def look() -> None:
        for act in (lambda: os.listdir(place), *(path.read_bytes for path in files), *(path.lstat for path in files)):
            with pytest.raises(PermissionError):
                act()

    as_user(world.victim.user, look)


@needs_root
def test_links_that_a_shell_keeps_are_told_and_change_nothing(world: World) -> None:
    """Where the kernel lets anybody link any file, a shell can keep a name of what it has read already."""
    protected = Path("/proc/sys/fs/protected_hardlinks")
    volume = next(_lend(world).glob("*vol1*"))
    before = volume.read_bytes()
    kept = world.villain.own / "kept"

    def keep() -> None:
        if protected.exists() and protected.read_text().strip() == "1":
            with pytest.raises(PermissionError):
                os.link(volume, kept)
            return
        os.link(volume, kept)
        with pytest.raises(PermissionError):
            kept.open("r+b")

    as_user(world.villain.user, keep)
    assert len(collect(world.villain.root, at(LATER)).returned) == 1
    if kept.exists():
        assert [finding.kind for finding in check(world.villain.root, at(LATER)).findings] == ["links"]
        assert kept.read_bytes() == before
        kept.unlink()
    assert check(world.villain.root, at(LATER)).findings == ()
    assert json.loads((world.villain.state / "served.json").read_text())["files"]
    assert stat.S_IMODE((world.villain.root / "outgoing").stat().st_mode) == 0o755
