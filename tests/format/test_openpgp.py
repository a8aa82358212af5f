"""OpenPGP messages: gpg and Sequoia read them, and refuse them when they are damaged."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pysequoia
import pytest

from cya.format.openpgp import PART, Compressed, Message, SessionKey, derive
from tests import stock

SALT = b"saltsalt"
PASSPHRASE = b"correct horse"
CHEAP = derive(PASSPHRASE, SALT, count_byte=0)
DATA = Random(3).randbytes(5 << 20)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with stock.gpg_home() as path:
        yield path


def deflated(data: bytes, step: int = 1 << 20) -> list[bytes]:
    """Pieces that are each deflated by themselves, as they will be by several threads."""
    pieces = []
    for at in range(0, len(data), step):
        compressor = zlib.compressobj(1, wbits=-15)
        pieces.append(compressor.compress(data[at : at + step]) + compressor.flush(zlib.Z_FULL_FLUSH))
    return pieces


def encrypted(data: bytes, key: SessionKey = CHEAP, step: int = 1 << 20) -> bytes:
    written = bytearray()
    message = Message(key, written.extend)
    for piece in deflated(data, step):
        message.write_deflated(piece)
    before = message.size
    message.close()
    assert before < message.size == len(written) <= before + message.closing_size
    return bytes(written)


def gpg(home: Path, data: bytes, *options: str, passphrase: bytes = PASSPHRASE) -> subprocess.CompletedProcess[bytes]:
    reading, writing = os.pipe()
    os.write(writing, passphrase)
    os.close(writing)
    command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    try:
        return subprocess.run(
            [*command, "--passphrase-fd", str(reading), *options],
            input=data,
            pass_fds=[reading],
            capture_output=True,
            check=False,
        )
    finally:
        os.close(reading)


@pytest.mark.parametrize("size", [0, 1, 100, 8000, 70_000, 5 << 20])
def test_gpg_and_sequoia_read_a_message(size: int, home: Path) -> None:
    message = encrypted(DATA[:size])
    result = gpg(home, message, "--decrypt")
    assert (result.returncode, result.stdout) == (0, DATA[:size]), result.stderr
    assert pysequoia.decrypt(message, passwords=[PASSPHRASE.decode()]).bytes == DATA[:size]


def stored(total: int) -> tuple[bytes, bytes]:
    """Raw deflate of exactly so many bytes, in stored blocks, and the data in it."""
    count = -(-total // 65540)
    data = DATA[: total - 5 * count]
    blocks = b""
    for number in range(count):
        some = data[number * 65535 : (number + 1) * 65535]
        blocks += b"\0" + len(some).to_bytes(2, "little") + (0xFFFF ^ len(some)).to_bytes(2, "little") + some
    return blocks, data


# Of the body, 33 bytes come before what is deflated and 24 after it.
@pytest.mark.parametrize("beside", [-58, -57, -56, -35, -34, -33, -32, -24, -23, -22, -2, -1, 0, 1, 2, 100])
@pytest.mark.parametrize("parts", [1, 2])
def test_messages_that_end_about_the_border_of_a_part_are_read(parts: int, beside: int, home: Path) -> None:
    written = bytearray()
    message = Message(CHEAP, written.extend)
    piece, data = stored(parts * PART + beside)
    message.write_deflated(piece)
    before = message.size
    message.close()
    assert before < message.size == len(written) <= before + message.closing_size
    result = gpg(home, bytes(written), "--decrypt")
    assert (result.returncode, result.stdout) == (0, data), result.stderr
    assert pysequoia.decrypt(bytes(written), passwords=[PASSPHRASE.decode()]).bytes == data


def test_the_slowest_key_and_long_passphrases_are_the_ones_of_gpg(home: Path) -> None:
    for passphrase, count_byte in ((PASSPHRASE, 0xFF), (b"x" * 200, 0), (b"y" * 3000, 1), ("größe".encode(), 0x60)):
        message = encrypted(b"data", derive(passphrase, os.urandom(8), count_byte))
        assert gpg(home, message, "--decrypt", passphrase=passphrase).stdout == b"data"


def test_a_wrong_passphrase_reads_nothing(home: Path) -> None:
    message = encrypted(DATA[:1000])
    result = gpg(home, message, "--decrypt", passphrase=b"wrong")
    assert result.returncode == 2
    assert result.stdout == b""
    with pytest.raises(Exception, match=r".+"):
        pysequoia.decrypt(message, passwords=["wrong"])


def test_any_flipped_byte_is_refused(home: Path) -> None:
    message = encrypted(b"some data " * 3)
    assert gpg(home, message, "--decrypt").returncode == 0
    for at in range(len(message)):
        for bits in (0x01, 0x80):
            damaged = bytearray(message)
            damaged[at] ^= bits
            assert gpg(home, bytes(damaged), "--decrypt").returncode != 0, (at, bits)


@pytest.mark.parametrize("cut", [1, 22, 1000, PART, 2 * PART])
def test_a_message_that_is_cut_off_is_refused(cut: int, home: Path) -> None:
    assert gpg(home, encrypted(DATA[: 3 * PART])[:-cut], "--decrypt").returncode != 0


def test_gpg_sees_the_packets_that_it_writes_itself(home: Path) -> None:
    result = gpg(home, encrypted(DATA[:1000], derive(PASSPHRASE, SALT)), "--list-packets")
    packets = result.stdout.decode()
    assert result.returncode == 0
    for part in (
        ":symkey enc packet: version 4, cipher 9",
        "s2k 3, hash 8",
        f"salt {SALT.hex().upper()}, count 65011712 (255)",
        "mdc_method: 2",
        ":compressed packet: algo=1",
        ":literal data packet:",
        'mode b (62), created 0, name=""',
    ):
        assert part in packets, packets
    assert b"WARNING" not in result.stderr


def test_messages_of_one_key_have_nothing_in_common() -> None:
    first, second = encrypted(bytes(10_000)), encrypted(bytes(10_000))
    same = 15 + 2 + 1  # the session key packet; tag, length and version of what is encrypted
    assert first[:15] == second[:15]
    assert sum(one == other for one, other in zip(first[same:], second[same:], strict=True)) < len(first) // 4
    given = [bytearray(), bytearray()]
    for written in given:
        Message(CHEAP, written.extend, random_prefix=bytes(range(16))).close()
    assert given[0] == given[1]


def test_however_the_data_are_cut_into_pieces_the_message_is_the_same() -> None:
    piece, _ = stored(PART + 1000)
    made = set()
    for step in (len(piece), 1, 4096, PART):
        written = bytearray()
        message = Message(CHEAP, written.extend, random_prefix=bytes(16))
        for at in range(0, len(piece), step):
            message.write_deflated(memoryview(piece)[at : at + step])
        message.close()
        made.add(bytes(written))
    assert len(made) == 1


def test_size_is_what_lies_there_and_is_kept_back() -> None:
    written = bytearray()
    message = Message(CHEAP, written.extend)
    for piece in deflated(DATA, 100_000):
        before = message.size
        message.write_deflated(piece)
        assert len(written) <= message.size <= len(written) + PART
        assert 0 <= message.size - before - len(piece) <= 1
    message.close()
    assert message.size == len(written)


@pytest.mark.parametrize("kind", ["message", "compressed"])
def test_what_is_closed_is_not_written_to(kind: str) -> None:
    message = Message(CHEAP, len) if kind == "message" else Compressed(len)
    message.close()
    for act in (message.close, lambda: message.write_deflated(b"")):
        with pytest.raises(ValueError, match="closed"):
            act()


def test_wrong_salts_counts_and_prefixes_are_refused() -> None:
    for salt, count_byte in ((b"", 0), (b"123456789", 0), (SALT, 256), (SALT, -1)):
        with pytest.raises(ValueError, match=r"salt|byte"):
            derive(PASSPHRASE, salt, count_byte)
    with pytest.raises(ValueError, match="prefix"):
        Message(CHEAP, len, random_prefix=b"short")


def test_a_key_is_not_shown() -> None:
    assert CHEAP.key.hex() not in repr(CHEAP)
    assert repr(CHEAP.key) not in repr(CHEAP)


@pytest.mark.parametrize("size", [0, 1, 70_000, 5 << 20])
def test_gpg_reads_a_compressed_message_and_encrypts_it_for_a_key_as_it_is(size: int, home: Path) -> None:
    recipient = "someone@example.org"
    if recipient.encode() not in gpg(home, b"", "--list-keys").stdout:
        made = gpg(home, b"", "--quick-generate-key", recipient, "future-default", "default", "never", passphrase=b"")
        assert made.returncode == 0, made.stderr
    written = bytearray()
    message = Compressed(written.extend)
    for piece in deflated(DATA[:size]):
        message.write_deflated(piece)
    message.close()
    assert gpg(home, bytes(written), "--decrypt").stdout == DATA[:size]
    options = ["--trust-model", "always", "--no-auto-key-locate", "--recipient", recipient]
    options += ["--no-literal", "--compress-algo", "none", "--encrypt"]
    result = gpg(home, bytes(written), *options)
    assert result.returncode == 0, result.stderr
    assert len(written) < len(result.stdout) < len(written) + 1000 + size // 1000
    read = gpg(home, result.stdout, "--decrypt", passphrase=b"")
    assert (read.returncode, read.stdout) == (0, DATA[:size]), read.stderr
    damaged = bytearray(result.stdout)
    damaged[-1] ^= 1
    assert gpg(home, bytes(damaged), "--decrypt", passphrase=b"").returncode != 0
