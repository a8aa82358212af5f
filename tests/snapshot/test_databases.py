"""Databases under write load come back consistent: from a snapshot as they were, and from dumps."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.snapshot.databases import MariaDb, Postgres, check_sqlite, moved_to, sqlite_under_load
from tests.snapshot.site import Site


@pytest.fixture
def native(tmp_path: Path) -> Site:
    """A client of which no snapshots are taken."""
    for name in ("client", "source"):
        (tmp_path / name).mkdir()
    return Site(tmp_path / "client", tmp_path / "source")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_sqlite_under_write_load_is_restored_from_a_snapshot_and_opens_consistent(site: Site, journal: str) -> None:
    site.configure("auto")
    with sqlite_under_load(site.source / "shop.db", journal):
        site.backup()
    restored = check_sqlite(site.restored() / "shop.db")
    assert 200 <= restored < check_sqlite(site.source / "shop.db")


@pytest.mark.parametrize("site", ["native"], indirect=True)
def test_postgresql_under_write_load_is_restored_from_a_snapshot_and_opens_consistent(
    site: Site, tmp_path: Path
) -> None:
    server = Postgres(site.source / "pg")
    server.init()
    site.configure("auto", selection={"patterns": [f"- {site.source}/pg/.s.*"]})
    with server.running():
        server.fill()
        with server.load():
            site.backup()
        at_the_end = server.check()
    again = moved_to(server, site.restored() / "pg/data", tmp_path / "again")
    (again.data / "postmaster.pid").unlink(missing_ok=True)
    with again.running():
        assert 500 <= again.check() < at_the_end


def test_dumps_of_a_live_postgresql_are_restored_by_the_documented_commands(native: Site, tmp_path: Path) -> None:
    server = Postgres(tmp_path / "pg")
    server.init()
    options = [f"--host={tmp_path / 'pg'}"]
    one = {"kind": "postgresql", "database": "shop", "options": options}
    native.configure(dumps={"shop": one, "everything": {"kind": "postgresql", "options": options}})
    with server.running():
        server.fill()
        server.sql("CREATE ROLE anna LOGIN;")
        with server.load():
            native.backup()
        at_the_end = server.check()
    restored = native.restored()
    assert sorted(path.name for path in (restored / ".dumps").iterdir()) == ["everything.sql", "shop.sql"]
    assert list(native.source.iterdir()) == []
    for name, role in (("shop", ""), ("everything", "anna")):
        other = Postgres(tmp_path / name)
        other.init()
        with other.running():
            text = (restored / f".dumps/{name}.sql").read_text()
            other.run("psql", "-h", other.place, "-d", "postgres", "-q", text=text)
            assert 500 <= other.check() < at_the_end
            assert other.sql("SELECT rolname FROM pg_roles WHERE rolname = 'anna';") == role


def test_dumps_of_a_live_sqlite_are_restored_by_the_documented_command(native: Site, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    native.configure(dumps={"shop": {"kind": "sqlite", "file": file}})
    with sqlite_under_load(file, "wal"):
        native.backup()
    again = tmp_path / "again.db"
    with (native.restored() / ".dumps/shop.sql").open() as dump:
        subprocess.run(["sqlite3", again], stdin=dump, check=True)
    assert 200 <= check_sqlite(again) < check_sqlite(file)


@pytest.mark.parametrize("database", [None, "shop"], ids=["all of it", "one database"])
def test_dumps_of_a_live_mariadb_are_restored_by_the_documented_command(
    native: Site, tmp_path: Path, database: str | None
) -> None:
    server = MariaDb(tmp_path / "old")
    dump = {"kind": "mysql", "options": ["--no-defaults", f"--socket={server.socket}"]}
    native.configure(dumps={"shop": dump if database is None else {**dump, "database": database}})
    with server.running():
        server.fill()
        with server.load():
            native.backup()
        at_the_end = server.check()
    other = MariaDb(tmp_path / "new")
    with other.running():
        other.sql((native.restored() / ".dumps/shop.sql").read_text())
        assert 300 <= other.check() < at_the_end
        assert other.sql("SELECT count(*) FROM mysql.user WHERE user = 'anna';") == ("1" if database is None else "0")
