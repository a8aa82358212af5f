"""How snapshots are put together, whoever may move directories meanwhile; and by what they are known."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cya.errors import SnapshotError
from cya.snapshot import namespace
from cya.snapshot.binding import bind, descended, opened
from cya.snapshot.mounts import Mount, below
from cya.snapshot.names import Owner, owner_of
from cya.snapshot.view import Assembly
from tests.mounts import own_mounts


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    with own_mounts():
        yield tmp_path
        subprocess.run(["umount", "--recursive", "--lazy", tmp_path], capture_output=True, check=False)


@dataclass(frozen=True)
class Piece:
    """A snapshot that is a directory."""

    top: Path
    part: Path = Path()

    def mount(self, place: Path) -> Path:
        return self.top


def tmpfs(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    return place


def test_a_link_on_the_way_to_a_mount_point_leads_nowhere(place: Path) -> None:
    """A user who may rename a directory above a mount point cannot have root mount it over another place."""
    source, snapshot = place / "source", place / "snapshot"
    mounted = tmpfs(source / "anna/dir/mnt")
    (mounted / "evil").touch()
    (place / "victim/mnt").mkdir(parents=True)
    (snapshot / "anna").mkdir(parents=True)
    (snapshot / "anna/dir").symlink_to(place / "victim")
    here, inside = below(source)
    (tmpfs(place / "staging") / "keep").mkdir()
    assembly = Assembly(source, place / "staging", writable=False)
    missing = assembly.build(here, {here: Piece(snapshot)}, {}, inside)
    assert [each.path for each in missing] == [Path("anna/dir/mnt")]
    assert "symbolic link" in missing[0].reason
    assert os.listdir(place / "victim/mnt") == []


def test_what_is_mounted_over_meanwhile_is_not_shown_in_place_of_it(place: Path) -> None:
    source, snapshot = place / "source", place / "snapshot"
    mounted = tmpfs(source / "mnt")
    (snapshot / "mnt").mkdir(parents=True)
    here, inside = below(source)
    tmpfs(mounted)
    tmpfs(place / "staging")
    missing = Assembly(source, place / "staging", writable=False).build(here, {here: Piece(snapshot)}, {}, inside)
    assert [each.path for each in missing] == [Path("mnt")]
    assert "was unmounted, or mounted over" in missing[0].reason


def test_mounts_that_are_hidden_do_not_count(place: Path) -> None:
    source = place / "source"
    tmpfs(source / "a/b")
    tmpfs(source / "a")
    (source / "a/c").mkdir()
    tmpfs(source / "a/c")
    tmpfs(source / "odd \\ \n name\udcff")
    _, inside = below(source)
    assert [each.target for each in inside] == [source / "a", source / "odd \\ \n name\udcff", source / "a/c"]


def test_the_view_is_read_only_and_a_file_can_be_a_mount_point(place: Path) -> None:
    source, snapshot = place / "source", place / "snapshot"
    source.mkdir()
    (source / "file").touch()
    (place / "other").write_text("other\n")
    subprocess.run(["mount", "--bind", place / "other", source / "file"], check=True)
    snapshot.mkdir()
    (snapshot / "file").touch()
    here, inside = below(source)
    tmpfs(place / "staging")
    assembly = Assembly(source, place / "staging", writable=False)
    assert assembly.build(here, {here: Piece(snapshot)}, {}, inside) == []
    assert (assembly.path / "file").read_text() == "other\n"
    for path in ("file", "new"):
        with pytest.raises(OSError, match="Read-only file system"):
            (assembly.path / path).write_text("x")


def test_a_view_whose_root_may_be_written_to(place: Path) -> None:
    """Stock duplicity needs a place for .dupext; what is mounted below stays read-only."""
    source, snapshot = place / "source", place / "snapshot"
    tmpfs(source / "mnt")
    (snapshot / "mnt").mkdir(parents=True)
    here, inside = below(source)
    tmpfs(place / "staging")
    assembly = Assembly(source, place / "staging", writable=True)
    assembly.build(here, {here: Piece(snapshot)}, {}, inside)
    (assembly.path / ".dupext").mkdir()
    with pytest.raises(OSError, match="Read-only file system"):
        (assembly.path / "mnt/new").write_text("x")


def test_only_what_is_asked_for_is_bound_not_what_lies_below(place: Path) -> None:
    source = tmpfs(place / "source")
    (tmpfs(source / "mnt") / "below").touch()
    (place / "view").mkdir()
    with opened(source) as what, opened(place / "view") as where:
        bind(what, where)
    assert os.listdir(place / "view/mnt") == []


def test_no_way_up_and_no_missing_part(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with opened(tmp_path) as top, pytest.raises(FileNotFoundError), descended(top, Path("a/b")):
        pass


def test_an_owner_is_one_config_of_one_host(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("0123456789abcdef0123456789abcdef\n")
    one = owner_of(Path("/root/web1.toml"), machine)
    assert one == owner_of(Path("/root/web1.toml"), machine)
    assert one != owner_of(Path("/root/web2.toml"), machine)
    machine.write_text("another\n")
    assert one != owner_of(Path("/root/web1.toml"), machine)
    assert owner_of(Path("/root/web1.toml"), tmp_path / "none").mark.startswith("cya-")


@pytest.mark.parametrize(
    "name",
    ["", "cya-0123456789", "cya-0123456789-1", "cya-0123456789-1-x", "cya-0123456788-1-0", "cya-0123456789-1-0\n"],
)
def test_other_names_are_not_the_owners(name: str) -> None:
    owner = Owner("cya-0123456789")
    assert owner.owns(owner.name(1795715322, 12))
    assert not owner.owns(name)


@pytest.mark.usefixtures("as_nobody")
def test_without_root_it_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "_outside", None)
    with pytest.raises(SnapshotError, match="run as root"):
        namespace.enter()


def test_a_mount_says_what_it_is() -> None:
    here, _ = below(Path("/proc"))
    assert isinstance(here, Mount)
    assert (here.target, here.type, here.root) == (Path("/proc"), "proc", Path("/"))
