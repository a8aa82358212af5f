"""Stock duplicity in both versions, cheap gpg homes, and small trees to back up."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption, Report, RestoreJob, Selection
from tests import stock

PLAIN = Encryption()
SECRET = Encryption(passphrase="correct horse")
T1, T2, T3 = 1_000_000_000, 1_000_000_100, 1_000_000_200


@pytest.fixture(params=list(stock.PROGRAMS))
def program(request: pytest.FixtureRequest) -> Path:
    return stock.program(request.param)


@pytest.fixture(scope="session")
def gnupg_home() -> Iterator[Path]:
    """An empty gpg home with a cheap key derivation; its path is short, because sockets are made in it."""
    with stock.gpg_home() as home:
        yield home


@pytest.fixture
def engine(program: Path, tmp_path: Path, gnupg_home: Path) -> Duplicity:
    return Duplicity(program, tmp_path / "cache", gnupg_home)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files of several kinds, with attributes that are worth keeping."""
    root = tmp_path / "source"
    (root / "dir" / "deep").mkdir(parents=True)
    (root / "hello").write_bytes(b"hello\n")
    (root / "dir" / "data").write_bytes(bytes(range(256)) * 1000)
    (root / "dir" / "deep" / "empty").touch(mode=0o600)
    (root / "link").symlink_to("hello")
    os.mkfifo(root / "fifo", 0o640)
    os.chmod(root / "hello", 0o640)
    os.chmod(root / "dir" / "deep", 0o750)
    for name in ("dir/deep/empty", "dir/deep", "dir/data", "dir", "hello", "fifo", "."):
        os.utime(root / name, (900_000_000, 900_000_000))
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    path = tmp_path / "destination"
    path.mkdir()
    return path


Seen = dict[str, tuple[object, ...]]


def tree(root: Path) -> Seen:
    """Return all that a backup has to keep, by path."""
    seen: Seen = {}
    for path in [root, *sorted(root.rglob("*"))]:
        there = path.lstat()
        kind = stat.S_IFMT(there.st_mode)
        content: object = None
        if stat.S_ISREG(kind):
            content = path.read_bytes()
        elif stat.S_ISLNK(kind):
            content = os.readlink(path)
        elif stat.S_ISBLK(kind) or stat.S_ISCHR(kind):
            content = there.st_rdev
        attributes = () if stat.S_ISLNK(kind) else (stat.S_IMODE(there.st_mode), int(there.st_mtime))
        seen[str(path.relative_to(root))] = (kind, content, *attributes, there.st_uid, there.st_gid)
    return seen


Backup = Callable[..., Report]


@pytest.fixture
def backup(engine: Duplicity, source: Path, target: Path) -> Backup:
    """Make a backup of the source to the target: ``backup(T1, patterns=(...))``."""

    def make(now: int = T1, encryption: Encryption = PLAIN, **changes: object) -> Report:
        fields = {key: value for key, value in changes.items() if key in BackupJob.__dataclass_fields__}
        chosen = {key: value for key, value in changes.items() if key not in fields}
        selection = Selection(**chosen)  # type: ignore[arg-type]
        values: dict[str, object] = {"source": source, "target": target, "selection": selection, **fields}
        return engine.backup(BackupJob(now=now, encryption=encryption, **values))  # type: ignore[arg-type]

    return make


Restore = Callable[..., Report]


@pytest.fixture
def restore(engine: Duplicity, target: Path, destination: Path) -> Restore:
    """Restore from the target to the destination."""

    def make(time: int = T1, encryption: Encryption = PLAIN, **changes: object) -> Report:
        values: dict[str, object] = {"source": target, "destination": destination, **changes}
        return engine.restore(RestoreJob(time=time, encryption=encryption, **values))  # type: ignore[arg-type]

    return make


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
