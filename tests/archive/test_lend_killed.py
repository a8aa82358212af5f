"""Lending, extending and ending a loan, killed before each change of the file system, and gone on with.

After the kill no loan can be read that is not whole and written down. What was killed is then run again, and ends as if
it had not been; or a collect comes first, when everything is over, and nothing is left of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cya.archive import lent
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.lend import lend
from cya.archive.return_loan import return_loan
from cya.config.root import RootConfig
from cya.transport import index
from tests.archive.conftest import Site, at
from tests.archive.test_kill_at_every_step import changes_of, copy_root, killed_at
from tests.archive.test_lend import DAYS, NOW, OVER, TWO_DAYS
from tests.mounts import memory

LATER, LONG_OVER = "2012-12-12T12:00:00", "2012-12-31T00:00:00"


def _lend(root: Path) -> object:
    return lend(root, at(NOW), TWO_DAYS, at(NOW))


def _extend(root: Path) -> object:
    return lend(root, at(NOW), timedelta(days=7), at(LATER))


def _lend_another(root: Path) -> object:
    return lend(root, at("2012-12-05"), TWO_DAYS, at(NOW))


def _return(root: Path) -> object:
    return return_loan(root, at(NOW))


def _end(root: Path) -> object:
    return collect(root, at(OVER))


def _end_all(root: Path) -> object:
    return collect(root, at(LONG_OVER))


WORKS: dict[str, tuple[bool, Callable[[Path], object]]] = {
    "lend": (False, _lend),
    "extend": (True, _extend),
    "lend another": (True, _lend_another),
    "return": (True, _return),
    "end": (True, _end),
}


@pytest.fixture(scope="module")
def templates() -> Iterator[dict[bool, Path]]:
    """A root with and without a loan."""
    with memory() as place:
        roots = {False: place / "plain" / "web1", True: place / "lent" / "web1"}
        for root in roots.values():
            root.parent.mkdir()
        init_archive(roots[False], RootConfig())
        for day in DAYS:
            Site(roots[False]).day(day, volumes=2)
        copy_root(roots[False], roots[True])
        _lend(roots[True])
        yield roots


@pytest.fixture
def root() -> Iterator[Path]:
    with memory() as place:
        yield place / "web1"


def set_up(template: Path, root: Path) -> None:
    if root.exists():
        shutil.rmtree(root)
    copy_root(template, root)


def check_readable(root: Path) -> None:
    """Check that each loan that a client can see is whole and written down."""
    known = {loan.name: loan for loan in lent.loans_of(root)}
    found = Site(root).catalog
    for place in (root / "outgoing").iterdir():
        (backup,) = [each for each in found.backups if each.increment.end == known[place.name].end]
        assert backup.chain is not None
        names = {os.fsdecode(name) for each in backup.chain.increments for name in found.merged[each].names}
        assert names | {"LOAN.json"} <= {path.name for path in place.iterdir()}


@pytest.mark.parametrize("name", WORKS)
def test_lending_and_returning_killed_at_every_step_is_gone_on_with(
    name: str, templates: dict[bool, Path], root: Path
) -> None:
    is_lent, work = WORKS[name]
    set_up(templates[is_lent], root)
    steps = len(changes_of(lambda: work(root)))
    assert steps > 5
    undisturbed = Site(root).listing()
    _end_all(root)
    after_all = Site(root).listing()
    assert not list((root / "outgoing").iterdir())
    for step in range(1, steps + 1):
        for last, expected in ((work, undisturbed), (_end_all, after_all)):
            set_up(templates[is_lent], root)
            try:
                assert killed_at(step, lambda: work(root))
                check_readable(root)
                last(root)
                assert Site(root).listing() == expected
            except Exception as error:
                raise AssertionError(f"{name}: killed at step {step} of {steps}") from error


def test_a_collect_that_is_killed_while_it_ends_what_is_not_written_down_is_gone_on_with(
    templates: dict[bool, Path], root: Path
) -> None:
    def set_up_without_record() -> None:
        set_up(templates[True], root)
        (root / "state/loans.json").unlink()

    set_up_without_record()
    steps = len(changes_of(lambda: _end(root)))
    undisturbed = Site(root).listing()
    for step in range(1, steps + 1):
        set_up_without_record()
        assert killed_at(step, lambda: _end(root))
        _end(root)
        assert Site(root).listing() == undisturbed, step


def test_a_lending_that_is_killed_twice_is_gone_on_with(templates: dict[bool, Path], root: Path) -> None:
    set_up(templates[False], root)
    steps = len(changes_of(lambda: _lend(root)))
    undisturbed = Site(root).listing()
    for step in range(1, steps + 1, 3):
        set_up(templates[False], root)
        assert killed_at(step, lambda: _lend(root))
        killed_at(steps - step, lambda: _lend(root))
        check_readable(root)
        _lend(root)
        assert Site(root).listing() == undisturbed


def test_the_index_killed_at_every_step_is_whole_and_says_what_there_is(root: Path) -> None:
    with memory() as place:
        template = place / "web1"
        init_archive(template, RootConfig(index=True))
        for day in DAYS[:2]:
            Site(template).day(day)
        Site(template).upload(DAYS[2])
        set_up(template, root)
        steps = len(changes_of(lambda: collect(root, at(NOW))))
        undisturbed = Site(root).listing()
        for step in range(1, steps + 1):
            set_up(template, root)
            assert killed_at(step, lambda: collect(root, at(NOW)))
            told = index.decode((root / "outgoing/index.json").read_bytes()).backups
            assert len(told) in (2, 3)
            collect(root, at(NOW))
            assert Site(root).listing() == undisturbed, step
