"""Deltas: whatever was changed, however the new file was sliced, rdiff and duplicity make it out of them."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cya.format import delta, signature, sums
from cya.format.delta import Basis
from tests import stock
from tests.format.test_signature import whole

RANDOM = Random(2)
OLD = RANDOM.randbytes(100_000)

PATCH = """
import sys
from duplicity import librsync
with open(sys.argv[1], "rb") as old, open(sys.argv[2], "rb") as delta, open(sys.argv[3], "wb") as new:
    patched = librsync.PatchedFile(old, delta)
    while data := patched.read(65536):
        new.write(data)
"""


def slices(basis: Basis, new: bytes, length: int | None = None) -> list[bytes]:
    """The commands for each slice of the new file, none longer than is promised."""
    memory = ctypes.create_string_buffer(new, max(1, len(new)))
    address = ctypes.addressof(memory)
    step = length or max(1, len(new))
    made = []
    for at in range(0, len(new), step):
        size = min(step, len(new) - at)
        made.append(basis.delta(address + at, size))
        assert len(made[-1]) <= delta.max_size(size, basis.block_length)
    return made


def joined(commands: list[bytes]) -> bytes:
    return delta.MAGIC + b"".join(commands) + delta.END


def patched(old: bytes, data: bytes, python: Path | None = None) -> bytes:
    """What rdiff, or duplicity's own librsync, makes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "old").write_bytes(old)
        (directory / "delta").write_bytes(data)
        command = ["rdiff", "patch"] if python is None else [str(python), "-c", PATCH]
        subprocess.run([*command, directory / "old", directory / "delta", directory / "new"], check=True)
        return (directory / "new").read_bytes()


def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """The data with some bytes changed, put in, taken out, and blocks moved about."""
    for _ in range(draw(st.integers(0, 4))):
        at, size = draw(st.integers(0, len(data))), draw(st.integers(0, 3000))
        match draw(st.sampled_from(["replace", "insert", "delete", "move", "double"])):
            case "replace":
                data = data[:at] + RANDOM.randbytes(min(size, len(data) - at)) + data[at + size :]
            case "insert":
                data = data[:at] + RANDOM.randbytes(size) + data[at:]
            case "delete":
                data = data[:at] + data[at + size :]
            case "move":
                data = data[at:] + data[:at]
            case "double":
                data = data[:at] + data[at : at + size] + data[at:]
    return data


@st.composite
def changes(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An old file and a new one."""
    kind = draw(st.sampled_from([OLD, bytes(100_000), b"ab" * 50_000, OLD[:700] * 100]))
    old = kind[: draw(st.integers(0, 40_000))]
    return old, edited(draw, old)


@given(changes(), st.sampled_from([7, 64, 512, 2048]), st.none() | st.integers(300, 50_000))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_rdiff_makes_the_new_file(files: tuple[bytes, bytes], block_length: int, length: int | None) -> None:
    old, new = files
    with Basis(whole(old, block_length)) as basis:
        assert patched(old, joined(slices(basis, new, length))) == new


@pytest.mark.parametrize("version", ["0.8", "3"])
@pytest.mark.parametrize("length", [None, 10_000])
def test_duplicity_makes_the_new_file(version: str, length: int | None) -> None:
    program = stock.program(version)
    python = Path("/usr/bin/python3") if version == "0.8" else program.parent / "python"
    new = OLD[50_000:] + b"between" + OLD[:30_000] + RANDOM.randbytes(40_000)
    with Basis(whole(OLD, 512)) as basis:
        commands = slices(basis, new, length)
    assert patched(OLD, joined(commands), python) == new


def test_what_is_unchanged_is_copied() -> None:
    with Basis(whole(OLD, 512)) as basis:
        assert len(b"".join(slices(basis, OLD))) < 100
        assert len(b"".join(slices(basis, b"!" + OLD))) < 100
        assert len(b"".join(slices(basis, OLD[:50_000] + b"changed" + OLD[50_000:]))) < 2 * 512
        new = RANDOM.randbytes(100_000)
        assert len(b"".join(slices(basis, new))) > len(new)


def test_an_old_file_that_was_empty_gives_literals() -> None:
    new = RANDOM.randbytes(3_000_001)
    with Basis(signature.head(512)) as basis:
        assert slices(basis, b"") == []
        assert basis.delta(0, 0) == b""
        for length in (None, 1, 1_000_000):
            some = new[:500] if length == 1 else new
            assert patched(b"", joined(slices(basis, some, length))) == some


def test_several_threads_may_use_a_basis_and_one_may_close_it_meanwhile() -> None:
    new = OLD[1000:] + OLD[:1000]
    basis = Basis(whole(OLD, 512))
    [expected] = slices(basis, new)
    with ThreadPoolExecutor(4) as pool:
        assert {commands for [commands] in pool.map(lambda _: slices(basis, new), range(100))} == {expected}
        running = [pool.submit(slices, basis, new * 20) for _ in range(4)]
        basis.close()
        basis.close()
        for one in running:
            if one.exception() is None:
                assert patched(OLD, joined(one.result())) == new * 20
            else:
                assert str(one.exception()) == "the basis is closed"
    with pytest.raises(ValueError, match="closed"):
        basis.delta(0, 0)


@pytest.mark.parametrize("damage", ["cut", "longer", "magic", "block", "strong", "empty", "head"])
def test_a_malformed_signature_is_refused(damage: str) -> None:
    good = whole(OLD, 512)
    data = {
        "cut": good[:-1],
        "longer": good + b"x",
        "magic": b"rs\x01F" + good[4:],
        "block": good[:4] + bytes(4) + good[8:],
        "strong": good[:8] + struct.pack(">I", 2**31) + good[12:],
        "empty": b"",
        "head": good[:11],
    }[damage]
    with pytest.raises(ValueError, match=r"a signature|a block|a strong sum"):
        Basis(data)


@given(st.binary(max_size=200), st.integers(1, 2**30), st.integers(1, 16))
@settings(deadline=None)
def test_any_sums_are_read_and_the_delta_is_well_formed(rest: bytes, block_length: int, strong_length: int) -> None:
    rest = rest[: len(rest) // (4 + strong_length) * (4 + strong_length)]
    with Basis(struct.pack(">III", signature.MAGIC, block_length, strong_length) + rest) as basis:
        # No block has these sums, but by one chance in 2**40; the old file need not exist then.
        commands = slices(basis, OLD[:2000], 999)
    if strong_length > 4:
        assert patched(b"", joined(commands)) == OLD[:2000]


def test_memory_is_given_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    data = whole(OLD * 20, 512)
    before = 0
    for turn in range(600):
        if turn == 100:
            before = resident()
        basis = Basis(data)
        slices(basis, OLD)
        if turn % 2:
            basis.close()
    # 500 times the sums of 3,900 blocks and their table would be more than 50 MB.
    assert resident() - before < 20_000_000


@pytest.fixture
def seconds() -> Iterator[list[float]]:
    began = time.process_time()
    spent: list[float] = []
    yield spent
    spent.append(time.process_time() - began)
    assert spent[0] < 60


@pytest.mark.usefixtures("seconds")
def test_runs_of_a_byte_whose_weak_sum_is_that_of_zeros_take_no_time_out_of_proportion() -> None:
    old, new = bytes(1 << 24), b" " * (1 << 24) + OLD
    with Basis(whole(old, 32768)) as basis:
        commands = slices(basis, new, 1 << 22)
        # It goes on comparing when there is time again.
        unchanged = slices(basis, bytes(1 << 24) + OLD)
    assert patched(old, joined(commands)) == new
    assert len(b"".join(unchanged)) < (1 << 24)


@pytest.mark.usefixtures("seconds")
def test_a_signature_of_blocks_that_share_a_weak_sum_takes_no_time_out_of_proportion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delta, "_GRACE", 30.0)  # thinned it needs a second of a quiet processor, and else minutes
    zeros = whole(bytes(512), 512)[12:16]
    hostile = b"".join(zeros + number.to_bytes(8, "big") for number in range(1, 300_000))
    with Basis(whole(OLD, 512) + hostile) as basis:
        new = bytes(1 << 22) + OLD
        commands = slices(basis, new)
    assert patched(OLD, joined(commands)) == new
    assert len(b"".join(commands)) < len(new) - 90_000


def test_few_blocks_of_a_weak_sum_are_kept_and_the_others_not_looked_for() -> None:
    plain = b"".join(struct.pack(">IQ", number, number) for number in range(5000))
    assert sums.thinned(b"head" + plain, 4, 8) == b"head" + plain
    shared = b"".join(struct.pack(">IQ", 7, number) for number in [*range(100), *range(100)])
    assert sums.thinned(shared, 0, 8) == shared
    kept = b"".join(struct.pack(">IQ", 7, number) for number in range(sums.SHARED))
    gone = plain[:12] * (100 - sums.SHARED)
    assert sums.thinned(plain + shared, 0, 8) == plain + (kept + gone) * 2


def test_equal_blocks_by_the_thousand_are_all_kept() -> None:
    data = whole(bytes(5000 * 512), 512)
    assert sums.thinned(data, 12, 8) == data
