"""Dumps of databases as files of the backup: streamed, whole or not at all, and never on a disk."""

from __future__ import annotations

import os
import pwd
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cya.client.dump_commands import command_of, user_of
from cya.client.dump_stream import opened
from cya.config.dumps import DumpConfig
from cya.errors import ConfigError, DumpFailed, MissingProgram
from tests.snapshot.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.plain(tmp_path)


def database(file: Path, rows: int = 10) -> None:
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE t (x)")
        made.executemany("INSERT INTO t VALUES (?)", ((n,) for n in range(rows)))
    made.close()


def test_a_dump_is_a_file_of_the_backup_and_not_of_the_source(site: Site, tmp_path: Path) -> None:
    database(tmp_path / "shop.db")
    writes = [sys.executable, "-c", "for n in range(300_000): print('line', n)"]
    site.configure(
        dumps={
            "shop": {"kind": "sqlite", "file": tmp_path / "shop.db"},
            "ldap": {"kind": "command", "command": writes},
        }
    )
    site.backup()
    restored = site.restored()
    assert "INSERT INTO t VALUES(9);" in (restored / ".dumps/shop.sql").read_text()
    assert (restored / ".dumps/ldap").read_text() == "".join(f"line {n}\n" for n in range(300_000))
    assert os.listdir(site.source) == ["file"]
    assert stat.S_IMODE((restored / ".dumps/shop.sql").stat().st_mode) == 0o600
    assert stat.S_IMODE((restored / ".dumps").stat().st_mode) == 0o700


def test_stock_duplicity_restores_it(site: Site, tmp_path: Path) -> None:
    site.configure(dumps={"a": {"kind": "command", "command": ["echo", "dumped"]}})
    site.backup()
    (files,) = site.root.glob("backups/*/*/*/*/*/files")
    to = tmp_path / "stock"
    words = ["--no-encryption", "--archive-dir", str(tmp_path / "cache")]
    subprocess.run(["duplicity", "restore", *words, f"file://{files}", to], check=True, capture_output=True)
    assert (to / ".dumps/a").read_text() == "dumped\n"


def test_what_has_not_changed_is_not_sent_again_and_what_has_is_a_delta(site: Site, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(os.urandom(6 << 20))
    site.configure(dumps={"a": {"kind": "command", "command": ["cat", str(data)]}})
    site.backup()
    assert site.backup()["bytes"] < 20_000
    with data.open("r+b") as file:
        file.seek(3 << 20)
        file.write(b"changed")
    assert 100 < site.backup()["bytes"] < 200_000
    assert (site.restored() / ".dumps/a").read_bytes() == data.read_bytes()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo begun; echo 'no such table' >&2; exit 3", "dumps.a: sh: exit code 3: no such table; there is no backup"),
        ("echo begun; kill -9 $$", "dumps.a: sh: exit code -9; there is no backup"),
        ("head -c 20000000 /dev/urandom; exit 1", "dumps.a: sh: exit code 1; there is no backup"),
    ],
)
def test_a_dump_that_fails_makes_no_backup(site: Site, script: str, said: str) -> None:
    site.configure(dumps={"a": {"kind": "command", "command": ["sh", "-c", script]}})
    assert said in site.fails()
    assert site.cya("list", site.root, "--json").stdout.strip() == "[]"
    site.configure()
    site.backup()


def test_a_broken_sqlite_is_no_dump(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    database(file, 5000)
    with file.open("r+b") as broken:
        broken.seek(3 * 4096)
        broken.write(os.urandom(8192))
    site.configure(dumps={"shop": {"kind": "sqlite", "file": file}})
    assert "dumps.shop: sqlite3: " in site.fails()
    file.unlink()
    assert "unable to open database" in site.fails()
    assert not file.exists()


def test_verify_knows_that_the_source_has_no_dumps(site: Site, tmp_path: Path) -> None:
    site.configure(dumps={"a": {"kind": "command", "command": ["echo", "dumped"]}})
    site.backup()
    assert site.cya("verify", "--config", site.config).stdout == ""
    restored = site.restored()
    (restored / ".dumps/a").write_text("other!\n")
    assert "dumps/a" in site.cya("verify", "--config", site.config, "--against", restored, status=13).stderr


def test_a_dump_beside_a_directory_of_that_name(site: Site) -> None:
    (site.source / ".dumps").mkdir()
    (site.source / ".dumps/mine").write_text("mine\n")
    (site.source / ".dumps/a").write_text("stale\n")
    site.configure(dumps={"a": {"kind": "command", "command": ["echo", "dumped"]}})
    site.backup()
    restored = site.restored()
    assert (restored / ".dumps/mine").read_text() == "mine\n"
    assert (restored / ".dumps/a").read_text() == "dumped\n"


def test_a_dry_run_dumps_nothing(site: Site, tmp_path: Path) -> None:
    site.configure(dumps={"a": {"kind": "command", "command": ["touch", str(tmp_path / "ran")]}})
    site.hours += 1
    site.cya("backup", "--config", site.config, "--dry-run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")
def test_it_runs_as_the_user_that_is_named_with_that_users_environment(site: Site) -> None:
    script = "id -un; id -u; echo $HOME $USER; id -Gn; echo ${SSH_AUTH_SOCK-none}"
    site.configure(dumps={"a": {"kind": "command", "command": ["sh", "-c", script], "user": "nobody"}})
    site.backup()
    said = (site.restored() / ".dumps/a").read_text().splitlines()
    nobody = pwd.getpwnam("nobody")
    assert said == ["nobody", str(nobody.pw_uid), f"{nobody.pw_dir} nobody", "nogroup", "none"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[dumps.a]\nkind = "oracle"', 'dumps.a.kind: expected "postgresql", "mysql", "sqlite" or "command"'),
        ("[dumps.a]", "dumps.a.kind: missing"),
        ('[dumps.a]\nkind = "sqlite"', 'dumps.a: kind = "sqlite" needs the key file'),
        ('[dumps.a]\nkind = "command"', 'dumps.a: kind = "command" needs the key command'),
        ('[dumps.a]\nkind = "mysql"\nfile = "/x"', 'dumps.a: kind = "mysql" has no key file'),
        ('[dumps.a]\nkind = "command"\ncommand = ["x"]\noptions = ["y"]', "they belong to the command"),
        ('[dumps."../x"]\nkind = "mysql"', 'dumps."../x": the name of a dump has letters'),
        ('[dumps.a]\nkind = "mysql"\ndatabase = "--all"', "dumps.a.database: expected the name of a database"),
        ('[dumps]\na = "mysql"', "dumps: expected tables [dumps.NAME]"),
        ('[dumps.a]\nkind = "command"\ncommand = ["no-such-program"]', "dumps.a: no-such-program is not installed"),
        ('[dumps.a]\nkind = "mysql"\nuser = "no-such-user"', "no-such-user"),
    ],
)
def test_bad_settings_are_refused(site: Site, table: str, said: str) -> None:
    site.configure()
    with site.config.open("a") as file:
        file.write(f"{table}\n")
    site.hours += 1
    ran = site.cya("backup", "--config", site.config, status=None)
    if "no-such-user" in said and "not installed" in ran.stderr:
        return  # no MySQL here, which is told first
    assert said in ran.stderr
    assert ran.returncode in (1, 2)


def test_stock_duplicity_takes_none(tmp_path: Path, site: Site) -> None:
    site.engine = "duplicity"
    site.configure(dumps={"a": {"kind": "command", "command": ["echo"]}})
    assert 'dumps: stock duplicity cannot take them in; set engine = "native"' in site.fails(status=2)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that are there by name alone."""
    place = tmp_path / "programs"
    place.mkdir()
    for name in ("pg_dump", "pg_dumpall", "mysqldump", "sqlite3"):
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(place))
    return place


def test_the_commands(programs: Path) -> None:
    def words(**keys: object) -> tuple[str, ...]:
        return command_of(DumpConfig(**keys), "dumps.a")  # type: ignore[arg-type]

    assert words(kind="postgresql") == (f"{programs}/pg_dumpall", "--no-password")
    assert words(kind="postgresql", database="shop", options=("-h", "db1")) == (
        *(f"{programs}/pg_dump", "--no-password", "--create", "-h", "db1", "--dbname=shop"),
    )
    mysql = words(kind="mysql", options=("--defaults-file=/etc/my.cnf",))
    assert mysql[:2] == (f"{programs}/mysqldump", "--defaults-file=/etc/my.cnf")
    assert {"--single-transaction", "--routines", "--events", "--skip-dump-date"} <= {*mysql}
    assert mysql[-1] == "--all-databases"
    assert words(kind="mysql", database="shop")[-2:] == ("--databases", "shop")
    (programs / "mariadb-dump").symlink_to("mysqldump")
    assert words(kind="mysql")[0] == f"{programs}/mariadb-dump"
    assert words(kind="sqlite", file=Path("/srv/a.db"))[-1] == ".dump"


def test_a_program_that_is_missing_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for kind, package in (("postgresql", "postgresql-client"), ("mysql", "mariadb-client")):
        with pytest.raises(MissingProgram, match=f"is not installed: apt-get install {package}"):
            command_of(DumpConfig(kind=kind), "dumps.a")  # type: ignore[arg-type]


def test_users(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_of(DumpConfig(kind="mysql"), "dumps.a") is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert user_of(DumpConfig(kind="postgresql"), "dumps.a") is None
    with pytest.raises(ConfigError, match="this host has no user no-such-user"):
        user_of(DumpConfig(kind="mysql", user="no-such-user"), "dumps.a")


def test_a_stream_that_is_closed_early_ends_its_program(tmp_path: Path) -> None:
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; echo begun; while :; do sleep 0.1; done"]
    with opened(command, None, "dumps.a", b"") as stream:
        assert stream.read(6) == b"begun\n"
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("end", [b"", b"COMMIT;\n", b"the end of it\n"])
def test_a_dump_has_to_come_to_its_end(end: bytes) -> None:
    script = "import sys; sys.stdout.write('x' * 1_000_000 + 'COMMIT;\\n')"
    with opened([sys.executable, "-c", script], None, "dumps.a", end) as stream:
        if end == b"the end of it\n":
            with pytest.raises(DumpFailed, match="did not come to its end"):
                stream.read()
        else:
            assert len(stream.read()) == 1_000_008
