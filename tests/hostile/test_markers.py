"""``FINISHED`` as a stranger may write it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from tests.hostile.world import DAY, Outcome, Scene, World, needs_root, refused

pytestmark = needs_root

MALFORMED = refused("FINISHED is malformed")
ONE_SIDE = refused("is on one side only")


def says(make: Callable[[dict[str, object]], object]) -> Callable[[Scene], object]:
    """The marker of an honest upload, changed: a structure to be written as JSON, or bytes as they are."""

    def attack(it: Scene) -> None:
        it.upload(DAY)
        place = it.next / "FINISHED"
        new = make(json.loads(place.read_text()))
        place.write_bytes(new if isinstance(new, bytes) else json.dumps(new).encode())

    return attack


def of_first(**changes: object) -> Callable[[Scene], object]:
    def change(marker: dict[str, object]) -> object:
        marker["files"][0].update(changes)  # type: ignore[index]
        return marker

    return says(change)


def more(*names: str) -> Callable[[Scene], object]:
    def change(marker: dict[str, object]) -> object:
        files = [{"name": name, "size": 1, "sha256": "0" * 64} for name in names]
        return {**marker, "files": [*marker["files"], *files]}  # type: ignore[misc]

    return says(change)


def as_kind(make: Callable[[str], object]) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        it.upload(DAY)
        place = it.next / "FINISHED"
        place.unlink()
        make(str(place))

    return attack


def sized(size: int) -> Callable[[str], object]:
    def make(path: str) -> None:
        with open(path, "wb") as file:
            file.truncate(size)

    return make


ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "a FIFO": (as_kind(os.mkfifo), refused("it is not a plain file")),
    "a directory": (as_kind(os.mkdir), MALFORMED),
    "empty": (as_kind(sized(0)), MALFORMED),
    "1 GB of nothing": (as_kind(sized(1 << 30)), refused("it is too long")),
    "8 TiB of nothing": (as_kind(sized(8 << 40)), refused("it is too long")),
    "brackets, a million deep": (says(lambda _: b"[" * 1_000_000), MALFORMED),
    "files, a million deep": (says(lambda _: b'{"files":' * 1_000_000), MALFORMED),
    "an unknown field, a million deep": (says(lambda _: b'{"x":' + b"[" * 1_000_000), MALFORMED),
    "an unknown field with a terminal's escapes": (says(lambda m: {**m, "\x1b]0;x\x07\x1b[2J": 1}), MALFORMED),
    "an unknown field of 30 MB": (says(lambda _: b'{"' + b"A" * (30 << 20) + b'":1}'), MALFORMED),
    "a version of 4,000 digits": (says(lambda _: b'{"files":[],"version":' + b"9" * 4_000 + b"}"), MALFORMED),
    "a version of tomorrow": (says(lambda m: {**m, "version": 2}), MALFORMED),
    "no files": (says(lambda m: {**m, "files": []}), ONE_SIDE),
    "files as an object": (says(lambda m: {**m, "files": {}}), MALFORMED),
    "300,000 files": (
        says(
            lambda _: b'{"files":[%b]}' % b",".join(b'{"name":"%d","size":1,"sha256":""}' % n for n in range(300_000))
        ),
        ONE_SIDE,
    ),
    "a file twice": (says(lambda m: {**m, "files": [*m["files"], m["files"][0]]}), MALFORMED),  # type: ignore[misc,index]
    "a lone surrogate": (says(lambda _: rb'{"files":[{"name":"\ud800","size":1,"sha256":""}]}'), MALFORMED),
    "no UTF-8": (says(lambda _: b'{"files":[{"name":"\xff","size":1,"sha256":""}]}'), MALFORMED),
    "a NUL in a name": (more("x\0y"), ONE_SIDE),
    "a way out in a name": (more("../../../etc/passwd"), ONE_SIDE),
    "an absolute name": (more("/etc/passwd"), ONE_SIDE),
    "itself": (more("FINISHED"), ONE_SIDE),
    "an empty name": (more(""), ONE_SIDE),
    "the committed files": (more("duplicity-full.20121204T030000Z.manifest.gpg"), ONE_SIDE),
    "a negative size": (of_first(size=-1), refused("and should have -1")),
    "a size of 0": (of_first(size=0), refused("and should have 0")),
    "a size as a float": (of_first(size=80.0), MALFORMED),
    "a size as a string": (of_first(size="80"), MALFORMED),
    "a size as a truth value": (of_first(size=True), MALFORMED),
    "a size without end": (says(lambda _: b'{"files":[{"name":"a","size":1e999,"sha256":""}]}'), MALFORMED),
    "a size of 5,000 digits": (
        says(lambda _: b'{"files":[{"name":"a","size":' + b"9" * 5_000 + b',"sha256":""}]}'),
        MALFORMED,
    ),
    "a size beyond 64 bits": (of_first(size=1 << 70), refused("and should have 1180591620717411303424")),
    "a SHA-256 in capitals": (of_first(sha256="A" * 64), refused("not the SHA-256")),
    "a SHA-256 of 1 MB": (of_first(sha256="0" * 1_000_000), refused("not the SHA-256")),
    "no SHA-256": (of_first(sha256=None), MALFORMED),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_marker_does_harm_or_says_more_than_a_line(world: World, attack: str) -> None:
    world.withstands(*ATTACKS[attack])
    (reason,) = world.villain.state.glob("quarantine/*/REASON")
    text = reason.read_text()
    assert len(text) < 1_000
    assert text.strip("\n").isprintable()
    assert (world.villain.state / "log").stat().st_size < 10_000
