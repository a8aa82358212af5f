"""Archives that want to do harm: nothing is written outside the destination, and what cannot be is named as lost."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cya.engine.native.reading import reader
from cya.engine.protocol import Encryption, Existing, Report, RestoreJob
from cya.engine.registry import engine_named
from tests.engine.native.reading.forged import Forger, copy, delta, extended, literal, member, raw

Restoring = Callable[..., Report]


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    return Forger(tmp_path / "target")


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    (tmp_path / "around").mkdir()
    (tmp_path / "around/victim").write_bytes(b"victim")
    (tmp_path / "around/dest").mkdir()
    return tmp_path / "around/dest"


@pytest.fixture(params=["alone", "workers"])
def restoring(
    request: pytest.FixtureRequest, forger: Forger, dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Restoring:
    monkeypatch.setattr(reader, "_FEW", 1 << 60 if request.param == "alone" else -1)

    def restore(existing: Existing = "refuse", **more: object) -> Report:
        engine = engine_named("native", tmp_path / "cache")
        try:
            job = RestoreJob(forger.target, dest, forger.now, Encryption(), existing=existing, **more)  # type: ignore[arg-type]
            return engine.restore(job)
        finally:
            assert (dest.parent / "victim").read_bytes() == b"victim"
            assert sorted(os.listdir(dest.parent)) == ["dest", "victim"]
            assert not [name for name in os.listdir(dest) if name.startswith(".cya")]

    return restore


def lost(report: Report) -> dict[str, str]:
    return {each.path: each.reason for each in report.lost}


ROOT = member(b"snapshot/", kind=b"5")


@pytest.mark.parametrize(
    "name",
    [b"snapshot/../victim", b"snapshot//victim", b"snapshot/a/../../victim", b"snapshot/./victim", b"snapshot/a/./b",
     b"snapshot/..", b"/etc/victim", b"victim", b"multivol_snapshot/../victim/1", b"multivol_snapshot/1",
     b"multivol_snapshot/a/99999999999999999999", b"multivol_snapshot/a/-1", b"diff/", b"deleted/../a", b""],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_damages_its_volume(
    forger: Forger, restoring: Restoring, dest: Path, name: bytes
) -> None:
    forger.increment([ROOT, member(b"snapshot/a good one", b"x")], [member(name or b"snapshot", b"harm")])
    report = restoring()
    assert len(report.damaged) == 1
    assert os.listdir(dest) == ["a good one"]


def test_a_zero_byte_in_a_name_damages_its_volume(forger: Forger, restoring: Restoring, dest: Path) -> None:
    forger.increment([ROOT], [extended(b"20 path=snapshot/a\0b\n"), raw(b"x")])
    assert len(restoring().damaged) == 1
    assert os.listdir(dest) == []


@pytest.mark.parametrize("existing", ["refuse", "keep", "replace", "resume"])
def test_what_lies_below_a_link_is_not_written_to_where_it_leads(
    forger: Forger, restoring: Restoring, dest: Path, existing: Existing
) -> None:
    link = member(b"snapshot/link", kind=b"2", linkname=b"..")
    below = [member(b"snapshot/link/victim", b"harm"), member(b"snapshot/link/new/more", b"harm")]
    forger.increment([ROOT, link, *below[:1]], below[1:])
    restoring(existing)
    forger.increment([member(b"snapshot/link/victim", b"harm again"), member(b"snapshot/link/x", kind=b"5")])
    if existing != "refuse":
        restoring(existing)


@pytest.mark.parametrize("existing", ["keep", "replace", "resume"])
def test_a_link_at_the_destination_is_not_followed(
    forger: Forger, restoring: Restoring, dest: Path, existing: Existing
) -> None:
    (dest / "dir").symlink_to("..")
    (dest / "file").symlink_to("../victim")
    forger.increment(
        [ROOT, member(b"snapshot/dir", kind=b"5"), member(b"snapshot/dir/victim", b"harm"),
         member(b"snapshot/file", b"harm", mode=0o777)]
    )  # fmt: skip
    restoring(existing)
    assert stat.S_IMODE((dest.parent / "victim").stat().st_mode) != 0o777


def test_odd_members_are_named_and_the_rest_is_restored(forger: Forger, restoring: Restoring, dest: Path) -> None:
    long = b"snapshot/" + b"n" * 100_000
    forger.increment(
        [ROOT, member(b"snapshot/contiguous", b"x", kind=b"7"),
         raw(b"snapshot/device", b"3", devices=(b"\x80" + b"\xff" * 7) * 2), member(b"snapshot/empty link", kind=b"2"),
         member(b"snapshot/hard", kind=b"1", linkname=b"../victim"),
         member(long, b"x"), raw(b"snapshot/old", mtime=b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7),
         raw(b"snapshot/older", mtime=b"\xff" * 4 + b"\x80" + b"\0" * 7),
         member(b"snapshot/whole", b"whole", uid=2**62, gid=2**62, uname=b"\xff\xfe", gname=b"no such")]
    )  # fmt: skip
    report = restoring()
    assert report.damaged == ()
    named = {path[:20] for path in lost(report)}
    assert named == {"contiguous", "device", "empty link", "hard", "n" * 20}
    assert sorted(os.listdir(dest)) == ["old", "older", "whole"]
    assert (dest / "whole").read_bytes() == b"whole"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_what_only_root_may_make_is_named_for_others_and_nothing_runs_as_them(forger: Forger, tmp_path: Path) -> None:
    forger.increment(
        [ROOT, raw(b"snapshot/device", b"3", devices=b"0000001\0000003\0"), member(b"snapshot/fifo", kind=b"6"),
         member(b"snapshot/suid", b"#!", mode=0o6755), member(b"snapshot/whole", b"whole")]
    )  # fmt: skip
    program = """
import os, sys, tempfile
from pathlib import Path
from cya.engine.protocol import Encryption, RestoreJob
from cya.engine.registry import engine_named
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with tempfile.TemporaryDirectory() as place:
    dest = Path(place, "dest"); dest.mkdir()
    report = engine_named("native", Path(place, "cache")).restore(
        RestoreJob(Path(sys.argv[1]), dest, int(sys.argv[2]), Encryption()))
    print([each.path for each in report.lost], sorted(os.listdir(dest)), oct((dest / "suid").stat().st_mode))
"""
    for path in (tmp_path.parent.parent, tmp_path.parent, tmp_path, forger.target):
        path.chmod(0o755)
    command = [sys.executable, "-c", program, str(forger.target), str(forger.now)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4])
    if "PermissionError" in ran.stderr and not ran.stdout:
        pytest.skip("nobody else may read this checkout")
    assert ran.stdout.strip() == "['device'] ['fifo', 'suid', 'whole'] 0o100755", ran.stderr


@pytest.mark.parametrize(
    "commands",
    [(copy(0, 2**61),) * 9, (copy(2, 5),), (copy(2**61, 1),), (b"\x44" + b"\xff" * 8,), (b"\x60",), (b"\x45\0\0",),
     (copy(0, 2**61), copy(0, 2**61)), (literal(b"good"), b"\0", literal(b"after the end"))],
    ids=["more than a file", "beyond", "far beyond", "no such literal", "no command", "nothing", "exabytes", "after"],
)  # fmt: skip
def test_deltas_that_cannot_be_are_named(
    forger: Forger, restoring: Restoring, dest: Path, commands: tuple[bytes, ...]
) -> None:
    forger.increment([ROOT, member(b"snapshot/file", b"base"), member(b"snapshot/whole", b"whole")])
    forger.increment([member(b"diff/file", delta(*commands))])
    assert set(lost(restoring())) == {"file"}
    assert os.listdir(dest) == ["whole"]


def test_a_few_bytes_that_make_more_than_there_is_room_for_are_named_and_fill_nothing(
    forger: Forger, restoring: Restoring, dest: Path
) -> None:
    size = 1 << 20
    forger.increment([ROOT, member(b"snapshot/file", bytes(size))])
    for factor in (1 << 10, 1 << 10, 1 << 10):  # 1 PiB
        forger.increment([member(b"diff/file", delta(*[copy(0, size)] * factor))])
        size *= factor
    report = restoring()
    assert "no room" in lost(report)["file"]
    assert os.listdir(dest) == []


def pieces(numbers: list[int], size: int = 512) -> list[bytes]:
    return [member(b"multivol_snapshot/file/%d" % number, bytes([number % 251]) * size) for number in numbers]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 3], []),
        ([2, 3], []),
        ([1, 2], [4]),
        ([1, 2], [2, 3]),
        ([10**17], [10**17 + 1]),
        ([1], [10**16, 10**16 + 1]),
    ],
)
def test_pieces_that_do_not_fit_are_named(
    forger: Forger, restoring: Restoring, dest: Path, first: list[int], second: list[int]
) -> None:
    forger.increment([ROOT, *pieces(first)], [*pieces(second), member(b"snapshot/whole", b"whole")])
    assert set(lost(restoring())) == {"file"}
    assert os.listdir(dest) == ["whole"]


@pytest.mark.parametrize("numbers", [[2, 1], [1, 1]])
def test_pieces_out_of_order_damage_their_volume(forger: Forger, restoring: Restoring, numbers: list[int]) -> None:
    forger.increment([ROOT], pieces(numbers))
    assert len(restoring().damaged) == 1


def test_pieces_of_other_lengths_are_never_joined_wrongly(forger: Forger, restoring: Restoring, dest: Path) -> None:
    forger.increment([ROOT, *pieces([1, 2], 512)], [*pieces([3, 4], 1024)], [*pieces([5, 6], 5 << 20)])
    assert set(lost(restoring())) == {"file"}
    assert os.listdir(dest) == []


@pytest.mark.parametrize("path", ["a", "a/file"])
def test_the_same_path_twice_is_never_written_over_in_silence(
    forger: Forger, restoring: Restoring, dest: Path, path: str
) -> None:
    name = b"snapshot/" + path.encode()
    forger.increment([ROOT, member(name, b"one")], [member(name, b"two"), member(b"snapshot/b", b"b")])
    assert path in lost(restoring())
    assert (dest / "b").read_bytes() == b"b"


@pytest.mark.parametrize("digest", ["SHAKE128", "FOO", "sha3-512", "SHA1"])
def test_a_hash_that_is_not_known_proves_nothing(forger: Forger, restoring: Restoring, digest: str) -> None:
    forger.increment([ROOT, member(b"snapshot/a", b"one")], digest=digest)
    assert bool(restoring().damaged) == (digest != "SHA1")


def test_directories_five_thousand_levels_deep_are_restored(forger: Forger, restoring: Restoring, dest: Path) -> None:
    parts = [b"d"] * 5_000
    members = [member(b"snapshot/" + b"/".join(parts[:depth]), kind=b"5") for depth in range(1, 5_001, 50)]
    forger.increment([ROOT, *members, member(b"snapshot/" + b"/".join(parts) + b"/file", b"deep")])
    assert restoring().lost == ()
    found = subprocess.run(["find", dest, "-name", "file", "-printf", "%d %s"], capture_output=True, check=True)
    assert found.stdout == b"5001 4"
    subprocess.run(["rm", "-rf", dest / "d"], check=True)


SMALL = """
import os, resource, sys
from pathlib import Path
from cya.engine.native.reading import reader
from cya.engine.protocol import Encryption, RestoreJob
from cya.engine.registry import engine_named
from cya.errors import CyaError
reader._FEW = 1 << 60
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
def memory():  # what getrusage tells begins with that of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10
target, place, now = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
(place / "to").mkdir(parents=True)
try:
    report = engine_named("native", place / "cache").restore(RestoreJob(target, place / "to", now, Encryption()))
    print(len(report.lost), len(report.damaged), memory())
except CyaError as error:
    print(type(error).__name__, error, memory())
"""


def measured(forger: Forger, place: Path) -> tuple[int, int, int]:
    """Restore in a process of its own with few open files: numbers of lost and damaged, and MiB of memory."""
    command = [sys.executable, "-c", SMALL, str(forger.target), str(place), str(forger.now)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4])
    assert ran.returncode == 0, ran.stderr
    gone, damaged, memory = map(int, ran.stdout.split())
    return gone, damaged, memory


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["owners", "records", "names", "zeros", "pieces", "volumes", "many lost"])
def test_bombs_take_no_memory(forger: Forger, tmp_path: Path, kind: str) -> None:
    if kind == "owners":  # each remembered once it was looked up
        record = b"uname=" + b"u" * 900_000 + b"%05d\n"
        members = [
            extended(b"%d " % (len(record % i) + 7) + record % i) + raw(b"snapshot/%05d" % i) for i in range(400)
        ]
        forger.increment([ROOT, *members])
        expected = (0, 0)
    elif kind == "records":
        members = [extended(b"11 a=00000\n" + b"5 a=\n" * 150_000) + raw(b"snapshot/%05d" % i) for i in range(8)]
        forger.increment([ROOT, *members])
        expected = (0, 0)
    elif kind == "names":
        forger.increment([ROOT, *(member(b"snapshot/%05d" % i + b"n" * 900_000) for i in range(120))])
        expected = (120, 0)
    elif kind == "zeros":
        head = member(b"snapshot/zeros", size=1 << 29)
        packed = gzip.compress(head, 1) + gzip.compress(bytes(1 << 20), 9) * (1 << 9) + gzip.compress(bytes(1024), 1)
        forger.increment([ROOT], packed)
        expected = (0, 0)
    elif kind == "pieces":
        base = bytes(range(250))
        forger.increment([ROOT, member(b"snapshot/file", base)])
        for _ in range(4):
            forger.increment([member(b"diff/file", delta(*(copy(i % 249, 1) for i in range(250_000))))])
        expected = (0, 0)
    elif kind == "volumes":
        lines = b"".join(
            b"Volume %d:\n    StartingPath   a \n    EndingPath     a \n    Hash SHA1 %040d\n" % (i, i)
            for i in range(1, 20_001)
        )
        forger.increment([ROOT], manifest=lines)
        expected = (1, 20_000)
    else:
        members = [member(b"snapshot/%06d" % i + b"n" * 300) for i in range(100_000)]
        forger.increment([ROOT, *members])
        expected = (100_000, 0)
    gone, damaged, memory = measured(forger, tmp_path / "run")
    assert (gone, damaged) == expected
    assert memory < 300


@pytest.mark.slow
def test_many_volumes_need_few_open_files(forger: Forger, tmp_path: Path) -> None:
    """Far more volumes with directories, and parts of files, than may be open at once."""
    volumes = []
    for number in range(300):
        below = b"dir%03d" % number
        volumes.append(
            [member(b"snapshot/" + below, kind=b"5", mode=0o750), member(b"snapshot/" + below + b"/f", b"old")]
        )
    volumes[0].insert(0, ROOT)
    forger.increment(*volumes)
    new = delta(literal(b"new"))
    forger.increment(*([member(b"diff/dir%03d/f" % number, new)] for number in range(300)))
    assert measured(forger, tmp_path / "run")[:2] == (0, 0)
    to = tmp_path / "run/to"
    assert {(to / f"dir{number:03}/f").read_bytes() for number in range(300)} == {b"new"}
    assert {stat.S_IMODE((to / f"dir{number:03}").stat().st_mode) for number in range(300)} == {0o750}


def test_of_a_chain_that_makes_no_sense_all_is_named(forger: Forger, restoring: Restoring, dest: Path) -> None:
    forger.increment(b"no gzip", manifest=b"\xff\xfe no manifest")
    report = restoring()
    assert len(report.damaged) == 2
    assert list(lost(report)) == [". … the end"]
    assert os.listdir(dest) == []
