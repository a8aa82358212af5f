"""What a drill draws."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from cya.client.draw import Rules, draw
from cya.engine.native.reading.recorded import Recorded


def tree(sizes: dict[str, int]) -> list[Recorded]:
    """Files of these sizes, and the directories that they lie in (a path with a slash at its end is one itself)."""
    found: dict[bytes, Recorded] = {b"": Recorded(b"", 0, stat.S_IFDIR | 0o755)}
    for path, size in sizes.items():
        *above, name = path.split("/")
        for depth in range(1, len(above) + 1):
            key = "\0".join(above[:depth]).encode()
            found[key] = Recorded(key, 0, stat.S_IFDIR | 0o755)
        if name:
            key = "\0".join([*above, name]).encode()
            found[key] = Recorded(key, 0, stat.S_IFREG | 0o644, block=2048, smallest=size, largest=size)
    return [found[key] for key in sorted(found)]


def never(_: Recorded) -> bool:
    return False


def rules(files: int = 5, most: int = 1000, seed: int = 1, directory: bytes | None = None) -> Rules:
    return Rules(files, most, seed, directory, never)


SIZES = {f"{folder}/{name}": 10 for folder in ("a", "b", "b/c", "d d") for name in range(6)}


def test_each_file_and_each_directory_is_drawn_as_often_as_any_other() -> None:
    files: Counter[bytes] = Counter()
    directories: Counter[bytes | None] = Counter()
    for seed in range(2000):
        lot = draw(tree(SIZES), 1, rules(seed=seed))
        assert len(lot.files) == 5
        files.update(lot.files)
        directories[lot.directory] += 1
    assert len(files) == len(SIZES)
    assert all(300 < count < 540 for count in files.values())
    assert directories.keys() == {b"", b"a", b"b", b"b\0c", b"d d"}
    assert all(300 < count < 500 for count in directories.values())


def test_each_backup_has_a_draw_of_its_own() -> None:
    assert draw(tree(SIZES), 1, rules()) == draw(tree(SIZES), 1, rules())
    assert len({draw(tree(SIZES), time, rules()).files for time in range(20)}) > 15


@given(
    st.dictionaries(st.from_regex(r"([ab]/){0,3}[ab]{1,3}f", fullmatch=True), st.integers(0, 300), max_size=20),
    st.integers(0, 10),
    st.integers(0, 2000),
    st.integers(0, 99),
)
def test_never_more_than_was_allowed(sizes: dict[str, int], files: int, most: int, seed: int) -> None:
    lot = draw(tree(sizes), 1, rules(files, most, seed))

    def within(top: bytes) -> Iterator[int]:
        return (each.largest for each in tree(sizes) if not top or each.key.startswith(top + b"\0"))

    drawn = [sizes[key.decode().replace("\0", "/")] for key in lot.files]
    assert len(drawn) <= files
    assert sum(drawn) <= most // 2
    assert lot.too_large == sum(size > most // 2 for size in sizes.values())
    if len(sizes) <= files and sum(sizes.values()) <= most // 2:
        assert len(drawn) == len(sizes)
    assert (
        lot.directory is not None or min(sum(within(each.key)) for each in tree(sizes) if each.block == 0) > most // 2
    )
    below = [*within(lot.directory)] if lot.directory is not None else []
    assert lot.bytes == sum(drawn) + sum(below) <= most


def test_a_directory_with_nothing_in_it_is_drawn_only_where_there_is_no_other() -> None:
    sizes = {"empty/": 0, "one/file": 5, "large/1": 900, "two/1": 5, "two/2": 5}
    for seed in range(30):
        assert draw(tree(sizes), 1, rules(seed=seed)).directory == b"two"
    assert draw(tree({}), 1, rules()).directory == b""
    assert draw(tree({"large": 900, "empty/": 0}), 1, rules()).directory == b"empty"


def test_one_that_is_asked_for_may_use_what_the_files_leave() -> None:
    sizes = {"large/1": 700, "small/1": 1, "small/2": 1}
    assert draw(tree(sizes), 1, rules(directory=b"large")).directory == b"large"
    assert draw(tree(sizes), 1, rules(directory=b"large", most=701)).directory is None
    assert draw(tree(sizes), 1, rules(directory=b"lar")).directory is None
    assert draw(tree(sizes), 1, rules(directory=b"large\x001")).directory is None


def test_what_could_not_be_compared_is_not_drawn_nor_a_directory_that_holds_it() -> None:
    def closed(record: Recorded) -> bool:
        return record.key == b"b\0c\x001"

    for seed in range(100):
        lot = draw(tree(SIZES), 1, rules(100, seed=seed)._replace(left_out=closed))
        assert lot.directory in (b"a", b"d d")
        assert len(lot.files) == len(SIZES) - 1
