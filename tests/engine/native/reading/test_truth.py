"""What is restored is what was: chains of any maker, and however they are stored."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.native.reading import patch, reader
from cya.engine.protocol import Encryption
from tests import stock
from tests.engine.native.reading.histories import History, history
from tests.engine.native.trees import picture

GPG_OPTIONS = (
    "--cipher-algo CAST5 --compress-algo bzip2",
    "--cipher-algo AES --compress-algo zlib --s2k-mode 0",
    "--cipher-algo AES192 --compress-algo none --s2k-mode 1",
    "--cipher-algo AES256 --compress-algo zip --s2k-digest-algo SHA512 --s2k-count 70000",
    "--cipher-algo TWOFISH --compress-algo zip",
    "--cipher-algo 3DES --compress-algo zlib --s2k-digest-algo SHA1",
    "--cipher-algo CAMELLIA256 --compress-algo none --s2k-digest-algo RIPEMD160",
)


@pytest.fixture
def made() -> Iterator[History]:
    with history() as found:
        yield found


@pytest.fixture
def plain() -> Iterator[History]:
    with history(Encryption()) as found:
        yield found


def check(made: History, place: Path, times: list[int] | None = None) -> None:
    """Each time is restored as it was, by processes and without any in turn."""
    for number, (time, truth) in enumerate(made.truth.items()):
        if times is None or time in times:
            reader._FEW = -1 if number % 2 else 1 << 60
            report = made.restore(place / str(time), time)
            assert (report.lost, report.damaged) == ((), ())
            assert picture(place / str(time)) == truth, time
            shutil.rmtree(place / str(time))


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_FEW", reader._FEW)


@pytest.mark.slow
@pytest.mark.parametrize("options", GPG_OPTIONS)
def test_stock_archives_with_any_options_of_gpg(made: History, tmp_path: Path, options: str) -> None:
    made.write("file", random.Random(1).randbytes(300_000))
    made.write("text", b"many words\n" * 50_000)
    program = stock.program("3" if "AES" in options else "0.8")
    command = [str(program), "full", "--gpg-options", options, "--archive-dir", str(tmp_path / "cache")]
    command += ["--current-time", str(made.now), str(made.source), f"file://{made.target}"]
    environment = {**os.environ, "PASSPHRASE": "correct horse", "GNUPGHOME": str(made.home), "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert made.restore(tmp_path / "to", made.now).damaged == ()
    assert picture(tmp_path / "to") == picture(made.source)


@pytest.mark.slow
def test_a_path_that_changes_its_type_is_at_each_time_what_it_was(made: History, tmp_path: Path) -> None:
    for maker in ("3", "native", "0.8", "native", "3", "native", "0.8"):
        step = len(made.truth)
        for name in ("a", "b", "c"):
            path = made.source / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            kind = (step + ord(name)) % 5
            if kind == 0:
                path.write_bytes(b"file %d" % step * 1000)
            elif kind == 1:
                (path / "below").mkdir(parents=True)
                (path / "below/file").write_bytes(b"below %d" % step)
            elif kind == 2:
                path.symlink_to("elsewhere")
            elif kind == 3:
                os.mkfifo(path)
            for each in (path, path / "below", path / "below/file"):
                if each.exists() and not each.is_symlink():
                    os.utime(each, (step, 1_000_000_000 + 10 * step))
        made.backup(maker)
    check(made, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("makers", [("native",) * 5, ("0.8", "native", "3", "native", "0.8")], ids=["native", "all"])
def test_large_files_that_grow_shrink_and_change_in_place_cross_volumes(
    plain: History, tmp_path: Path, makers: tuple[str, ...]
) -> None:
    chance = random.Random(2)
    content = bytearray(chance.randbytes(2_600_000))
    for number, maker in enumerate(makers):
        plain.write("before", b"%d" % number)
        plain.write("large", bytes(content))
        plain.write(f"new{number}", chance.randbytes(1_200_000))
        os.utime(plain.source / "large", (0, 1_000_000_000 + 10 * number))
        os.utime(plain.source / "before", (0, 1_000_000_000 + 10 * number))
        plain.backup(maker)
        content[1_000_000:1_000_500] = chance.randbytes(500)  # in place
        if number % 3 == 0:
            content += chance.randbytes(1_500_000)
        elif number % 3 == 1:
            del content[:700_000]
        else:
            content = content[:1_500_000] + content[:300_000]
    check(plain, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("most", [1 << 21, 200, 3], ids=["traced at once", "in turns", "each alone"])
def test_forty_changes_of_one_file_are_traced_through(
    plain: History, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch, "MOST_COMMANDS", most)
    chance = random.Random(3)
    content = bytearray(chance.randbytes(400_000))
    for number in range(41):
        plain.write("file", bytes(content))
        os.utime(plain.source / "file", (0, 1_000_000_000 + 10 * number))
        plain.backup()
        at = chance.randrange(len(content))
        content[at : at + chance.choice((0, 100))] = chance.randbytes(chance.choice((1, 100, 5_000)))
        if number % 10 == 9:
            content = content[at:] + content[:at]
    monkeypatch.setattr(reader, "_FEW", 1 << 60)  # in this process, where there are so few commands
    for time in (plain.now, plain.now - 1_700, plain.now - 3_900):
        report = plain.restore(tmp_path / str(time), time)
        assert (report.lost, report.damaged) == ((), ())
        assert picture(tmp_path / str(time)) == plain.truth[time]


@pytest.mark.slow
def test_paths_and_passphrases_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_FEW", -1)
    with history(Encryption("\udcff\udcfe and more")) as made:
        odd = os.fsdecode(b"\xff\n")
        for number in range(3):
            made.write(f"{odd}/{number}{odd}", random.Random(number).randbytes(900_000))
        made.backup()
        made.backup()
        report = made.restore(tmp_path / odd)
        assert (report.lost, report.damaged) == ((), ())
        assert picture(tmp_path / odd) == made.truth[made.now]
        made.restore(tmp_path / f"some {odd}", paths=(Path(odd, f"1{odd}"),))
        assert os.listdir(os.fsencode(tmp_path / f"some {odd}" / odd)) == [b"1\xff\n"]


@pytest.mark.slow
def test_several_paths_bring_what_lies_below_them_and_nothing_else(made: History, tmp_path: Path) -> None:
    chance = random.Random(4)
    for name in ("a", "a-b", "a/b", "a/b-c/x", "a/b/c", "a/z", "b", "b/a"):
        made.write(f"{name}.d/file", chance.randbytes(400_000))
    made.backup()
    made.write("a/b.d/file", b"changed")
    made.backup()
    paths = (Path("a"), Path("a-b.d/file"), Path("b.d"))
    made.restore(tmp_path / "to", paths=paths)
    wanted = {
        path: what
        for path, what in made.truth[made.now].items()
        if any(Path(os.fsdecode(path)).is_relative_to(each) for each in paths)
    }
    found = picture(tmp_path / "to")
    assert {path: what for path, what in found.items() if path in wanted} == wanted
    assert found.keys() - wanted.keys() == {b".", b"a-b.d"}
