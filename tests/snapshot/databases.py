"""Databases under write load: each transaction takes from one account and gives to another, so the sum is known."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

ACCOUNTS, EACH = 200, 100
TOTAL = ACCOUNTS * EACH


@contextmanager
def sqlite_under_load(file: Path, journal: str, pause: float = 0) -> Iterator[Event]:
    """Write transactions into a new database; the event is set when many have been written.

    :param pause: seconds after each; 0: as fast as it goes.
    """
    with sqlite3.connect(file) as made:
        made.execute(f"PRAGMA journal_mode = {journal}")
        made.execute("PRAGMA user_version = 42")
        made.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, filler BLOB)")
        made.execute("CREATE TABLE moved (id INTEGER PRIMARY KEY, amount INTEGER)")
        made.executemany("INSERT INTO account VALUES (?, ?, ?)", ((n, EACH, os.urandom(500)) for n in range(ACCOUNTS)))
    made.close()
    over, running = Event(), Event()

    def write() -> None:
        connection = sqlite3.connect(file, timeout=60, isolation_level=None)
        number = 0
        while not over.is_set():
            one, other = number * 7 % ACCOUNTS, number * 13 % ACCOUNTS
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE account SET money = money - 1, filler = ? WHERE id = ?", (os.urandom(500), one))
            connection.execute("UPDATE account SET money = money + 1 WHERE id = ?", (other,))
            connection.execute("INSERT INTO moved (amount) VALUES (1)")
            connection.execute("COMMIT")
            number += 1
            if number >= 200:
                running.set()
                over.wait(pause)
        connection.close()

    thread = Thread(target=write)
    thread.start()
    try:
        assert running.wait(60)
        yield running
    finally:
        over.set()
        thread.join()


def check_sqlite(file: Path) -> int:
    """Check that a database opens and is whole; return how many transactions it has."""
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (42,)
        assert connection.execute("SELECT sum(money), count(*) FROM account").fetchone() == (TOTAL, ACCOUNTS)
        (moved,) = connection.execute("SELECT count(*) FROM moved").fetchone()
        return int(moved)
    finally:
        connection.close()


class Postgres:
    """A PostgreSQL cluster of the user postgres, reached by a socket in its own directory."""

    def __init__(self, place: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not found or os.geteuid() != 0:
            pytest.skip("needs root and PostgreSQL (Debian's package postgresql)")
        self.bin, self.place, self.data = found[-1].parent, place, place / "data"
        self._user = pwd.getpwnam("postgres")
        place.mkdir(exist_ok=True)
        for above in place.parents:
            above.chmod(above.stat().st_mode | 0o011)  # the server has to come here
        os.chown(place, self._user.pw_uid, self._user.pw_gid)

    def run(self, program: str, *words: object, text: str | None = None) -> str:
        done = subprocess.run(
            [self.bin / program, *map(str, words)],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            user=self._user.pw_uid,
            group=self._user.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.place), "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, f"{program} {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def sql(self, statement: str, database: str = "postgres") -> str:
        words = ("-h", self.place, "-d", database, "-v", "ON_ERROR_STOP=1", "-Atq")
        return self.run("psql", *words, text=statement).strip()

    def init(self) -> None:
        self.run("initdb", "-D", self.data, "-A", "trust", "--no-sync", "-E", "UTF8")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the server; it ends at once when the block does."""
        options = f"-k {self.place} -c listen_addresses='' -c shared_buffers=16MB -c fsync=on"
        self.run("pg_ctl", "-D", self.data, "-w", "-t", "120", "-l", self.place / "log", "-o", options, "start")
        try:
            yield
        finally:
            self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def fill(self) -> None:
        self.sql("CREATE DATABASE shop;")
        self.sql(
            f"""CREATE TABLE account AS SELECT n AS id, {EACH} AS money, repeat('x', 400) AS filler
                FROM generate_series(0, {ACCOUNTS - 1}) AS n;
                CREATE TABLE moved (amount int);""",
            "shop",
        )

    @contextmanager
    def load(self) -> Iterator[None]:
        """Write transactions as fast as it goes."""
        script = self.place / "load.sql"
        script.write_text(
            f"""\\set one random(0, {ACCOUNTS - 1})
\\set other random(0, {ACCOUNTS - 1})
BEGIN;
UPDATE account SET money = money - 1 WHERE id = :one;
UPDATE account SET money = money + 1 WHERE id = :other;
INSERT INTO moved VALUES (1);
COMMIT;
"""
        )
        script.chmod(0o644)
        thread = Thread(
            target=lambda: subprocess.run(
                [self.bin / "pgbench", "-h", self.place, "-n", "-f", script, "-T", "3600", "-c", "4", "shop"],
                capture_output=True,
                check=False,
                user=self._user.pw_uid,
                group=self._user.pw_gid,
                extra_groups=[],
            )
        )
        thread.start()
        while int(self.sql("SELECT count(*) FROM moved;", "shop")) < 500:
            pass
        try:
            yield
        finally:
            subprocess.run(["pkill", "-f", str(script)], check=False)
            thread.join()

    def check(self, database: str = "shop") -> int:
        """Check that all tables can be read and the sum is right; return how many transactions there are."""
        self.run("pg_dump", "-h", self.place, "-f", "/dev/null", database)
        assert self.sql("SELECT sum(money), count(*) FROM account;", database) == f"{TOTAL}|{ACCOUNTS}"
        return int(self.sql("SELECT count(*) FROM moved;", database))


def moved_to(server: Postgres, data: Path, place: Path) -> Postgres:
    """Return a server for a data directory that was restored."""
    other = Postgres(place)
    shutil.copytree(data, other.data, symlinks=True)
    subprocess.run(["chown", "-R", "postgres:postgres", other.place], check=True)
    other.data.chmod(0o700)
    return other


class MariaDb:
    """A MariaDB of the user mysql, reached by a socket in its own directory."""

    def __init__(self, place: Path) -> None:
        if shutil.which("mariadbd") is None and not Path("/usr/sbin/mariadbd").exists():
            pytest.skip("not installed: mariadbd (Debian's package mariadb-server)")
        if os.geteuid() != 0:
            pytest.skip("needs root, to run it as another user")
        self.place, self.socket = place, place / "socket"
        self._user = pwd.getpwnam("mysql")
        place.mkdir()
        for above in place.parents:
            above.chmod(above.stat().st_mode | 0o011)
        os.chown(place, self._user.pw_uid, self._user.pw_gid)
        words = ["--no-defaults", f"--datadir={place}/data", "--user=mysql", "--skip-test-db"]
        subprocess.run(["mariadb-install-db", *words], check=True, capture_output=True)

    def sql(self, statement: str, *words: str) -> str:
        client = ["mysql", "--no-defaults", f"--socket={self.socket}", "--batch", "--skip-column-names", *words]
        done = subprocess.run(client, input=statement, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def running(self) -> Iterator[None]:
        words = ["--no-defaults", f"--datadir={self.place}/data", f"--socket={self.socket}", "--skip-networking"]
        limits = ["--innodb-buffer-pool-size=32M", f"--pid-file={self.place}/pid", "--user=mysql"]
        server = subprocess.Popen(
            ["/usr/sbin/mariadbd", *words, *limits], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not self.socket.exists():
                assert server.poll() is None
            yield
        finally:
            server.terminate()
            server.wait()

    def fill(self) -> None:
        rows = ", ".join(f"({n}, {EACH})" for n in range(ACCOUNTS))
        self.sql(
            "CREATE DATABASE shop; USE shop; CREATE TABLE account (id INT PRIMARY KEY, money INT) ENGINE=InnoDB;"
            f"INSERT INTO account VALUES {rows}; CREATE TABLE moved (amount INT) ENGINE=InnoDB;"
            "CREATE PROCEDURE many() SELECT 1; CREATE USER anna IDENTIFIED BY 'secret';"
        )

    @contextmanager
    def load(self) -> Iterator[None]:
        """Write transactions as fast as it goes."""
        over = Event()
        move = "".join(
            f"START TRANSACTION; UPDATE account SET money = money - 1 WHERE id = {n * 7 % ACCOUNTS};"
            f"UPDATE account SET money = money + 1 WHERE id = {n * 13 % ACCOUNTS};"
            "INSERT INTO moved VALUES (1); COMMIT;\n"
            for n in range(100)
        )

        def write() -> None:
            while not over.is_set():
                self.sql(move, "shop")

        thread = Thread(target=write)
        thread.start()
        while int(self.sql("SELECT count(*) FROM moved;", "shop")) < 300:
            pass
        try:
            yield
        finally:
            over.set()
            thread.join()

    def check(self) -> int:
        """Check that the sum is right; return how many transactions there are."""
        assert self.sql("SELECT sum(money), count(*) FROM account;", "shop") == f"{TOTAL}\t{ACCOUNTS}"
        assert self.sql("SHOW PROCEDURE STATUS WHERE Db = 'shop';").split()[1] == "many"
        return int(self.sql("SELECT count(*) FROM moved;", "shop"))
