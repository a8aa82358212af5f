"""The walk: what it selects is what stock duplicity 3.2.1 selects; and it survives what happens to a source."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cya.engine import selection
from cya.engine.native import beneath, scan
from cya.engine.native.known import Stat
from cya.engine.native.scan import Found, Scan, Unread
from cya.engine.protocol import Selection
from cya.errors import ConfigError
from tests import stock
from tests.engine.conftest import needs_root
from tests.engine.native.stock_selection import Stock, running
from tests.mounts import memory, own_mounts


@pytest.fixture(scope="module")
def stock3() -> Iterator[Stock]:
    with running(stock.program("3").with_name("python")) as process:
        yield process


@contextmanager
def opened(source: Path) -> Iterator[int]:
    fd = os.open(source, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def walked(source: Path, lines: tuple[str, ...] = (), **fields: object) -> list[Found | Unread]:
    chosen = Selection(patterns=lines, **fields)  # type: ignore[arg-type]
    with opened(source) as fd:
        return list(Scan(fd, source, chosen, selection.check(chosen, source)))


def identity(there: Stat) -> tuple[int, int]:
    return there.st_dev, there.st_ino


def keys(items: list[Found | Unread]) -> list[bytes]:
    return [item.key for item in items if isinstance(item, Found)]


def make(root: Path, names: list[bytes]) -> None:
    """Make files, and directories where a name ends in a slash; links where it ends in ``->``."""
    for name in names:
        path = os.path.join(os.fsencode(root), name)
        with suppress(FileExistsError, NotADirectoryError):  # the first of two that get in each other's way wins
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if name.endswith(b"->"):
                os.symlink(b".", path[:-2])
            elif not name.endswith(b"/"):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL))


def compare(stock3: Stock, source: Path, chosen: Selection) -> list[bytes]:
    lines = selection.check(chosen, source)
    with opened(source) as fd:
        found = keys(list(Scan(fd, source, chosen, lines)))
    assert found == stock3.selected(source, chosen, lines)
    assert found == sorted(set(found))
    return found


AWKWARD = [
    *(b"a/keep a/drop a/b/keep a/b/c/deep keep Keep KEEP.JPG e/ d d.x d/x dd/d dd/x dd/dd/dd link-> a/link-> ").split(),
    *(b"home/ann/keep home/ann/x home/bob/y home/file cache/CACHEDIR.TAG cache/x no/.no/in no/x q].x".split()),
    *(b"[b] b *s xs q? qq x\\y {1} ^c !d -e (f) $g &h ~i |j #k".split()),
    *(b"new\n|new|new\nline|new\n\n/x| blank|blank |tab\t|\xff|\xff\xfe|\xc3\xa4|\xc3\x84".split(b"|")),
    *(b"\xe1\xba\x9e|\xc3\x9f|ss".split(b"|")),
    *(b"a\x01/x|a-/x|a.|a0|ab|a\xff/x|\xf0\x9f\x98\x80|\xef\xbf\xbd|\xed\xa0\x80".split(b"|")),
]  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("- R/a", ),
        ("+ R/a/keep", "- R/a"),
        ("+ R/a/b/c", "- **"),
        ("+ R/a/keep", "- R/zzz"),
        ("+ R/d/x/nothing", "- R/zzz"),
        ("+ **/keep", "- **"),
        ("+ **/keep", "- R/zzz"),
        ("- R/a", "+ R/a/keep", "- R/d"),
        ("+ R/home/*/keep", "- R/home/*", "- **"),
        ("+ R/home/*/keep", "- R/home"),
        ("- R/d/", "- R/d.x/"),
        ("- **/d/",),
        ("- **/dd/",),
        ("+ **/dd/", "- **"),
        ("+ R/d/", "+ R/e/", "- **"),
        ("- **/",),
        ("+ R/a/b/", "- R/a/"),
        ("- /",),
        ("- **",),
        ("+ /", "- **"),
        ("+ R", "- **"),
        ("- R",),
        ("- R/",),
        ("+ R/a", "- R"),
        ("- R/new",),
        ("- R/new/",),
        ("+ R/new", "- **"),
        ("- R/new?",),
        ("- R/[b]",),
        ("- R/[[]b]",),
        ("- R/[",),
        ("- R/q[]].x",),
        ("- R/q[?]",),
        ("- R/[!a]",),
        ("- R/[^a-z]",),
        ("- R/[!x]*",),
        ("- R[!x]a",),
        ("- R/a[!x]b", "- R/home*file"),
        ("+ R/a[!x]b/c", "- **"),
        ("- R/x\\y", "- R/{1}", "- R/^c", "- R/!d", "- R/(f)", "- R/$g", "- R/|j"),
        ("- R/[\\]y", "- R/x[\\]y"),
        ("- R/[!]d]", "- R/[&|~-]*"),
        ("- '/R/a'", "- 'R/a'"),
        ('- "R/ blank"', "-   ", "  # no", "- R/blank "),
        ("- R/?",),
        ("- R/??",),
        ("- R/[ä]", "- R/[Ä]"),
        ("- ignorecase:R/ä",),
        ("- ignorecase:**/ß",),
        ("- ignorecase:**/ẞ",),
        ("- ignorecase:**/KEEP*",),
        ("+ IgnoreCase:**/keep", "- **"),
        ("+ ignorecase:R/A/B/KEEP", "- **"),
        ("- R/*/x",),
        ("- R/**/x",),
        ("+ R/**/x", "- R/a", "- **"),
        ("+ R/a**/keep", "- **"),
        ("+ R/*/*/c/deep", "- R/*/*", "- **"),
        ("R/a", "+ R/b", "- R/link"),
        ("- R/link/x", "- R/a/link/"),
    ],
)  # fmt: skip
def test_awkward_cases_are_as_in_stock(stock3: Stock, tmp_path: Path, lines: tuple[str, ...]) -> None:
    source = tmp_path / "Src"
    source.mkdir()
    make(source, AWKWARD)
    known = []
    for line in lines:
        line = line.replace("R", str(source), 1) if "R" in line else line
        with suppress(ConfigError):
            selection.check(Selection(patterns=(line, "- **/never")), source)
            known.append(line)
    compare(stock3, source, Selection(patterns=tuple(known)))


def test_marks_and_excluded_paths_are_as_in_stock(stock3: Stock, tmp_path: Path) -> None:
    make(tmp_path, [*AWKWARD, b".nobackup", b"m/.nobackup", b"m/keep", b"n/.nobackup->", b"n/x", b"o/.nobackup/x"])
    chosen = Selection(
        patterns=(f"+ {tmp_path}/m/keep", f"+ {tmp_path}/cache", f"+ {tmp_path}/a", "- **/x", "- **/keep", "- **"),
        excluded=(tmp_path / "a" / "b", tmp_path / "[b]", tmp_path / os.fsdecode(b"\xff"), tmp_path / "q?"),
        exclude_caches=True,
        exclude_if_present=(".nobackup",),
    )
    found = compare(stock3, tmp_path, chosen)
    assert b"a\0keep" in found
    assert not any(key.startswith((b"m", b"n\0", b"o", b"cache", b"a\0b")) for key in found)
    found = compare(stock3, tmp_path, Selection(exclude_if_present=(".nobackup",)))
    assert b".nobackup" in found  # the source itself may hold a mark
    assert b"m" not in found


@needs_root
@pytest.mark.parametrize(
    "lines", [(), ("+ R/mnt/keep",), ("+ R/mnt", "- R/d"), ("- R/mnt/x",), ("+ **/keep",), ("+ R/bound", "- R/mnt")]
)
def test_other_file_systems_are_as_in_stock(stock3: Stock, tmp_path: Path, lines: tuple[str, ...]) -> None:
    python = stock.program("3").with_name("python")
    source = tmp_path / "source"
    make(source, [b"mnt/", b"d/x", b"bound", b"x"])
    with own_mounts():
        subprocess.run(["mount", "-t", "tmpfs", "none", source / "mnt"], check=True)
        make(source, [b"mnt/keep", b"mnt/x", b"mnt/sub/y"])
        subprocess.run(["mount", "--bind", source / "mnt/x", source / "bound"], check=True)
        try:
            with running(python) as inside:
                patterns = tuple(line.replace("R", str(source)) for line in lines)
                found = compare(inside, source, Selection(patterns=patterns, one_file_system=True))
                assert (b"mnt" in found) == any("+" in line and "bound" not in line for line in lines)
        finally:
            subprocess.run(["umount", source / "bound", source / "mnt"], check=True)


_NAMES = st.sampled_from([b"a", b"b", b"aa", b"ab", b"A", b".c", b"a b", b"*", b"[", b"x\n", b"\xff", "é".encode()])
_TREES = st.lists(
    st.tuples(st.lists(_NAMES, min_size=1, max_size=4), st.sampled_from([b"", b"/", b"->"])), min_size=1, max_size=14
)
_GLOBS = st.lists(
    st.sampled_from(["/", "/", "/", "a", "b", "A", "é", ".c", " ", "*", "**", "?", "[ab]", "[!a]", "[", "]", "[/]"]),
    max_size=8,
).map("".join)
_LINES = st.lists(
    st.tuples(st.sampled_from(["+ ", "- ", ""]), st.sampled_from(["", "", "", "ignorecase:"]),
              st.sampled_from(["R/", "R/", "R", "**/", "**", "/*/", ""]), _GLOBS),
    max_size=6,
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_TREES, lines=_LINES, marked=st.booleans(), excluded=st.lists(st.lists(_NAMES, min_size=1), max_size=2))
def test_any_tree_and_any_lines_are_as_in_stock(
    stock3: Stock,
    tree: list[tuple[list[bytes], bytes]],
    lines: list[tuple[str, str, str, str]],
    marked: bool,
    excluded: list[list[bytes]],
) -> None:
    with memory() as place:
        source = place / "Src"
        source.mkdir()
        make(source, [b"/".join(parts) + kind for parts, kind in tree])
        known: list[str] = []
        for sign, case, start, glob in lines:
            line = f"{sign}{case}{start.replace('R', str(source))}{glob}"
            with suppress(ConfigError):
                selection.check(Selection(patterns=(line, "- **/never")), source)
                known.append(line)
        own = tuple(source / os.fsdecode(b"/".join(parts)) for parts in excluded)
        marks = ("a",) if marked else ()
        compare(stock3, source, Selection((*known, "- **/never/x"), excluded=own, exclude_if_present=marks))


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [(), ("+ R/a/keep", "- R/a", "- **/d/"), ("+ **/keep", "- R/zzz"), ("- R/new", "- ignorecase:**/ß", "- R/??")],
)
def test_the_program_itself_saves_the_same(tmp_path: Path, gnupg_home: Path, lines: tuple[str, ...]) -> None:
    """That its code, asked for its selection, is honest."""
    program = stock.program("3")
    source = tmp_path / "Src"
    source.mkdir()
    # What list-current-files prints can only be told apart without ends of lines.
    make(source, [name for name in AWKWARD if b"\n" not in name])
    chosen = Selection(tuple(line.replace("R", str(source)) for line in lines), exclude_caches=True)
    content = selection.check(chosen, source)
    file_list = tmp_path / "list"
    file_list.write_bytes(content)
    common = [f"--archive-dir={tmp_path / 'cache'}", "--no-encryption", "--verbosity=3"]
    words = selection.options(chosen, source, file_list if content else None)
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "GNUPGHOME": str(gnupg_home)}
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run([program, "full", *common, *words, source, f"file://{target}"], env=env, check=True)
    tars = list(target.glob("*.difftar.gz"))
    assert len(tars) == 1
    printed = subprocess.run(
        [sys.executable, "-c", _TAR_NAMES, tars[0]], capture_output=True, check=True, text=True, env=env
    ).stdout
    saved = {os.fsencode(eval(line)).partition(b"/")[2].rstrip(b"/") for line in printed.splitlines()}
    with opened(source) as fd:
        found = keys(list(Scan(fd, source, chosen, content)))
    assert saved - {b"", b"."} == {key.replace(b"\0", b"/") for key in found} - {b""}


_TAR_NAMES = "import sys, tarfile\nfor member in tarfile.open(sys.argv[1]): print(ascii(member.name))"


def test_keys_ascend_and_things_are_as_they_are(tmp_path: Path) -> None:
    make(tmp_path, AWKWARD)
    os.mkfifo(tmp_path / "fifo")
    items = walked(tmp_path)
    assert keys(items) == sorted(set(keys(items)))
    by_key = {item.key: item for item in items if isinstance(item, Found)}
    assert len(by_key) == 1 + sum(len(names) + len(files) for _, names, files in os.walk(os.fsencode(tmp_path)))
    assert by_key[b"a\0link"].link == b"."
    assert identity(by_key[b""].stat) == identity(os.stat(tmp_path))
    for key, item in by_key.items():
        assert identity(item.stat) == identity(os.lstat(os.path.join(os.fsencode(tmp_path), key.replace(b"\0", b"/"))))


def test_sockets_are_left_out_and_counted(tmp_path: Path) -> None:
    here = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        for name in ("s", "t"):
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(here / name))
        chosen = Selection(patterns=(f"- {here}/t",))
        with opened(here) as fd:
            walk = Scan(fd, here, chosen, selection.check(chosen, here))
            assert keys(list(walk)) == [b""]
            assert (walk.sockets, walk.unknown, walk.excluded) == (1, 0, 1)
    finally:
        shutil.rmtree(here)


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def deep(root: Path, depth: int) -> None:
    """Directories ``d`` in each other, each with the file ``a`` and ``z`` around."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        for name in ("a", "z"):
            os.close(os.open(name, os.O_CREAT, dir_fd=here))
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory; what is deep in it is removed by a program that can."""
    with memory() as directory:
        inner = directory / "in"
        inner.mkdir()
        yield inner
        subprocess.run(["rm", "-rf", inner], check=True)


@pytest.mark.parametrize("lines", [(), ("+ **/z", "- **")])
def test_thousands_of_directories_in_each_other(place: Path, lines: tuple[str, ...]) -> None:
    deep(place, 5000)
    before = os.listdir("/proc/self/fd")
    with few_descriptors(1024):
        items = walked(place, lines)
    assert len(items) == len(keys(items)) == 1 + 5000 * (2 if lines else 3) - bool(lines)
    assert keys(items) == sorted(set(keys(items)))
    assert os.listdir("/proc/self/fd") == before


def test_a_walk_that_is_given_up_leaves_nothing_open(place: Path) -> None:
    deep(place, 300)
    before = os.listdir("/proc/self/fd")
    with opened(place) as fd:
        walk = iter(Scan(fd, place, Selection()))
        for _ in range(500):
            next(walk)
        assert len(os.listdir("/proc/self/fd")) <= len(before) + 1 + scan.MOST_OPEN
        walk.close()  # type: ignore[attr-defined]
    assert os.listdir("/proc/self/fd") == before


Step = Callable[[bytes], None]


def stepped(source: Path, step: Step, **fields: object) -> list[Found | Unread]:
    """Walk, and do something each time when something was found."""
    items = []
    with opened(source) as fd:
        for item in Scan(fd, source, Selection(**fields)):  # type: ignore[arg-type]
            items.append(item)
            step(item.key)
    return items


def test_what_goes_away_meanwhile_is_not_there(tmp_path: Path) -> None:
    make(tmp_path, [b"a", b"b", b"c/x", b"d"])

    def step(key: bytes) -> None:
        if key == b"a":
            os.unlink(tmp_path / "b")
            shutil.rmtree(tmp_path / "c")

    assert [type(item).__name__ + item.key.decode() for item in stepped(tmp_path, step)] == [
        "Found",
        "Founda",
        "Foundd",
    ]


def test_a_link_in_a_directorys_place_leads_nobody_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, [b"outside/secret", b"in/a", b"in/d/x", b"in/z"])
    really = beneath.open_directory

    def swapped(name: bytes, dir_fd: int) -> int:
        if name == b"d" and not (tmp_path / "in/d").is_symlink():
            shutil.rmtree(tmp_path / "in/d")
            (tmp_path / "in/d").symlink_to("../outside")
        return really(name, dir_fd)

    monkeypatch.setattr(scan, "open_directory", swapped)
    items = walked(tmp_path / "in")
    assert keys(items) == [b"", b"a", b"d", b"z"]
    assert isinstance(items[2], Found)
    assert items[2].link == b"../outside"


def test_another_directory_in_its_place_is_taken_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, [b"new/y", b"in/d/x"])
    really = beneath.open_directory

    def swapped(name: bytes, dir_fd: int) -> int:
        if (tmp_path / "new").exists():
            (tmp_path / "in/d").rename(tmp_path / "old")
            (tmp_path / "new").rename(tmp_path / "in/d")
        return really(name, dir_fd)

    monkeypatch.setattr(scan, "open_directory", swapped)
    items = walked(tmp_path / "in")
    assert keys(items) == [b"", b"d", b"d\0y"]
    assert isinstance(items[1], Found)
    assert identity(items[1].stat) == identity(os.stat(tmp_path / "in/d"))


def test_what_never_holds_still_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, [b"d/x", b"e"])

    def never(name: bytes, dir_fd: int) -> int:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory")

    monkeypatch.setattr(scan, "open_directory", never)
    root, changing, last = walked(tmp_path)
    assert changing == Unread(b"d", "it changes all the time", below=False)
    assert (root.key, last.key) == (b"", b"e")


def test_the_way_back_is_found_when_a_directory_was_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory above is closed meanwhile; ``..`` leads elsewhere, its own path is as it was."""
    monkeypatch.setattr(scan, "MOST_OPEN", 1)
    make(tmp_path, [b"other/", b"in/d/e/f/x", b"in/d/e/z", b"in/d/z"])

    def step(key: bytes) -> None:
        if key == b"d\0e\0f\0x":
            (tmp_path / "in/d/e/f").rename(tmp_path / "other/f")

    items = stepped(tmp_path / "in", step)
    assert keys(items) == [b"", b"d", b"d\0e", b"d\0e\0f", b"d\0e\0f\0x", b"d\0e\0z", b"d\0z"]


def test_what_is_left_of_a_directory_that_was_moved_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MOST_OPEN", 1)
    make(tmp_path, [b"other/", b"in/d/e/f/x", b"in/d/e/g/x", b"in/d/e/z", b"in/d/z", b"in/z"])

    def step(key: bytes) -> None:
        if key == b"d\0e\0f\0x":
            (tmp_path / "in/d/e/f").rename(tmp_path / "other/f")
            (tmp_path / "in/d/e").rename(tmp_path / "other/e")
            make(tmp_path, [b"in/d/e/wrong"])

    items = stepped(tmp_path / "in", step)
    moved = "its directory was moved meanwhile"
    assert items[5:7] == [Unread(b"d\0e\0g", moved, below=False), Unread(b"d\0e\0z", moved, below=False)]
    assert [item.key for item in items[7:]] == [b"d\0z", b"z"]


@contextmanager
def nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
@pytest.mark.parametrize("lines", [(), ("+ R/c/x/y", "- R/c")])
def test_a_directory_that_cannot_be_listed(place: Path, lines: tuple[str, ...]) -> None:
    make(place, [b"b", b"c/x/y", b"d"])
    place.parent.chmod(0o755)
    (place / "c/x").chmod(0o311)
    with nobody():
        items = walked(place, tuple(line.replace("R", str(place)) for line in lines))
    assert keys(items) == [b"", b"b", b"c", b"c\0x", b"d"]
    assert items[4] == Unread(b"c\0x", "Permission denied", below=True)


@needs_root
@pytest.mark.parametrize("lines", [(), ("+ R/c/x/y", "- R/c"), ("- R/c/y/",)])
def test_a_directory_whose_files_cannot_be_looked_at(place: Path, lines: tuple[str, ...]) -> None:
    make(place, [b"b", b"c/x", b"c/y", b"d"])
    place.parent.chmod(0o755)
    (place / "c").chmod(0o744)
    with nobody():
        items = walked(place, tuple(line.replace("R", str(place)) for line in lines))
    denied = [Unread(b"c\0" + name, "Permission denied", below=False) for name in (b"x", b"y")]
    assert items[3:-1] == (denied[:1] if lines and "x" in lines[0] else denied)
    assert keys(items) == [b"", b"b", b"c", b"d"]


@needs_root
def test_a_source_that_cannot_be_listed(tmp_path: Path) -> None:
    make(tmp_path, [b"x"])
    fd = os.open(tmp_path, os.O_PATH)
    try:
        found, unread = Scan(fd, tmp_path, Selection())
    finally:
        os.close(fd)
    assert isinstance(found, Found)
    assert unread == Unread(b"", "Bad file descriptor", below=True)


def test_a_listing_that_fails_half_way_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, [b"a", b"d/x", b"d/y", b"e"])
    really = os.listdir

    def failing(fd: int) -> list[str]:
        names = really(fd)
        if "x" in names:
            raise OSError(errno.EIO, "Input/output error")
        return names

    monkeypatch.setattr(os, "listdir", failing)
    items = walked(tmp_path, exclude_if_present=(".no",))
    assert keys(items) == [b"", b"a", b"d", b"e"]
    assert items[3] == Unread(b"d", "Input/output error", below=True)


def test_a_name_that_is_told_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, [b"a", b"b"])
    monkeypatch.setattr(os, "listdir", lambda _: ["b", "a", "b"])
    assert keys(walked(tmp_path)) == [b"", b"a", b"b"]


def test_what_is_excluded_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a mount of a server that does not answer."""
    make(tmp_path, [b"a", b"dead/x"])
    really = os.stat

    def hanging(path: bytes, **options: object) -> os.stat_result:
        assert path != b"dead"
        return really(path, **options)  # type: ignore[arg-type]

    fd = os.open(tmp_path, os.O_RDONLY)
    chosen = Selection(excluded=(tmp_path / "dead",))
    walk = Scan(fd, tmp_path, chosen)
    monkeypatch.setattr(os, "stat", hanging)
    assert keys(list(walk)) == [b"", b"a"]
    os.close(fd)
