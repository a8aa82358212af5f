"""Signatures: byte for byte what rdiff and duplicity 3.2.1 write, in one piece and in slices."""

from __future__ import annotations

import ctypes
import io
import subprocess
import tarfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cya.errors import MissingProgram
from cya.format import librsync, signature
from tests import stock

RANDOM = Random(1)
DATA = RANDOM.randbytes(300_000)


def sums(data: bytes, block_length: int, slice_length: int | None = None) -> bytes:
    """The sums of all blocks, made slice by slice."""
    memory = ctypes.create_string_buffer(data, max(1, len(data)))
    step = slice_length or max(1, len(data))
    address = ctypes.addressof(memory)
    return b"".join(
        signature.blocks(address + at, min(step, len(data) - at), block_length) for at in range(0, len(data), step)
    )


def whole(data: bytes, block_length: int) -> bytes:
    return signature.head(block_length) + sums(data, block_length)


def by_rdiff(data: bytes, block_length: int, directory: Path) -> bytes:
    (directory / "data").write_bytes(data)
    (directory / "signature").unlink(missing_ok=True)
    options = ["-R", "rollsum", "-H", "md4", "-S", "8", "-b", str(block_length)]
    subprocess.run(["rdiff", *options, "signature", directory / "data", directory / "signature"], check=True)
    return (directory / "signature").read_bytes()


@pytest.mark.parametrize("block_length", [1, 512, 513, 2048])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 70_001])
def test_a_signature_is_the_one_that_rdiff_writes(size: int, block_length: int, tmp_path: Path) -> None:
    assert whole(DATA[:size], block_length) == by_rdiff(DATA[:size], block_length, tmp_path)


@given(st.integers(0, len(DATA)), st.sampled_from([100, 512, 2048]), st.integers(1, 300))
@settings(deadline=None)
def test_the_sums_of_slices_are_joined_to_those_of_the_whole(size: int, block_length: int, count: int) -> None:
    assert sums(DATA[:size], block_length, count * block_length) == sums(DATA[:size], block_length)


def test_the_sums_are_those_of_the_memory_and_not_of_what_lies_around_it() -> None:
    memory = ctypes.create_string_buffer(b"<" + DATA[:1000] + b">")
    assert signature.blocks(ctypes.addressof(memory) + 1, 1000, 512) == sums(DATA[:1000], 512)


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (0, 512),
        (1, 512),
        (513**2 - 1, 512),
        (513**2, 1024),
        (1025**2 - 1, 1024),
        (1025**2, 1536),
        (10**12, 1_000_448),
        (2**63 - 1, 3_037_000_704),
    ],
)
def test_the_block_length_is_the_root_in_steps_of_512(size: int, length: int) -> None:
    assert signature.block_length(size) == length


def test_signatures_are_those_in_a_sigtar_of_duplicity(tmp_path: Path) -> None:
    program = stock.program("3")
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    sizes = [0, 1, 512, 513, 262_144, 513**2 - 1, 513**2, 1025**2 - 1, 1025**2, 1025**2 + 1, 5_000_000]
    for size in sizes:
        (source / str(size)).write_bytes(RANDOM.randbytes(size))
    options = ["--no-encryption", "--no-compression", "--archive-dir", str(tmp_path / "cache")]
    subprocess.run([program, "full", *options, source, f"file://{target}"], check=True, capture_output=True)
    [sigtar] = target.glob("*.sigtar")
    found = {}
    with tarfile.open(sigtar) as tar:
        for member in tar:
            if member.name.startswith("signature/"):
                content = tar.extractfile(member) or io.BytesIO()
                found[int(member.name.removeprefix("signature/"))] = content.read()
    assert sorted(found) == sizes
    for size in sizes:
        assert found[size] == whole((source / str(size)).read_bytes(), signature.block_length(size)), size


@given(st.integers(0, 40_000), st.integers(1, 2000))
@settings(deadline=None)
def test_the_size_of_the_file_lies_in_the_range(size: int, block_length: int) -> None:
    data = whole(DATA[:size], block_length)
    low, high = signature.size_range(signature.parse_head(data), len(data))
    assert low <= size <= high < low + block_length
    # The range is as narrow as it can be: those outside have another number of blocks.
    assert -(-(high + 1) // block_length) != -(-size // block_length)
    assert low == 0 or -(-(low - 1) // block_length) != -(-size // block_length)


def test_the_head_says_the_lengths() -> None:
    assert signature.parse_head(signature.head(2048)) == signature.Head(2048, 8)
    assert signature.parse_head(bytes.fromhex("72730136 00000800 00000010") + b"more") == (2048, 16)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "shorter"),
        ("72730136 00000200 000000", "shorter"),
        ("72730137 00000200 00000008", "not a signature by MD4"),
        ("72730236 00000200 00000008", "not a signature by MD4"),
        ("72730136 00000000 00000008", "a block has no 0 bytes"),
        ("72730136 ffffffff 00000008", "a block has no"),
        ("72730136 00000200 00000000", "a strong sum has no 0 bytes"),
        ("72730136 00000200 00000011", "a strong sum has no 17 bytes"),
        ("72730136 00000200 ffffffff", "a strong sum has no"),
    ],
)
def test_a_malformed_head_is_refused(data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        signature.parse_head(bytes.fromhex(data))


@pytest.mark.parametrize("size", [0, 11, 13, 23, 25])
def test_a_signature_that_is_cut_off_has_no_range(size: int) -> None:
    with pytest.raises(ValueError, match="ends within"):
        signature.size_range(signature.Head(512, 8), size)


def test_lengths_that_cannot_be_are_refused() -> None:
    for length, block_length in ((-1, 512), (1, 0), (1, -1), (1, 2**32)):
        with pytest.raises(ValueError, match=r"has no|no memory has"):
            signature.blocks(0, length, block_length)


def test_a_missing_library_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert librsync.available()
    librsync.library.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(librsync, "_NAME", "librsync.so.77")
        assert not librsync.available()
        with pytest.raises(MissingProgram, match="is not installed: apt-get install librsync2"):
            librsync.library()
        patched.setattr(librsync, "_NAME", "libc.so.6")
        with pytest.raises(MissingProgram, match="not the librsync that is needed"):
            librsync.library()
    assert librsync.available()
