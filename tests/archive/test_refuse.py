"""Uploads that are refused: each with its reason, in quarantine, and the client is served anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from cya.archive.quarantine import KEPT
from cya.archive.state import State
from tests.archive.conftest import Site, at
from tests.standin import increment_names

DAY = "2012-12-05"
END = int(at(DAY).timestamp())


def swap(site: Site, name: str, make: Callable[[str], object]) -> None:
    (site.next / name).unlink()
    make(str(site.next / name))


def volume(names: list[str]) -> str:
    return next(name for name in names if ".vol1." in name)


def lie(site: Site, names: list[str], **changes: object) -> None:
    """Change what the marker says of the first volume."""
    marker = json.loads((site.next / "FINISHED").read_text())
    for file in marker["files"]:
        if file["name"] == volume(names):
            file.update(changes)
    (site.next / "FINISHED").write_text(json.dumps(marker))


def forge_a_served_manifest(site: Site, names: list[str]) -> None:
    served = next(path for path in site.next.iterdir() if "manifest" in path.name and path.name not in names)
    served.unlink()
    served.write_text("forged")


def drop(word: str) -> Callable[[Site, list[str]], None]:
    def act(site: Site, names: list[str]) -> None:
        gone = [name for name in names if word in name]
        for name in gone:
            (site.next / name).unlink()
        site.finish([name for name in names if name not in gone])

    return act


def add(name: str) -> Callable[[Site, list[str]], None]:
    def act(site: Site, names: list[str]) -> None:
        (site.next / name).write_text("x")
        site.finish([*names, name])

    return act


def second_increment(site: Site, names: list[str]) -> None:
    for name in (more := increment_names(END, END + 60)):
        (site.next / name).write_text("x")
    site.finish([*names, *more])


def mark(text: str) -> Callable[[Site, list[str]], None]:
    return lambda site, names: (site.next / "FINISHED").write_text(text) and None  # type: ignore[return-value]


def hard_link(site: Site, names: list[str]) -> None:
    os.link(site.next / volume(names), site.root.parent / "elsewhere")


CASES: dict[str, tuple[Callable[[Site, list[str]], None], str]] = {
    "a forged manifest in place of a served one": (forge_a_served_manifest, "something else has been put in its place"),
    "a volume missing": (drop(".vol1."), "volume 1 of 2 is missing"),
    "no volume at all": (drop(".vol"), "it has no volume"),
    "no manifest": (drop("manifest"), "its manifest is missing"),
    "no sigtar": (drop("sigtar"), "its sigtar is missing"),
    "a foreign name": (add("passwd"), "'passwd' is not the name"),
    "a name with a newline": (add("duplicity-full.20121205T000000Z.manifest\n"), r"\\n' is not the name"),
    "a volume in two forms": (add("duplicity-inc.20121204T000000Z.to.20121205T000000Z.vol1.difftar.gz"), "two forms"),
    "two increments at once": (second_increment, "expected the files of one backup, found 2"),
    "a file that the marker does not name": (
        lambda site, names: site.finish(names[1:]),
        "is on one side only",
    ),
    "a shorter file than announced": (lambda site, names: lie(site, names, size=1), "and should have 1"),
    "another SHA-256": (lambda site, names: lie(site, names, sha256="0" * 64), "not the SHA-256"),
    "a marker that is no JSON": (mark("all done"), "FINISHED is malformed"),
    "a marker of tomorrow's version": (mark('{"version": 2, "files": []}'), "version 2 is not known"),
    "a volume that is a symbolic link": (
        lambda site, names: swap(site, volume(names), lambda path: os.symlink("/etc/shadow", path)),
        "cannot be opened",
    ),
    "a volume that is a FIFO": (
        lambda site, names: swap(site, volume(names), lambda path: os.mkfifo(path)),
        "not a plain file",
    ),
    "a volume that is a directory": (
        lambda site, names: swap(site, volume(names), lambda path: os.mkdir(path)),
        "not a plain file",
    ),
    "a volume with a second name": (hard_link, "has 2 names"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_its_reason_and_the_client_goes_on(site: Site, case: str) -> None:
    site.day("2012-12-04")
    before = {path: path.stat().st_ino for path in site.root.glob("backups/**/*")}
    names = site.upload(DAY, volumes=2)
    spoil, reason = CASES[case]
    spoil(site, names)
    done = site.collect(DAY)
    assert not done.committed
    (message,) = done.refused
    assert message.startswith("web1: batch refused: ")
    import re

    assert re.search(reason, message), message
    (place,) = (site.state / "quarantine").iterdir()
    assert place.name in message
    assert (place / "REASON").read_text().strip() in message
    assert {path: path.stat().st_ino for path in site.root.glob("backups/**/*")} == before
    assert done.state is State.SERVED
    site.upload(DAY)
    assert len(site.collect(DAY).committed) == 1


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("2012-12-03", "2012-12-05", "does not start where"),
        ("2012-12-04", "2012-12-06", "in the future"),
        ("2012-12-04", "2012-12-04", "not the name"),
        ("2012-12-04", "2012-12-03", "not the name"),
        (None, "2012-12-04", "end after the chain"),
        (None, "2012-12-03", "end after the chain"),
    ],
)
def test_times_that_do_not_continue_what_was_served_are_refused(
    site: Site, start: str | None, end: str, reason: str
) -> None:
    site.day("2012-12-04")
    names = increment_names(int(at(start).timestamp()) if start else None, int(at(end).timestamp()))
    for name in names:
        (site.next / name).unlink(missing_ok=True)
        (site.next / name).write_text("x")
    site.finish(names)
    (message,) = site.collect(DAY).refused
    # A full that ends where the served one does has that one's names: then it is the forgery that is seen.
    assert reason in message or "something else has been put in its place" in message


def test_of_refused_uploads_the_newest_are_kept(site: Site) -> None:
    site.day("2012-12-04")
    for hour in range(KEPT + 2):
        for name in (names := site.upload(f"2012-12-05T{hour:02}:00:00")):
            (site.next / name).write_text("not what was announced")
        assert site.collect(f"2012-12-05T{hour:02}:30:00").refused, names
    kept = sorted(path.name for path in (site.state / "quarantine").iterdir())
    assert kept == [f"20121205T{hour:02}3000Z" for hour in range(2, KEPT + 2)]
    assert len((site.state / "log").read_text().split(" refuse ")) == KEPT + 3


def test_what_is_refused_under_a_corrected_clock_is_kept_and_so_is_what_an_administrator_put_there(site: Site) -> None:
    for slot in ("evidence", *(f"2076010{day}T000000Z" for day in range(1, 10)), "20760110T000000Z"):
        (site.state / "quarantine" / slot / "files").mkdir(parents=True)
    site.day("2012-12-04")
    for name in site.upload("2012-12-05"):
        (site.next / name).write_text("not what was announced")
    assert "20121205T000000Z" in site.collect("2012-12-05").refused[0]
    kept = {path.name for path in (site.state / "quarantine").iterdir()}
    assert {"evidence", "20121205T000000Z"} <= kept
    assert len(kept) == KEPT + 1


def test_dot_files_of_broken_transfers_are_dropped(site: Site) -> None:
    site.collect("2012-12-04")
    site.upload("2012-12-04")
    (site.next / ".duplicity-full.20121204T000000Z.vol2.difftar.gpg.part").write_text("half")
    assert len(site.collect("2012-12-04").committed) == 1
    assert not list(site.root.rglob("*.part"))


def test_an_increment_without_a_served_chain_is_refused(site: Site) -> None:
    site.collect("2012-12-04")
    names = increment_names(END - 86400, END)
    for name in names:
        (site.next / name).write_text("x")
    site.finish(names)
    assert "no chain was served" in site.collect(DAY).refused[0]
