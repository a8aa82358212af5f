"""What is served may be damaged, or made up: an error that names it, or a backup that is right; never a hang."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cya.errors import CyaError
from cya.format.signature import head
from tests.engine.native.conftest import Lab


@pytest.fixture
def used(lab: Lab) -> Lab:
    """With a full, the cache lost, and a change to be backed up."""
    chance = random.Random(1)
    for number in range(20):
        (lab.source / f"file{number}").write_bytes(chance.randbytes(9000))
    (lab.source / "large").write_bytes(chance.randbytes(400_000))
    lab.backup()
    for path in [lab.cache / "index", *(lab.cache / "archive-dir/backup").iterdir()]:
        path.unlink()
    for name in ("file3", "large"):
        with (lab.source / name).open("r+b") as file:
            file.write(b"changed")
    return lab


def sigtar(lab: Lab) -> Path:
    return next(lab.target.glob("*sigtar.gz"))


def rewritten(lab: Lab, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]) -> None:
    """Make the sigtar again, each entry changed."""
    path = sigtar(lab)
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as old,
        tarfile.open(fileobj=out, mode="w") as new,
    ):
        for member in old:
            data = old.extractfile(member)
            for info, content in change(member, data.read() if data else b""):
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(out.getvalue()))


def right_or_told(lab: Lab) -> None:
    """The backup is right, or an error says which file is damaged and nothing is left."""
    before = set(lab.target.iterdir())
    said = ""
    try:
        lab.backup()
    except CyaError as error:
        said = str(error)
    if said:
        assert "sigtar" in said or "manifest" in said
        assert set(lab.target.iterdir()) == before
    else:
        assert lab.is_restored()


def test_any_cut_and_any_flip(used: Lab) -> None:
    good = sigtar(used).read_bytes()
    chance = random.Random(2)
    for turn in range(25):
        at = chance.randrange(len(good))
        bad = (
            good[:at] if turn % 5 == 0 else good[:at] + bytes([good[at] ^ (1 << chance.randrange(8))]) + good[at + 1 :]
        )
        sigtar(used).write_bytes(bad)
        before = set(used.target.iterdir())
        with pytest.raises(CyaError, match="sigtar"):
            used.backup()
        assert set(used.target.iterdir()) == before
    sigtar(used).write_bytes(good)
    used.backup()
    assert used.is_restored()


ABSURD = {
    "no head": b"",
    "a cut head": head(512)[:7],
    "another magic": b"rs\x016" + bytes(8),
    "block length 0": b"rs\x016" + bytes(4) + b"\0\0\0\x08",
    "block length 1": head(1) + bytes(12 * 400),
    "a huge block length": head(1 << 30) + bytes(12),
    "strong length 99": b"rs\x016\0\0\x02\0\0\0\0\x63" + bytes(500),
    "sums of zeros": head(512) + bytes(12 * 20_000),
    "a cut sum": head(512) + bytes(13),
}


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_signatures_cost_a_delta_and_nothing_else(used: Lab, what: str) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(member, ABSURD[what] if member.isreg() else data)]

    rewritten(used, change)
    right_or_told(used)
    if set(used.target.glob(f"*{used.stamp()}*")):
        assert (used.restored() / "large").read_bytes() == (used.source / "large").read_bytes()


@pytest.mark.parametrize(
    "name", ["signature/../../etc/passwd", "signature//etc/passwd", "other/file1", "signature", "diff/x"]
)
def test_odd_names_open_nothing_outside(used: Lab, name: str) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "signature/file1":
            member.name = name
        return [(member, data)]

    rewritten(used, change)
    right_or_told(used)


def test_entries_out_of_order_are_refused(used: Lab) -> None:
    found: list[tuple[tarfile.TarInfo, bytes]] = []

    def change(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        found.append((member, data))
        return list(reversed(found)) if member.name == "signature/large" else []

    rewritten(used, change)
    with pytest.raises(CyaError, match="comes after"):
        used.backup()


BOMB = """
import sys
from pathlib import Path
from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption
from cya.errors import CyaError
source, target, cache = map(Path, sys.argv[1:4])
engine = Native(None, cache)
try:
    engine.backup(BackupJob(source, target, int(sys.argv[4]), Encryption(), volume_size=1))
except CyaError as error:
    print(error)
# Not getrusage: that counts what was there before exec, too.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("kind", ["zeros", "long name", "many entries"])
def test_bombs_take_little_memory_and_time(used: Lab, kind: str) -> None:
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        if kind == "zeros":
            info = tarfile.TarInfo("signature/file1")
            info.size = 600 << 20
            file.write(info.tobuf())
            for _ in range(600):
                file.write(bytes(1 << 20))
        elif kind == "long name":
            info = tarfile.TarInfo("x" * (64 << 20))
            file.write(info.tobuf(tarfile.PAX_FORMAT))
        else:
            for number in range(100_000):
                file.write(tarfile.TarInfo(f"signature/a{number:09}").tobuf())
        file.write(bytes(10240))
    sigtar(used).write_bytes(bomb.getvalue())
    used.now += 100
    command = [sys.executable, "-c", BOMB, str(used.source), str(used.target), str(used.cache), str(used.now)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(ran.stdout.splitlines()[-1]) << 10 < 300 << 20, ran.stdout
