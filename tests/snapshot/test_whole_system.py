"""The source is ``/``: nothing can be mounted over that, so engines read it elsewhere, and patterns are for ``/``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.snapshot.site import Site, fill, picture

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def system(site: Site) -> Iterator[Site]:
    """A client in a chroot on a btrfs, which sees this machine's programs, and calls its own root ``/``."""
    top = site.source
    needed = [Path("/usr"), Path("/proc"), Path("/dev"), Path("/tmp"), PROJECT, Path(sys.base_prefix)]
    bound: list[Path] = []
    for place in needed:
        if any(place.is_relative_to(above) for above in bound):
            continue
        (top / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--rbind", place, top / place.relative_to("/")], check=True)
        bound.append(place)
    for name in ("bin", "sbin", "lib", "lib64", "etc"):
        if Path("/", name).is_symlink():
            (top / name).symlink_to(Path("/", name).readlink())
        elif name != "etc":
            (top / name).mkdir()
            subprocess.run(["mount", "--bind", Path("/", name), top / name], check=True)
    subprocess.run(["cp", "-a", "/etc", top / "etc"], check=True)
    (top / "run").mkdir()
    site.chroot = top
    site.source = Path("/")
    yield site
    site.chroot = None
    for place in reversed(bound):
        subprocess.run(["umount", "--recursive", "--lazy", top / place.relative_to("/")], check=True)


def test_a_whole_system_is_read_from_a_snapshot(system: Site) -> None:
    top = system.chroot
    assert top is not None
    fill(top / "srv")
    patterns = [
        "+ /srv/etc/passwd",
        "- /srv/etc/*",
        "- /srv/**/nothing",
        "+ /srv",
        "+ ignorecase:/ETC/hostname",
        "- **",
    ]
    hook = ["sh", "-c", "echo changed > /srv/etc/passwd; rm /srv/data"]
    was = picture(top / "srv")
    system.configure("none", selection={"patterns": patterns}, metadata={"system": False})
    system.backup()
    system.configure("btrfs", selection={"patterns": patterns}, metadata={"system": False}, hooks={"release": [hook]})
    done = system.backup()
    assert done["snapshots"][0].startswith("/: btrfs / of /dev/loop")
    assert [done["statistics"][name] for name in ("NewFiles", "ChangedFiles", "DeletedFiles")] == [0, 0, 0]
    assert (top / "srv/etc/passwd").read_text() == "changed\n"
    restored = system.restored()
    for path in ("srv/data", "srv/etc/passwd"):
        assert (restored / path).read_bytes() == was[path.removeprefix("srv/")][2]
    found = {path for path in picture(restored) if not path.startswith(".dupext")}
    assert found == {".", "etc", "etc/hostname", "srv", "srv/data", "srv/etc", "srv/etc/passwd", "srv/link"}
    system.nothing_left()
