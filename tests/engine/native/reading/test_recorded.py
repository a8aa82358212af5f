"""What sigtars record: all that a tree was, whoever wrote them; damage and malice are told, with the file's name."""

from __future__ import annotations

import ctypes
import gzip
import io
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cya.engine.native.gpg import Gpg
from cya.engine.native.native import Native
from cya.engine.native.reading import histories, sorting
from cya.engine.native.reading.histories import in_force
from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.recorded import Recorded, new_digest, packed, records, unpacked
from cya.engine.protocol import BackupJob, Encryption
from cya.errors import CyaError, DecryptionFailed, IntegrityError
from cya.format import signature
from cya.format.collection import collect
from tests.engine.native.conftest import Lab
from tests.engine.native.test_fuzz_served import ABSURD
from tests.engine.native.test_sequences import EXAMPLES, PASSPHRASE, Step, sequence, steps
from tests.engine.native.trees import Picture
from tests.engine.test_recipients import Keys, keys

__all__ = ["keys"]


def sigtars(target: Path, until: int | None = None) -> list[Path]:
    """The sigtars of the newest chain up to a time, the full first."""
    chain: list[Path] = []
    for files in collect(os.listdir(os.fsencode(target))).sets:
        if until is None or files.end <= until:
            chain = [] if files.is_full else chain
            assert files.sigtar is not None
            chain.append(target / os.fsdecode(files.sigtar))
    return chain


def opener(work: Path, passphrase: str | None = None, home: Path | None = None) -> Opener:
    return Opener(passphrase, Gpg(work, home))


def found(target: Path, work: Path, until: int | None = None, passphrase: str | None = None) -> list[Recorded]:
    for name in os.listdir(work):
        (work / name).unlink()
    return list(in_force(sigtars(target, until), opener(work, passphrase), work))


def digest(content: bytes, block: int) -> bytes:
    buffer = ctypes.create_string_buffer(content, max(1, len(content)))
    made = new_digest()
    made.update(signature.head(block) + signature.blocks(ctypes.addressof(buffer), len(content), block))
    return made.digest()


def check(recorded: list[Recorded], picture: Picture) -> None:
    """All that is recorded is what was there."""
    keys = [record.key for record in recorded]
    assert keys == sorted(set(keys))
    assert {record.path for record in recorded} == set(picture)
    for record in recorded:
        mode, uid, gid, mtime, content = picture[record.path]
        kind = stat.S_IFMT(mode)
        assert stat.S_IFMT(record.mode) == kind, record
        if kind != stat.S_IFLNK:
            assert record.mode == mode, record
        if os.geteuid() == 0:
            assert (record.uid, record.gid) == (uid, gid), record
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            assert record.mtime == mtime, record
        if kind == stat.S_IFREG:
            assert record.smallest <= len(content) <= record.largest, record
            assert record.digest == digest(content, record.block), record
        elif kind == stat.S_IFLNK:
            assert record.link == content, record
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            assert os.makedev(*record.device) == int(content), record


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="CYA_SEQUENCES" not in os.environ,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32), made=steps, encrypted=st.booleans())
def test_what_is_recorded_of_any_day_is_what_was_there_whichever_engines_made_the_chain(
    seed: int, made: list[Step], encrypted: bool
) -> None:
    with sequence(seed, encrypted=encrypted) as living:
        for number, (engine, before) in enumerate(made):
            if number:
                living.tree.change()
            living.step(engine, before if number else "")
        work = living.place / "work"
        work.mkdir()
        for time, was in living.seen.items():
            check(found(living.target, work, time, PASSPHRASE if encrypted else None), was)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def used(lab: Lab) -> Lab:
    """With a full and two increments, of files of all kinds."""
    chance = random.Random(1)
    for number in range(30):
        (lab.source / f"file{number}").write_bytes(chance.randbytes(number * 700))
    (lab.source / "gone/below").mkdir(parents=True)
    (lab.source / "gone/below/file").touch()
    (lab.source / "turns").touch()
    (lab.source / "new\nline").symlink_to("file1")
    lab.backup()
    shutil.rmtree(lab.source / "gone")
    (lab.source / "turns").unlink()
    (lab.source / "turns").mkdir()
    (lab.source / "turns/in").touch()
    os.close(os.open(os.fsencode(lab.source) + b"/\xff\xfe", os.O_CREAT | os.O_WRONLY))
    lab.backup()
    (lab.source / "gone").write_text("back as a file")
    lab.backup()
    return lab


def test_very_many_sigtars_go_through_files(used: Lab, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side_by_side = found(used.target, work)
    check(side_by_side, used.picture())
    monkeypatch.setattr(histories, "MOST_OPEN", 2)
    assert found(used.target, work) == side_by_side
    monkeypatch.setattr(sorting, "MOST_HELD", 1000)
    assert found(used.target, work) == side_by_side
    assert len(os.listdir(work)) > 5


def test_what_was_deleted_comes_back_as_it_is_then(used: Lab, work: Path) -> None:
    last = {record.path: record for record in found(used.target, work)}
    assert stat.S_ISREG(last[b"gone"].mode)
    assert last[b"gone"].number == 2
    assert b"gone/below/file" not in last
    assert last[b"file3"].number == 0
    assert b"gone" not in {record.path for record in found(used.target, work, used.now - 100)}
    assert b"gone/below/file" in {record.path for record in found(used.target, work, used.now - 200)}


def test_records_are_the_same_after_a_file(used: Lab, work: Path) -> None:
    for record in found(used.target, work):
        assert unpacked(packed(record)) == record
    odd = Recorded(b"\xff", 3, 1, 2**32 - 1, 0, b"\xfe", b"", -5, b"", (2**31 - 1, 0), 512, 0, 2**63, b"\0")
    assert unpacked(packed(odd)) == odd


def test_with_public_keys_gpg_is_asked_also_when_the_reading_is_stopped(keys: Keys, lab: Lab, work: Path) -> None:
    (lab.source / "file").write_text("content")
    (lab.source / "large").write_bytes(random.Random(1).randbytes(3_000_000))
    job = BackupJob(lab.source, lab.target, 0, Encryption(recipients=(keys.recipient,)), volume_size=1)
    for now in (1000, 2000):
        Native(None, lab.cache, keys.public_only).backup(BackupJob(job.source, job.target, now, job.encryption))
    reader = opener(work, "key secret", keys.with_secret)
    assert [record.path for record in in_force(sigtars(lab.target), reader, work)] == [b".", b"file", b"large"]
    stopped = in_force(sigtars(lab.target), reader, work)
    assert next(stopped).path == b"."
    stopped.close()  # type: ignore[attr-defined]
    with pytest.raises(DecryptionFailed):
        list(in_force(sigtars(lab.target), opener(work, None, keys.public_only), work))


def told(target: Path, work: Path) -> str | list[Recorded]:
    """What is said of damage, or else what is read."""
    try:
        return found(target, work, passphrase=PASSPHRASE)
    except CyaError as error:
        return str(error)


@pytest.mark.parametrize("encrypted", [False, True])
def test_any_cut_and_any_flip_is_told_with_the_name_of_the_file(lab: Lab, work: Path, encrypted: bool) -> None:
    for number in range(200):
        (lab.source / f"file{number}").write_bytes(random.Random(number).randbytes(number * 10))
    lab.backup(encryption=Encryption(PASSPHRASE) if encrypted else Encryption())
    (path,) = sigtars(lab.target)
    good, right = path.read_bytes(), told(lab.target, work)
    chance = random.Random(2)
    for turn in range(60):
        at = chance.randrange(20 if turn % 3 == 0 else len(good))
        flipped = good[:at] + bytes([good[at] ^ (1 << chance.randrange(8))]) + good[at + 1 :]
        path.write_bytes(good[:at] if turn % 5 == 0 else flipped)
        said = told(lab.target, work)
        # Deflate and gzip have bits that mean nothing.
        assert path.name in said if isinstance(said, str) else said == right and not encrypted, f"{at}: {said}"
    path.unlink()
    with pytest.raises(IntegrityError, match=f"{path.name}: this sigtar"):
        list(records(0, path, opener(work)))


def entry(name: str, content: bytes | None = None, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    for key, value in fields.items():
        setattr(info, key, value)
    info.size = len(content or b"")
    return info, content or b""


def made(path: Path, *entries: tuple[tarfile.TarInfo, bytes], after: bytes = b"") -> Path:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(out.getvalue() + after))
    return path


NAME = "duplicity-full-signatures.20200101T000000Z.sigtar.gz"
GOOD = signature.head(512) + bytes(12)
HOSTILE = {
    **{what: (entry("signature/file", content),) for what, content in ABSURD.items() if "zeros" not in what},
    "leaves the source": (entry("signature/../../etc/passwd", GOOD),),
    "is absolute": (entry("signature//etc/passwd", GOOD),),
    "a dot": (entry("snapshot/a/./b"),),
    "no sigtar's": (entry("diff/file", GOOD),),
    "a directory signed": (entry("signature/a"),),
    "a file not signed": (entry("snapshot/a", GOOD),),
    "out of order": (entry("signature/b", GOOD), entry("signature/a", GOOD)),
    "twice": (entry("signature/a", GOOD), entry("signature/a", GOOD)),
    "a hard link": (entry("snapshot/a", b"", type=tarfile.LNKTYPE),),
    "a huge owner": (entry("snapshot/a", uid=2**40),),
    "a huge device": (entry("snapshot/a", type=tarfile.CHRTYPE, devmajor=2**40),),
}
FINE = {"block length 1", "sums of zeros"}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_cannot_stand_in_a_sigtar_is_told_with_the_name_of_the_file(tmp_path: Path, work: Path, what: str) -> None:
    try:
        path = made(tmp_path / NAME, *HOSTILE[what])
    except ValueError:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(HOSTILE[what][0][0])
        path = tmp_path / NAME
        path.write_bytes(gzip.compress(out.getvalue()))
    if what in FINE:
        assert len(list(records(0, path, opener(work)))) == 1
        return
    with pytest.raises(IntegrityError, match=NAME):
        list(records(0, path, opener(work)))


def test_times_and_names_of_any_kind_are_read(tmp_path: Path, work: Path) -> None:
    path = made(
        tmp_path / NAME,
        entry("snapshot/"),
        entry("signature/a", GOOD, mtime=2**62, uname="x" * 300),
        entry("deleted/" + "d" * 5000, b""),
    )
    seen = list(records(0, path, opener(work)))
    assert [record.mode for record in seen] == [0o40644, 0o100644, 0]
    assert (seen[1].smallest, seen[1].largest, seen[1].mtime) == (1, 512, 2**62)


BOMB = """
import sys
from pathlib import Path
from cya.engine.native.gpg import Gpg
from cya.engine.native.reading.histories import in_force
from cya.engine.native.reading.opening import Opener
from cya.errors import CyaError
path, work = map(Path, sys.argv[1:])
try:
    count = sum(1 for _ in in_force([path] * int(path.suffix == ".gz"), Opener(None, Gpg(work, None)), work))
    print(count)
except CyaError as error:
    print(error)
# Not getrusage: that counts what was there before exec, too.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def bombs(kind: str) -> Iterator[bytes]:
    if kind == "a long signature":
        info = tarfile.TarInfo("signature/file")
        info.size = signature.HEAD_SIZE + (600 << 20) // 12 * 12
        yield info.tobuf()
        yield signature.head(512)
        for _ in range(info.size >> 20):
            yield bytes(1 << 20)
    elif kind == "a long name":
        yield tarfile.TarInfo("x" * (64 << 20)).tobuf(tarfile.PAX_FORMAT)
    elif kind == "many entries":
        for number in range(100_000):
            info = tarfile.TarInfo(f"signature/a{number:09}")
            info.size = 12
            yield info.tobuf() + signature.head(512).ljust(512, b"\0")
    yield bytes(1024)
    if kind == "zeros behind the end":
        for _ in range(600):
            yield bytes(1 << 20)


@pytest.mark.parametrize("kind", ["a long signature", "a long name", "many entries", "zeros behind the end"])
def test_bombs_take_little_memory_and_time(tmp_path: Path, work: Path, kind: str) -> None:
    path = tmp_path / NAME
    with gzip.open(path, "wb", compresslevel=1) as file:
        for data in bombs(kind):
            file.write(data)
    command = [sys.executable, "-c", BOMB, str(path), str(work)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(ran.stdout.splitlines()[-1]) << 10 < 100 << 20, ran.stdout
    assert NAME in ran.stdout or ran.stdout.startswith(("1\n", "100000\n"))
