"""The verdicts of single paths; whole trees are compared with stock's choice in test_scan.py."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cya.engine import selection
from cya.engine.native.matching import Matcher, Verdict
from cya.engine.protocol import Selection
from cya.errors import ConfigError

SOURCE = Path("/srv")


def matcher(*lines: str, source: Path = SOURCE, link: Path | None = None, **fields: object) -> Matcher:
    chosen = Selection(patterns=lines, **fields)  # type: ignore[arg-type]
    return Matcher(chosen, source, selection.check(chosen, source, link=link))


def test_without_lines_it_is_idle() -> None:
    nothing = matcher("", "# a comment", exclude_caches=True, exclude_if_present=(".no",), one_file_system=True)
    assert nothing.idle
    assert nothing.marks == {b"CACHEDIR.TAG", b".no"}
    assert nothing.one_file_system
    assert nothing.verdict(b"/srv/x", False) is Verdict.UNDECIDED


def test_the_first_line_decides_and_excluded_paths_come_before_all() -> None:
    chosen = matcher("+ /srv/a/keep", "- /srv/a", "+ /srv/c", "- **", excluded=(SOURCE / "c" / "own",))
    assert chosen.verdict(b"/srv/a/keep/x", False) is Verdict.INCLUDE
    assert chosen.verdict(b"/srv/a", True) is Verdict.SCAN
    assert chosen.verdict(b"/srv/a", False) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/a/other", True) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/c/own", True) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/c/owner", True) is Verdict.INCLUDE


def test_a_line_that_includes_says_nothing_of_ways_before_it() -> None:
    chosen = matcher("- /srv/a", "+ /srv/a/keep", "- /srv/b")
    assert chosen.verdict(b"/srv/a", True) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/b", True) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/d", True) is Verdict.UNDECIDED


def test_directories_only() -> None:
    chosen = matcher("- /srv/d/", "+ /srv/e/", "- /srv/f")
    assert chosen.by_kind
    assert chosen.verdict(b"/srv/d", True) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/d", False) is Verdict.UNDECIDED
    assert chosen.verdict(b"/srv/d/x", False) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/e", True) is Verdict.INCLUDE


def test_names_that_are_not_utf8_and_case() -> None:
    chosen = matcher("- /srv/?x", "- ignorecase:**.ÄPFEL")
    assert chosen.verdict(b"/srv/\xffx", False) is Verdict.EXCLUDE
    assert chosen.verdict("/srv/öx".encode(), False) is Verdict.EXCLUDE
    assert chosen.verdict(b"/srv/\xff\xffx", False) is Verdict.UNDECIDED
    assert chosen.verdict("/srv/a.äpfel".encode(), False) is Verdict.EXCLUDE


def test_patterns_for_a_link_to_the_source() -> None:
    chosen = matcher("- /home/x", source=Path("/data"), link=Path("/home"))
    assert chosen.verdict(b"/data/x", False) is Verdict.EXCLUDE


def test_folding_what_is_lower_already_folds_as_well() -> None:
    every = map(chr, [*range(0xD800), *range(0xE000, 0x110000)])
    assert [one for one in every if one.lower().casefold() != one.casefold()] == []


def test_sets_that_python_warns_of_are_taken(recwarn: pytest.WarningsRecorder) -> None:
    chosen = Selection(patterns=("- /srv/[[a]",))
    assert Matcher(chosen, SOURCE, b"- /srv/[+--]x\n- /srv/[a||b]\n").verdict(b"/srv/,x", False) is Verdict.EXCLUDE
    assert not recwarn.list


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing would be backed up"):
        Matcher(Selection(excluded=(SOURCE,)), SOURCE)


def test_twenty_lines_cost_little() -> None:
    chosen = matcher(*(f"- **/name{number}" for number in range(10)), *(f"- /srv/x/{n}" for n in range(10)))
    paths = [os.fsencode(f"/srv/dir{number % 100}/some/where/file{number}") for number in range(20_000)]
    start = time.process_time()
    for path in paths:
        chosen.verdict(path, False)
    # 2 µs each on a machine of 2020; this is against a mistake by orders of magnitude.
    assert time.process_time() - start < 20e-6 * len(paths)
