"""Which files get into a backup."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.engine import selection
from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, RestoreJob, Selection
from cya.errors import ConfigError
from tests.engine.conftest import PLAIN, T1, T2

Paths = set[str]


@pytest.fixture
def saved(engine: Duplicity, tmp_path: Path, target: Path) -> Callable[..., Paths]:
    """Make files, back them up with a selection, and return what was saved: ``saved("a/b c/", patterns=…)``."""
    root = tmp_path / "root"

    def save(files: str, **fields: object) -> Paths:
        for name in files.split():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if "patterns" in fields:
            fields["patterns"] = tuple(str(line).replace("ROOT", str(root)) for line in fields["patterns"])  # type: ignore[attr-defined]
        if "excluded" in fields:
            fields["excluded"] = tuple(root / name for name in fields["excluded"])  # type: ignore[attr-defined]
        engine.backup(BackupJob(root, target, T1, PLAIN, Selection(**fields)))  # type: ignore[arg-type]
        entries = engine.entries(target, T1, PLAIN)
        return {os.fsdecode(entry.path) for entry in entries if entry.type == "reg"}

    return save


def test_patterns_in_order_the_first_that_matches_decides(saved: Callable[..., Paths]) -> None:
    found = saved(
        "home/ann/keep home/ann/drop home/bob/keep etc/x proc/1 .cache/a home/ann/.cache/b home/ann/PIC.JPG m.jpg 'q",
        patterns=(
            "# a comment",
            "",
            "+ ROOT/home/*/keep",
            "- ROOT/home/*/drop",
            "  - ROOT/proc  ",
            "**/.cache",
            "- ignorecase:**.jpg",
            '- "ROOT/\'q"',
        ),
    )
    assert found == {"home/ann/keep", "home/bob/keep", "etc/x"}


def test_only_what_is_included(saved: Callable[..., Paths]) -> None:
    found = saved("home/ann/keep home/ann/x home/keep etc/y", patterns=("+ ROOT/home/*/keep", "- ROOT/home/*", "- **"))
    assert found == {"home/ann/keep"}


def test_sets_question_marks_and_directories_only(saved: Callable[..., Paths]) -> None:
    found = saved("a1 a2 b1 x/c dir/d ff", patterns=("- ROOT/[ab]1", "- ROOT/dir/", "- ROOT/f?", "- ROOT/a2/"))
    assert found == {"a2", "x/c"}


def test_automatic_excludes_are_exact(saved: Callable[..., Paths]) -> None:
    found = saved(
        "a*b axb [c]/x c/x q?/y qq/y", patterns=("+ ROOT/q?/y", "- ROOT/nothing"), excluded=("a*b", "[c]", "q?", "../x")
    )
    assert found == {"axb", "c/x", "qq/y"}


def test_an_automatic_exclude_may_have_any_name(engine: Duplicity, source: Path, target: Path, tmp_path: Path) -> None:
    odd = source / os.fsdecode(b"- x\n\xff ")
    odd.mkdir()
    (odd / "file").touch()
    link = tmp_path / "link"
    link.symlink_to(source)
    engine.backup(BackupJob(source, target, T1, PLAIN, Selection(excluded=(link / odd.name,))))
    assert not any(b"\xff" in entry.path for entry in engine.entries(target, T1, PLAIN))


@pytest.mark.parametrize("link", ["link", "parent/root"])
def test_a_source_that_is_or_lies_below_a_link(
    engine: Duplicity, tmp_path: Path, target: Path, destination: Path, link: str
) -> None:
    real = tmp_path / "[real] root" / "root"
    for name in ("keep", "a", "b", "Case", "cache/x", "vault/x"):
        (real / name).parent.mkdir(parents=True, exist_ok=True)
        (real / name).touch()
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "parent").symlink_to(real.parent)
    source = tmp_path / link
    lines = (f"- {source}/a", f"- '{tmp_path}/{link[:-1]}?/b'", "- ignorecase:**/case")
    excluded = (source / "cache", real / "vault")
    report = engine.backup(BackupJob(source, target, T1, PLAIN, Selection(patterns=lines, excluded=excluded)))
    found = list(engine.entries(target, T1, PLAIN))
    assert [(entry.path, entry.type) for entry in found] == [(b".", "dir"), (b"keep", "reg")]
    assert report.lost == ()
    engine.restore(RestoreJob(target, destination, T1, PLAIN))
    assert os.listdir(destination) == ["keep"]


def test_a_source_that_becomes_a_link_is_not_saved_again(engine: Duplicity, source: Path, target: Path) -> None:
    engine.backup(BackupJob(source, target, T1, PLAIN))
    moved = source.rename(source.with_name("moved"))
    source.symlink_to("moved")
    (moved / "new").touch()
    report = engine.backup(BackupJob(source, target, T2, PLAIN))
    assert report.kind == "inc"
    # "New" is the directory itself, too: its time has changed.
    assert [report.statistics[name] for name in ("NewFiles", "DeletedFiles", "RawDeltaSize")] == [2, 0, 0]


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("- /home/*/x", ['- "/view/home/*/x"']),
        ("+ /**/x", ['+ "/view/**/x"']),
        ("- /", ["- /"]),
        ("- **/x", ["- **/x"]),
        ("- IgnoreCase:/Home", ['- "ignorecase:/view/home"']),
        ("- home", None),
    ],
)
def test_patterns_for_the_root_are_written_for_where_it_is_read(line: str, written: list[str] | None) -> None:
    patterns = Selection(patterns=(line, "- **"))
    if written is None:
        with pytest.raises(ConfigError, match="matches nothing"):
            selection.check(patterns, Path("/view"), link=Path("/"))
    else:
        lines = selection.check(patterns, Path("/view"), link=Path("/")).decode().splitlines()
        assert lines == [*written, "- **"]


PARTS = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "?", "**b", "a**"])


@given(
    link=st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3),
    glob=st.lists(PARTS, min_size=1, max_size=5),
    path=st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=4),
)
def test_a_pattern_for_a_link_matches_the_same_below_the_source(
    link: list[str], glob: list[str], path: list[str]
) -> None:
    def matches(one: str, where: str) -> bool:
        return re.fullmatch(selection.to_regex(one) + "(?:/.*)?", where, re.S) is not None

    pattern = selection.parse("- /" + "/".join(glob))
    assert pattern is not None
    known, real = Path("/", *link), Path("/q/view")
    plain = matches(pattern.glob, str(Path(known, *path)))
    found = selection._redirected(pattern, known, real)
    if matches(pattern.glob, str(known)):
        return  # all of the source, which is not said in lines for what is below it
    assert any(matches(each, str(Path(real, *path))) for each in found if each != pattern.glob) == plain


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("- /home/x", '- "/data/[*]?/x"'),
        ("+ '/home/x '", '+ "/data/[*]?/x "'),
        ("/h*/x/", '- "/data/[*]?/x/"'),
        ("- /home**/x", '- "/data/[*]?**/x"'),
        ("- /**/home/x", '- "/data/[*]?**/home/x"'),
        ("- /**e/x", '- "/data/[*]?**e/x"\n- "/data/[*]?/x"'),
        ("- /srv/**", None),
        ("- /data/x", "- /data/x"),
        ("- **/x", "- **/x"),
        ("- IgnoreCase:/Home/X", '- "ignorecase:/data/[*]?/x"'),
        ("# /home", "# /home"),
    ],
)
def test_patterns_for_a_link_are_written_for_the_source(line: str, written: str | None) -> None:
    real = Path("/data") if written == line else Path("/data/*\udcff")
    patterns = Selection(patterns=(line, "- **"))
    if written is None:
        with pytest.raises(ConfigError, match="matches nothing"):
            selection.check(patterns, real, link=Path("/home"))
    else:
        assert selection.check(patterns, real, link=Path("/home")).decode() == f"{written}\n- **\n"


def test_marked_directories(saved: Callable[..., Paths]) -> None:
    found = saved(
        "cache/CACHEDIR.TAG cache/x a/.nobackup a/x b/x", exclude_caches=True, exclude_if_present=(".nobackup",)
    )
    assert found == {"b/x"}


def test_an_excluded_path_that_holds_the_source_is_refused(
    engine: Duplicity, source: Path, target: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="nothing would be backed up"):
        engine.backup(BackupJob(source, target, T1, PLAIN, Selection(excluded=(tmp_path,))))


def test_one_file_system(saved: Callable[..., Paths], tmp_path: Path) -> None:
    mounted = tmp_path / "root" / "mnt"
    mounted.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        found = saved("mnt/a mnt/keep b", one_file_system=True, patterns=("+ ROOT/mnt/keep",))
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert found == {"b", "mnt/keep"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("- *.o", "matches nothing in the source /srv; '\\*\\*/\\*.o'"),
        ("- tmp", "'\\*\\*/tmp' matches it anywhere"),
        ("- /home/x", "matches nothing in the source /srv"),
        ("- regexp:.*", "matches nothing"),
        ("- /srv//x", "two slashes"),
        ("- /srv/[z-a]", "bad character range"),
        ("- ", "names nothing"),
        ('- ""', "names nothing"),
        ("- ignorecase:", "names nothing"),
        ("- /srv/a\nb", "line's end"),
        ("- /srv/a\rb", "line's end"),
        ("- /srv/\udcff", "not UTF-8"),
        ("+ /srv/x", "the last one includes"),
    ],
)
def test_a_line_that_cannot_work_is_named(line: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        selection.check(Selection(patterns=(line,)), Path("/srv"))
    assert repr(line) in str(caught.value)


@pytest.mark.parametrize("source", ["/", "/srv", "/srv/a b"])
@pytest.mark.parametrize(
    "line",
    [
        "/",
        "/srv/",
        "**",
        "**/x",
        "- /srv/a b/[c",
        "- /srv/a b/[!]x",
        "/s*/**",
        "- ignorecase:**/X",
        "'/srv/a b/c'",
        "/*/*/*/*",
    ],
)
def test_a_line_that_reaches_into_the_source_is_taken(line: str, source: str) -> None:
    assert selection.check(Selection(patterns=(line,)), Path(source)) == line.encode() + b"\n"


def test_ignorecase_above_a_source_with_capitals_needs_the_newer_duplicity() -> None:
    patterns = Selection(patterns=("- ignorecase:/Srv/x",))
    assert selection.check(patterns, Path("/Srv"))
    with pytest.raises(ConfigError, match="begin it with"):
        selection.check(patterns, Path("/Srv"), ignorecase_lowers_source=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    ["- /proc", "- **/.cache", "- tmp", "- /home/x", "- ROOT/[z", "- ROOT/[]", "- ROOT/[!]", "- RO*/x", "- ROOT//x",
     "- /*/*", "- ignorecase:ROOT/x", "- [/]tmp", "- //", "-", "- ROOT[x]", "- ROO[T]", "+ ROOT/**x", "- /", "- /*"],
)  # fmt: skip
def test_the_check_agrees_with_duplicity(program: Path, tmp_path: Path, gnupg_home: Path, line: str) -> None:
    """What the check takes, duplicity runs with; what it refuses, duplicity fails over."""
    source, target = tmp_path / "Src", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    line = (
        line.replace("ROOT", str(source))
        .replace("ROO[T]", str(source)[:-1] + "[c]")
        .replace("RO*", str(source)[:-1] + "*")
    )
    engine = Duplicity(program, tmp_path / "cache", gnupg_home)
    lists = tmp_path / "list"
    lists.write_text(line + "\n- **/never\n")
    stock = subprocess.run(
        [program, "full", "--no-encryption", "--archive-dir", tmp_path / "a", "--exclude-filelist", lists, source,
         f"file://{target}", "--dry-run"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, capture_output=True, check=False,
    )  # fmt: skip
    try:
        engine.backup(BackupJob(source, target, T1, PLAIN, Selection(patterns=(line, "- **/never")), dry_run=True))
        taken = True
    except ConfigError:
        taken = False
    assert taken == (stock.returncode == 0), stock.stderr[-300:]
