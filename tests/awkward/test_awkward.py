"""All that an awkward tree has comes back, from each day of changes to hardly anything but metadata."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.awkward import compare
from tests.awkward.host import DAYS, WITH_WARNINGS, AwkwardHost, awkward_host
from tests.awkward.setting import set_acl

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root"), pytest.mark.slow]
LARGE = bool(os.environ.get("CYA_TEST_LARGE"))
"""With it the largest sparse file has 10 GiB: stock duplicity, rsync and sh read every zero of them, for minutes."""
LARGEST = 10 << 30 if LARGE else 64 << 20
FIRST, LAST = 0, len(DAYS) - 1
MADE_BY = [("native", "xfs"), ("native", "ext4"), ("native", "btrfs"), ("0.8", "xfs"), ("3", "xfs")]


@pytest.fixture(scope="module", params=MADE_BY, ids="-on-".join)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwkwardHost]:
    maker, kind = request.param
    with awkward_host(tmp_path_factory.mktemp("awkward"), maker, kind, LARGEST) as made:
        yield made


@pytest.mark.parametrize("number", [FIRST, LAST] if LARGE else range(len(DAYS)))
def test_every_day_comes_back_as_it_was(host: AwkwardHost, number: int) -> None:
    """With stock duplicity but for what lies deeper than PATH_MAX, which it names."""
    with host.day(number) as was, host.empty_disk() as place:
        words = ("restore", place, "--config", host.config, "--time", f"{DAYS[number]}T12:00:00Z", "--numeric-owner")
        stock = host.engine == "duplicity"
        said = readable(host.run(*words, status=WITH_WARNINGS if stock else 0).stderr.splitlines())
        said = [line for line in said if not (stock and "ddd…" in line)]
        left = readable(compare.differences(was, place, without=too_deep(was) if stock else ()))
        expect_none([*left, *said])


@pytest.mark.parametrize("number", [LAST] if LARGE else [FIRST, LAST])
def test_it_comes_back_without_cya(host: AwkwardHost, number: int) -> None:
    """By stock duplicity, ``.dupext/restore.sh`` and ``rm``, but for these.

    sh can make no sockets; what it runs makes holes where zeros were written; stock duplicity reaches nothing that
    lies deeper than PATH_MAX; and removing ``.dupext`` changes the time of the top.
    """
    with host.day(number) as was, host.empty_disk() as place:
        said = host.without_cya(number, place)
        sockets = {path for path, each in compare.seen(was).items() if each.type == "s"}
        left = readable(compare.differences(was, place, without=too_deep(was) | sockets))
        excepted = ("extents: ", "time: b'.': ", "rsync: b'.d..t...... ./'")
        left = [line for line in left if not line.startswith(excepted)]
        expect_none(left, said)


ON_XFS = pytest.mark.parametrize("host", [("native", "xfs")], indirect=True, ids="-on-".join)


@ON_XFS
def test_backups_of_it_say_nothing(host: AwkwardHost) -> None:
    assert host.said == [""] * len(DAYS)


@ON_XFS
def test_nothing_is_inherited_from_where_it_is_restored_to(host: AwkwardHost) -> None:
    with host.day(LAST) as was, host.empty_disk() as place:
        place.mkdir()
        set_acl(os.fsencode(place), "", default="u::rwx,u:7777:rwx,g::rwx,m::rwx,o::---")
        host.run("restore", place / "new", "--config", host.config, "--numeric-owner")
        left = readable(compare.differences(was, place / "new"))
        expect_none(left)


@ON_XFS
def test_it_is_the_same_when_it_is_restored_over_itself(host: AwkwardHost) -> None:
    """Over immutable files, and below a top that has a default ACL by now."""
    with host.day(LAST) as was, host.empty_disk() as place:
        for words in ((), ("--overwrite",), ("--resume",)):
            host.run("restore", place, "--config", host.config, "--numeric-owner", *words)
        left = readable(compare.differences(was, place))
        expect_none(left)


def too_deep(place: Path) -> set[bytes]:
    """Return the paths that stock duplicity cannot reach, wherever the tree lies, and other names of what is there."""
    return {path for path, each in compare.seen(place).items() if any(len(name) > 3900 for name in each.names)}


def readable(lines: list[str]) -> list[str]:
    return [re.sub(r"d{50,}", "ddd…", line)[:1000] for line in lines]


def expect_none(lines: list[str], besides: str = "") -> None:
    """Fail with the first of the lines, and with what was said besides."""
    assert not lines, "\n".join([f"{len(lines)} lines", *lines[:100], *readable(besides.splitlines())])
