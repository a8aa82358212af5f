"""The script that puts back, without cya, what Duplicity's format cannot hold."""

from __future__ import annotations

import os
import random
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import cya.metadata
from cya.metadata import acl, attributes, hard_links, inode_flags, records, sockets, sparse, times
from tests.metadata.tools import ENVIRONMENT, run

SCRIPT = Path(cya.metadata.__file__).with_name("restore.sh")
ROOT = os.geteuid() == 0
NEEDED = [
    *(
        "cat",
        "comm",
        "find",
        "grep",
        "head",
        "join",
        "ln",
        "mktemp",
        "nproc",
        "paste",
        "rm",
        "sed",
        "sh",
        "sort",
        "stat",
    ),
    *("tail", "touch", "tr", "wc", "xargs"),
]
TOOLS = ("chattr", "fallocate", "setfacl", "setfattr")
BLOCK = 4096
NAMES = [
    *(b"plain", b"two words", b" leading", b"trailing ", b"\tta\tb", b"-rf", b"--", b"new\nline\n", b"\n", b"c\rr\r"),
    *(b"'quotes\"", b"back\\slash", b"\\", b"\\012", b"\\056\\056", b"*", b"[x]?", b"$HOME`id`$(id)", b"#hash", b"a=b"),
    *(b"...", b"..x", b".hidden", b"{}", b"%s%n\\0", b"!", b"~", b"e\xcc\x81\xff", b"# file: x", b"i 2 .", b"= x"),
    bytes(set(range(1, 256)) - {0x2F}),
    *(bytes([byte]) + b"x" for byte in range(0x80, 0x90)),
]


ACCESS = b"\2\0\0\0" + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [(1, 7, 2**32 - 1), (2, 5, 1), (4, 5, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)]
)
"""An ACL, of a file with the mode 0740."""


@pytest.fixture(autouse=True)
def _tools() -> None:
    for tool in (*TOOLS, *NEEDED):
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")


@dataclass
class Restored:
    """A tree as stock duplicity would have restored it, with what lies beside it."""

    place: Path

    def put(self, name: str, content: bytes) -> None:
        (self.place / ".dupext" / name).write_bytes(content)

    def path(self, key: bytes) -> bytes:
        return os.path.join(os.fsencode(self.place), key.replace(b"\0", b"/"))

    def run(self, *options: str, env: Mapping[str, str] = ENVIRONMENT, shell: str = "sh") -> tuple[int, str]:
        """Run the script, and return its exit status and all that it says."""
        done = subprocess.run(
            [shell, self.place / ".dupext" / "restore.sh", *options],
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "backslashreplace")


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Restored]:
    place = tmp_path / "restored tree\n"
    (place / ".dupext").mkdir(parents=True)
    shutil.copy(SCRIPT, place / ".dupext" / "restore.sh")
    yield Restored(place)
    subprocess.run(["chattr", "-R", "-f", "-ia", tmp_path], check=False, capture_output=True)


def write(path: bytes, content: bytes = b"") -> None:
    with open(path, "wb") as file:
        file.write(content)


def succeeds(restored: Restored, *options: str) -> str:
    status, said = restored.run(*options)
    assert status == 0, said
    assert said.endswith("Everything was put back.\n")
    return said


def pairs(found: Mapping[bytes, bytes]) -> bytes:
    """A file of a field, and the key of the name that it is about."""
    return b"".join(field + b"\0" + records.dotted(key) + b"\0" for key, field in found.items())


def value(path: bytes, attribute: str) -> bytes | None:
    there = os.listxattr(path, follow_symlinks=False)
    return os.getxattr(path, attribute, follow_symlinks=False) if attribute in there else None


def test_every_name_of_a_set_becomes_a_link_and_nothing_else_changes(restored: Restored) -> None:
    os.mkdir(restored.path(b"d"))
    os.mkdir(restored.path(b"d\0e"))
    content = b""
    for number, name in enumerate(NAMES):
        write(restored.path(name), name)
        content += hard_links.record(b"%d" % number, 3, name)
        content += hard_links.record(b"%d" % number, 3, b"d\0" + name)
        content += hard_links.record(b"%d" % number, 3, b"d\0e\0" + name)
    restored.put("hardlinks.txtz", content)
    for key, ns in ((b"d", 1_500_000_000), (b"d\0e", -1_500_000_000), (b"", 10**18)):
        os.utime(restored.path(key), ns=(0, ns))
    for _ in range(2):
        succeeds(restored)
        for name in NAMES:
            status = os.stat(restored.path(name))
            assert status.st_nlink == 3
            assert os.path.samestat(status, os.stat(restored.path(b"d\0" + name)))
            assert os.path.samestat(status, os.stat(restored.path(b"d\0e\0" + name)))
            with open(restored.path(name), "rb") as file:
                assert file.read() == name
        assert len(os.listdir(restored.path(b"d\0e"))) == len(NAMES)
        assert os.stat(restored.path(b"d")).st_mtime_ns == 1_500_000_000
        assert os.stat(restored.path(b"d\0e")).st_mtime_ns == -1_500_000_000
        assert os.stat(restored.path(b"")).st_mtime_ns == 10**18


def test_records_in_any_order_with_all_names_there_as_of_2012_and_more_than_one_xargs_runs_over(
    restored: Restored,
) -> None:
    chance = random.Random(3)
    sets = {b"1": 1500, b"10": 2, b"2.1": 2, b"2": 2}
    names = [
        (inode, b"%s_%d_%s" % (inode, number, b"n" * 180)) for inode, many in sets.items() for number in range(many)
    ]
    chance.shuffle(names)
    for _, name in names:
        write(restored.path(name), name)
    restored.put("hardlinks.txtz", b"".join(hard_links.record(inode, 9, name) for inode, name in names))
    said = succeeds(restored)
    assert "hard links: 1502 to make, of 1506 names" in said
    for inode, many in sets.items():
        there = {os.stat(restored.path(name)).st_ino for each, name in names if each == inode}
        assert len(there) == 1
        first = next(name for each, name in names if each == inode)
        assert os.stat(restored.path(first)).st_nlink == many
        with open(restored.path(first), "rb") as file:
            assert file.read() == first


def test_the_first_name_that_is_there_is_linked_and_what_is_no_directory_is_replaced(restored: Restored) -> None:
    write(restored.path(b"b"), b"content")
    os.symlink("/nowhere", restored.path(b"c"))
    write(restored.path(b"e"), b"other")
    os.mkfifo(restored.path(b"f"))
    os.symlink(".", restored.path(b"g"))
    restored.put(
        "hardlinks.txtz",
        b"".join(hard_links.record(b"5", 6, bytes([name])) for name in b"abcefg"),
    )
    succeeds(restored)
    assert {os.lstat(restored.path(bytes([name]))).st_ino for name in b"abcefg"} == {
        os.stat(restored.path(b"b")).st_ino
    }
    assert Path(os.fsdecode(restored.path(b"a"))).read_bytes() == b"content"


def test_the_first_name_is_the_one_with_the_content_whatever_comes_before_it_in_the_alphabet(
    restored: Restored,
) -> None:
    for name in (b"z", b"a", b"y"):
        write(restored.path(name), name)
    restored.put("hardlinks.txtz", b"".join(hard_links.record(b"5", 3, name) for name in (b"z", b"a", b"y")))
    succeeds(restored)
    for name in (b"z", b"a", b"y"):
        with open(restored.path(name), "rb") as file:
            assert file.read() == b"z"


def test_a_symlink_with_two_names_has_two_again(restored: Restored) -> None:
    os.symlink(".dupext", restored.path(b"l"))
    os.symlink(".dupext", restored.path(b"m"))
    content = b"".join(hard_links.record(b"5", 3, name) for name in (b"l", b"m", b"n"))
    restored.put("hardlinks.txtz", content)
    for _ in range(2):
        succeeds(restored)
        assert len({os.lstat(restored.path(name)).st_ino for name in (b"l", b"m", b"n")}) == 1
        assert os.readlink(restored.path(b"n")) == b".dupext"
    assert sorted(os.listdir(restored.path(b".dupext"))) == [b"hardlinks.txtz", b"restore.sh"]


def test_a_directory_in_the_place_of_a_link_stays_and_is_told(restored: Restored) -> None:
    write(restored.path(b"a"))
    os.mkdir(restored.path(b"b"))
    write(restored.path(b"b\0kept"))
    restored.put("hardlinks.txtz", b"".join(hard_links.record(b"5", 3, name) for name in (b"b", b"a", b"c")))
    status, said = restored.run()
    assert status == 1
    assert "1 directories are where a hard link should be:\n    ./b\n" in said
    assert os.listdir(restored.path(b"b")) == [b"kept"]
    assert os.stat(restored.path(b"a")).st_ino == os.stat(restored.path(b"c")).st_ino


def test_a_set_of_which_nothing_is_there_is_told(restored: Restored) -> None:
    restored.put("hardlinks.txtz", hard_links.record(b"5", 2, b"a\nb") + hard_links.record(b"5", 2, b"c"))
    status, said = restored.run()
    assert status == 1
    assert "2 names are not there, or not in the tree:\n    ./a\\012b\n    ./c\n" in said


def test_acls_and_attributes_come_back_under_every_name(restored: Restored) -> None:
    owner = (1234, 4321) if ROOT else (os.geteuid(), os.getegid())
    access = ACCESS
    acls = given = b""
    for name in [b"", *NAMES]:
        path = restored.path(name)
        if name:
            os.mkdir(path) if len(name) % 2 else write(path)
        mode = os.stat(path).st_mode
        default = access if stat.S_ISDIR(mode) else None
        acls += acl.stanza(name or b".", *owner, stat.S_IFMT(mode) | 0o2740, access, default)
        extra = [(b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))]
        more = extra if ROOT and stat.S_ISREG(mode) else []
        given += attributes.stanza(name or b".", [(b"user.a=\n", b"\0\1\n"), (b"user.b", b'text "\\\n'), *more])
    restored.put("acl.txt", acls)
    restored.put("attr.txt", given)
    for _ in range(2):
        succeeds(restored)
        for name in [b"", *NAMES]:
            path = restored.path(name)
            status = os.stat(path)
            assert (status.st_uid, status.st_gid) == owner
            assert stat.S_IMODE(status.st_mode) == 0o2740
            assert value(path, "system.posix_acl_access") == access
            assert value(path, "system.posix_acl_default") == (access if stat.S_ISDIR(status.st_mode) else None)
            assert (value(path, "user.a=\n"), value(path, "user.b")) == (b"\0\1\n", b'text "\\\n')
            if ROOT and stat.S_ISREG(status.st_mode):
                assert value(path, "security.capability") is not None


@pytest.mark.skipif(not ROOT, reason="needs root, for an attribute that a symlink can have")
def test_attributes_of_a_symlink_are_its_own(restored: Restored) -> None:
    write(restored.path(b"f"))
    os.symlink("f", restored.path(b"l"))
    restored.put("attr.txt", attributes.stanza(b"l", [(b"trusted.x", b"1")]))
    succeeds(restored)
    assert value(restored.path(b"l"), "trusted.x") == b"1"
    assert value(restored.path(b"f"), "trusted.x") is None


def test_without_setfacl_the_acls_come_with_the_attributes_and_without_acls_they_do_not(restored: Restored) -> None:
    write(restored.path(b"f"))
    run(restored.place, "setfacl", "-m", "u:1:r", "f")
    found = os.getxattr(restored.path(b"f"), "system.posix_acl_access")
    run(restored.place, "setfacl", "-b", "f")
    restored.put("attr.txt", attributes.stanza(b"f", [(b"system.posix_acl_access", found), (b"user.x", b"y")]))
    succeeds(restored, "--no-acls")
    assert value(restored.path(b"f"), "system.posix_acl_access") is None
    assert value(restored.path(b"f"), "user.x") == b"y"
    succeeds(restored)
    assert value(restored.path(b"f"), "system.posix_acl_access") == found


def test_times_come_back_under_every_name_of_every_kind_and_directories_keep_theirs(restored: Restored) -> None:
    wanted = {}
    for number, name in enumerate(NAMES):
        path = restored.path(name)
        kind = number % 4
        if kind == 0:
            write(path)
        elif kind == 1:
            os.mkdir(path)
        elif kind == 2:
            os.mkfifo(path)
        else:
            os.symlink("/nowhere", path)
        wanted[name] = (-1) ** number * (number * 10**9 + 123456789)
    wanted[b""] = 5
    restored.put("times.txtz", pairs({key: times.text(ns) for key, ns in wanted.items()}))
    for _ in range(2):
        succeeds(restored)
        assert {key: os.lstat(restored.path(key)).st_mtime_ns for key in wanted} == wanted


def test_files_with_holes_have_them_again_with_the_same_content_and_time(restored: Restored) -> None:
    content = b"data" * 1024 + bytes(20 * BLOCK) + b"end"
    wanted = {}
    for name in NAMES:
        write(restored.path(name), content)
        os.utime(restored.path(name), ns=(0, 10**9 + 7))
        wanted[name] = sparse.text(len(content), ((0, 4096), (21 * BLOCK, 3)))
    large = tuple((number * 2 * BLOCK, BLOCK) for number in range(20000))
    write(restored.path(b"large"), bytes(BLOCK))
    wanted[b"large"] = sparse.text(40000 * BLOCK, large)
    assert len(wanted[b"large"]) > 131072, "longer than an argument can be"
    write(restored.path(b"changed"), b"x" * len(content))
    wanted[b"changed"] = sparse.text(len(content), ())
    restored.put("sparse.txtz", pairs(wanted))
    succeeds(restored)
    with open(restored.path(b"changed"), "rb") as file:
        assert file.read() == b"x" * len(content)
    for name in NAMES:
        with open(restored.path(name), "rb") as file:
            assert sparse.extents(file.fileno(), len(content)) == ((0, 4096), (21 * BLOCK, 3))
            file.seek(0)
            assert file.read() == content
        assert os.stat(restored.path(name)).st_mtime_ns == 10**9 + 7


@pytest.mark.skipif(not ROOT, reason="needs root, to make files immutable")
def test_flags_come_last_and_a_second_run_does_all_of_it_again(restored: Restored) -> None:
    flags = {}
    for name in NAMES:
        write(restored.path(name))
        flags[name] = b"+" + inode_flags.letters(inode_flags.of_letters(b"iAd"))
    write(restored.path(b"f"), bytes(8 * BLOCK))
    os.mkdir(restored.path(b"d"))
    flags |= {b"f": b"+i", b"d": b"+aA", b"d\0g": b"+i"}
    restored.put("flags.txtz", pairs(flags))
    restored.put("hardlinks.txtz", hard_links.record(b"7", 2, b"f") + hard_links.record(b"7", 2, b"d\0g"))
    restored.put("sparse.txtz", pairs({b"f": sparse.text(8 * BLOCK, ())}))
    restored.put("attr.txt", attributes.stanza(b"f", [(b"user.x", b"y")]))
    restored.put("times.txtz", pairs({b"f": b"@5.000000005", b"d": b"@6.000000006"}))
    for number in range(2):
        succeeds(restored)
        assert os.stat(restored.path(b"f")).st_nlink == 2
        assert os.stat(restored.path(b"f")).st_mtime_ns == 5 * 10**9 + 5
        assert os.stat(restored.path(b"d")).st_mtime_ns == 6 * 10**9 + 6
        assert value(restored.path(b"f"), "user.x") == b"y"
        for key, letters in flags.items():
            fd = os.open(restored.path(key), os.O_RDONLY)
            try:
                assert inode_flags.get(fd) & inode_flags.KEPT == inode_flags.of_letters(letters)
            finally:
                os.close(fd)
        if number == 0:
            run(restored.place, "chattr", "-ia", "d")


@pytest.mark.skipif(not ROOT, reason="needs root, to make files immutable")
def test_flags_that_can_be_set_are_although_others_cannot(restored: Restored) -> None:
    write(restored.path(b"f"), b"content")
    restored.put("flags.txtz", pairs({b"f": b"+iVd"}))
    status, said = restored.run()
    assert status == 1
    assert "Not everything was put back" in said
    assert run(restored.place, "lsattr", "f").split()[0].replace(b"-", b"").rstrip(b"e") == b"id"


def test_sockets_are_counted_and_what_is_said_of_them_is_no_failure(restored: Restored) -> None:
    keys = [b"s", b"back\\slash\n"]
    restored.put("sockets.txtz", pairs(dict.fromkeys(keys, sockets.text(0o755, 0, 0))))
    restored.put("times.txtz", pairs(dict.fromkeys(keys, b"@1.5")))
    labels = [(b"security.selinux", b"x"), (b"trusted.y", b"z")]
    restored.put("attr.txt", b"".join(attributes.stanza(key, labels) for key in keys))
    restored.put("acl.txt", b"".join(acl.stanza(key, 0, 0, 0o140755, ACCESS, None) for key in keys))
    assert "sockets: 2 are not there" in succeeds(restored)


def test_what_is_not_there_is_told_and_the_rest_is_done(restored: Restored) -> None:
    write(restored.path(b"here"))
    owner = os.geteuid(), os.getegid()
    makers: dict[str, Callable[[bytes], bytes]] = {
        "acl.txt": lambda key: acl.stanza(key, *owner, 0o100740, ACCESS, None),
        "attr.txt": lambda key: attributes.stanza(key, [(b"user.x", b"y")]),
        "times.txtz": lambda key: pairs({key: b"@1.5"}),
        "sparse.txtz": lambda key: pairs({key: b"0:"}),
    }
    for name, each in makers.items():
        restored.put(name, each(b"gone " + name.encode()) + each(b"here"))
    status, said = restored.run()
    assert status == 1
    names = "".join(f"    ./gone {name}\n" for name in ("acl.txt", "attr.txt", "sparse.txtz", "times.txtz"))
    assert f"4 names are not there, or not in the tree:\n{names}Not everything was put back" in said
    assert value(restored.path(b"here"), "user.x") == b"y"
    assert value(restored.path(b"here"), "system.posix_acl_access") == ACCESS
    assert os.stat(restored.path(b"here")).st_mtime_ns == 1_500_000_000


@pytest.mark.parametrize(
    "way",
    [
        *(b"../victim", b"./../victim", b"a/../../victim", b"link/victim", b"a//../victim", b"a/./../../victim"),
        *(b"/victim", b"..//victim", b"", b"./", b"sub/through/victim"),
    ],
)
def test_names_that_lead_out_of_the_tree_are_refused_and_the_rest_is_done(restored: Restored, way: bytes) -> None:
    outside = os.fsencode(restored.place.parent)
    os.mkdir(restored.path(b"a"))
    os.mkdir(restored.path(b"sub"))
    os.symlink(outside, restored.path(b"link"))
    os.symlink("../..", restored.path(b"sub\0through"))
    write(restored.path(b"good"), bytes(4 * BLOCK))
    write(restored.path(b"first"), b"evil")
    victim = os.path.join(outside, b"victim")
    write(victim, bytes(4 * BLOCK))
    os.utime(victim, ns=(0, 0))
    before = os.stat(victim)
    if way == b"/victim":
        way = victim
    dotted = way if way.startswith((b"/", b"./")) or not way else b"./" + way
    escaped = b"".join(b"\\%03o" % byte if byte in b"./" else bytes([byte]) for byte in way)
    wrapped = b"".join(b"\\%03o" % (byte + 0o400) if byte in b"./" else bytes([byte]) for byte in way)
    me = b"%d" % os.geteuid(), b"%d" % os.getegid()
    entries = b"user::rwx\nuser:1:rwx\ngroup::r-x\nmask::rwx\nother::---\n"
    acls = b""
    for header in (
        b"# file: " + way,
        b"#file:" + way,
        b"\t#   file: \t" + way,
        b"# file: " + escaped,
        b"# file: " + wrapped,
    ):
        acls += header + b"\n# owner: %s\n# group: %s\n" % ((b"7", b"7") if ROOT else me) + entries + b"\n"
    good = b"# file: good\n# file: %s\n# owner: %s\n# group: %s\n" % (way, *me)
    restored.put("acl.txt", acls + good + entries + b"\n" + acls[:-1])
    given = b"".join(b'# file: %s\nuser.x="1"\n\n' % name for name in (way, escaped, wrapped, b"good", way))
    given += b'# file: good\nuser.y="1"\r\r# file: %s\ruser.x="1"\n' % way
    restored.put("attr.txt", given)
    for name, field in (("times.txtz", b"@5.5"), ("sparse.txtz", b"16384:"), ("flags.txtz", b"+d")):
        restored.put(name, field + b"\0" + dotted + b"\0" + field + b"\0./good\0")
    link = b"7 2 ./first\0" + b"7 2 " + dotted + b"\0" + b"8 2 " + dotted + b"\0" + b"8 2 ./stolen\0"
    restored.put("hardlinks.txtz", link + b"7 2 ./linked\0")
    status, said = restored.run()
    assert status == 1, said
    assert "entries are refused" in said
    assert "names are not there, or not in the tree" in said
    after = os.stat(victim)
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_nlink) == (0, before.st_ctime_ns, 1)
    assert os.listxattr(victim) == os.listxattr(os.fsencode(SCRIPT))
    good_path = restored.path(b"good")
    assert value(good_path, "user.x") == b"1"
    assert value(good_path, "system.posix_acl_access") is not None
    assert os.stat(good_path).st_mtime_ns == 5_500_000_000
    assert os.stat(good_path).st_blocks <= BLOCK // 512, "one may hold the attributes"
    assert os.stat(restored.path(b"linked")).st_ino == os.stat(restored.path(b"first")).st_ino
    assert not os.path.lexists(restored.path(b"stolen"))


@pytest.mark.skipif(not ROOT, reason="needs root, to see that owners stay")
def test_an_acl_is_never_set_through_a_symlink_that_has_its_name(restored: Restored) -> None:
    victim = restored.place.parent / "victim"
    victim.touch()
    os.symlink(victim, restored.path(b"li\\nk"))
    for name in (rb"li\134nk", rb"li\\nk", rb"\154i\134nk"):
        restored.put("acl.txt", b"# file: %s\n# owner: 7\n# group: 7\nuser::rwx\ngroup::rwx\nother::rwx\n\n" % name)
        status, said = restored.run()
        assert status == 1
        assert "1 names are not there, or not in the tree" in said
        assert (victim.stat().st_uid, stat.S_IMODE(victim.stat().st_mode)) == (0, 0o644)


def test_holes_and_flags_are_for_no_symlink_and_no_other_kind_of_file(restored: Restored) -> None:
    victim = restored.place.parent / "victim"
    victim.write_bytes(bytes(4 * BLOCK))
    before = victim.stat()
    os.symlink(victim, restored.path(b"l"))
    os.mkfifo(restored.path(b"f"))
    for name, field in (("sparse.txtz", b"16384:"), ("flags.txtz", b"+d")):
        restored.put(name, pairs({b"l": field, b"f": field}))
        status, said = restored.run()
        assert status == 1
        assert "2 entries are refused" in said
        (restored.place / ".dupext" / name).unlink()
    assert (victim.stat().st_blocks, victim.stat().st_ctime_ns) == (before.st_blocks, before.st_ctime_ns)


@pytest.mark.parametrize("name", ["times.txtz", "flags.txtz", "hardlinks.txtz", "sparse.txtz"])
@pytest.mark.parametrize(
    "content", [b"rubbish", b"\0\0\0", b"@1.5\0", b"-R\0./f\0", b"@1 -R\0./f\0", b"+\0./f\0", b"@$(id)\0./f\0"]
)
def test_what_are_no_records_is_refused(restored: Restored, name: str, content: bytes) -> None:
    write(restored.path(b"f"), b"x")
    os.utime(restored.path(b"f"), ns=(0, 0))
    restored.put(name, content)
    status, said = restored.run()
    if name == "sparse.txtz" and content.endswith(b"\0./f\0") and b" " not in content:
        assert status == 0, said  # what the extents are is of no matter to it
    else:
        assert status == 1, said
    assert os.stat(restored.path(b"f")).st_mtime_ns == 0


def test_steps_are_left_out_as_told_and_a_dry_run_does_nothing(restored: Restored) -> None:
    for name in (b"f", b"g"):
        write(restored.path(name), bytes(4 * BLOCK))
        os.utime(restored.path(name), ns=(0, 0))
    restored.put("acl.txt", acl.stanza(b"f", os.geteuid(), os.getegid(), 0o100740, ACCESS, None))
    restored.put("attr.txt", attributes.stanza(b"f", [(b"user.x", b"y")]))
    restored.put("times.txtz", pairs({b"f": b"@1.5"}))
    restored.put("sparse.txtz", pairs({b"f": b"16384:"}))
    restored.put("flags.txtz", pairs({b"f": b"+d"}))
    restored.put("hardlinks.txtz", hard_links.record(b"1", 2, b"f") + hard_links.record(b"1", 2, b"g"))
    everything = ["--no-links", "--no-acls", "--no-xattrs", "--no-sparse", "--no-times", "--no-flags"]
    before = os.stat(restored.path(b"f"))
    for options in (everything, ["--dry-run"], ["--dry-run", *everything]):
        status, said = restored.run(*options)
        assert status == 0
        assert said.endswith("Nothing was changed.\n" if "--dry-run" in options else "Everything was put back.\n")
        assert said.count("left out, as told") == len([option for option in options if option != "--dry-run"])
        assert os.stat(restored.path(b"f")) == before
        assert os.listxattr(restored.path(b"f")) == os.listxattr(os.fsencode(SCRIPT))
    assert value(restored.path(b"f"), "user.x") is None
    succeeds(restored)
    after = os.stat(restored.path(b"f"))
    assert (after.st_nlink, after.st_blocks, after.st_mtime_ns) == (2, 0, 1_500_000_000)
    assert value(restored.path(b"f"), "user.x") == b"y"


@pytest.mark.parametrize("tool", TOOLS)
def test_a_step_whose_tool_is_missing_is_named_and_the_others_are_done(restored: Restored, tool: str) -> None:
    bin_ = restored.place.parent / "bin"
    bin_.mkdir()
    for each in {*NEEDED, *TOOLS} - {tool}:
        (bin_ / each).symlink_to(shutil.which(each) or "")
    write(restored.path(b"f"), bytes(4 * BLOCK))
    restored.put("acl.txt", acl.stanza(b"f", os.geteuid(), os.getegid(), 0o100740, ACCESS, None))
    restored.put("attr.txt", attributes.stanza(b"f", [(b"user.x", b"y")]))
    restored.put("sparse.txtz", pairs({b"f": b"16384:"}))
    restored.put("flags.txtz", pairs({b"f": b"+d"}))
    file = {"chattr": "flags.txtz", "fallocate": "sparse.txtz", "setfacl": "acl.txt", "setfattr": "attr.txt"}[tool]
    status, said = restored.run(env={**ENVIRONMENT, "PATH": str(bin_)})
    assert status == 1
    assert f"restore.sh: {file}: left out, {tool} is not installed\n" in said
    assert (value(restored.path(b"f"), "user.x") == b"y") == (tool != "setfattr")
    assert (value(restored.path(b"f"), "system.posix_acl_access") is not None) == (tool != "setfacl")
    assert (os.stat(restored.path(b"f")).st_blocks < 8) == (tool != "fallocate")


def test_it_needs_no_tool_but_those_it_names(restored: Restored) -> None:
    bin_ = restored.place.parent / "bin"
    bin_.mkdir()
    for each in {*NEEDED, *TOOLS} - {"sed"}:
        (bin_ / each).symlink_to(shutil.which(each) or "")
    status, said = restored.run(env={**ENVIRONMENT, "PATH": str(bin_)})
    assert (status, said) == (2, "restore.sh: sed is needed\n")


def test_a_tree_in_another_place_is_told_by_its_path_and_wrong_usage_is_refused(
    restored: Restored, tmp_path: Path
) -> None:
    other = tmp_path / "-other"
    other.mkdir()
    (other / "f").touch()
    restored.put("times.txtz", pairs({b"f": b"@1.5"}))
    succeeds(restored, str(other))
    assert (other / "f").stat().st_mtime_ns == 1_500_000_000
    (other / "f").touch()
    subprocess.run(["sh", restored.place / ".dupext" / "restore.sh", "--", "-other"], cwd=tmp_path, check=True)
    assert (other / "f").stat().st_mtime_ns == 1_500_000_000
    assert restored.run("--no-such-option")[0] == 2
    assert restored.run("a", "b")[0] == 2
    assert restored.run(str(tmp_path / "missing"))[0] == 2
    assert restored.run("--help")[1].startswith("sh .dupext/restore.sh [--dry-run]")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_more_shells_run_it(restored: Restored, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"not installed: {shell}")
    write(restored.path(b"f"), b"x")
    restored.put("times.txtz", pairs({b"f": b"@1.5"}))
    restored.put("hardlinks.txtz", hard_links.record(b"1", 2, b"f") + hard_links.record(b"1", 2, b"g"))
    assert restored.run(shell=shell)[0] == 0
    assert os.stat(restored.path(b"g")).st_mtime_ns == 1_500_000_000


def test_with_remove_its_directory_goes_if_all_went_well_and_the_time_of_the_top_stays(restored: Restored) -> None:
    write(restored.path(b"f"))
    restored.put("times.txtz", pairs({b"": b"@5.25", b"f": b"@1.5", b"gone": b"@1.5"}))
    assert restored.run("--remove")[0] == 1
    restored.put("times.txtz", pairs({b"": b"@5.25", b"f": b"@1.5"}))
    assert restored.run("--remove", "--dry-run")[0] == 0
    assert sorted(os.listdir(restored.place)) == [".dupext", "f"]
    assert restored.run("--remove")[0] == 0
    assert os.listdir(restored.place) == ["f"]
    assert restored.place.stat().st_mtime_ns == 5_250_000_000


def test_nothing_is_left_of_it(restored: Restored, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    write(restored.path(b"f"))
    restored.put("times.txtz", pairs({b"f": b"@1.5", b"gone": b"@1.5"}))
    assert restored.run(env={**ENVIRONMENT, "TMPDIR": str(scratch)})[0] == 1
    assert os.listdir(scratch) == []
    assert sorted(os.listdir(restored.place)) == [".dupext", "f"]


@pytest.mark.skipif(not ROOT, reason="needs root, for owners and flags")
def test_a_copy_without_metadata_becomes_what_the_tree_was(restored: Restored) -> None:
    source = restored.place.parent / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "holes").write_bytes(b"x" * BLOCK)
    os.truncate(source / "holes", 50 * BLOCK)
    (source / "file").write_bytes(b"content")
    os.link(source / "file", source / "deep" / "second name")
    os.symlink("../file", source / "deep" / "link")
    os.mkfifo(source / "deep" / "er" / "fifo")
    shutil.copy("/bin/true", source / "capable")
    os.chown(source / "capable", 5, 6)
    run(source, "setfacl", "-m", "u:1:rwx,g:70000:r,m::r", "deep", "file", "deep/er/fifo")
    run(source, "setfacl", "-d", "-m", "u:2:rw", "deep")
    run(source, "setfattr", "-n", "user.x", "-v", "0x000102", "file")
    run(source, "setfattr", "-n", "security.capability", "-v", "0x0100000200200000000000000000000000000000", "capable")
    (source / "capable").chmod(0o6755)
    run(source, "chattr", "+iA", "file")
    run(source, "chattr", "+d", "deep")
    paths = [b".", *run(source, "find", ".", "-mindepth", "1", "-printf", r"%P\0").split(b"\0")[:-1]]
    links, written = b"", dict.fromkeys(("acl.txt", "attr.txt", "times.txtz", "flags.txtz", "sparse.txtz"), b"")
    for path in sorted(paths):
        place, key = os.fsencode(source) + b"/" + path, records.key_of_dotted(path)
        status = os.lstat(place)
        both = value(place, "system.posix_acl_access"), value(place, "system.posix_acl_default")
        written["acl.txt"] += acl.stanza(path, status.st_uid, status.st_gid, status.st_mode, *both)
        names = os.listxattr(place, follow_symlinks=False)
        written["attr.txt"] += attributes.stanza(
            path, [(os.fsencode(name), value(place, name) or b"") for name in names]
        )
        written["times.txtz"] += pairs({key: times.text(status.st_mtime_ns)})
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            links += hard_links.record(b"%d" % status.st_ino, status.st_nlink, key)
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            fd = os.open(place, os.O_RDONLY)
            try:
                flags = inode_flags.get(fd) & inode_flags.KEPT
                extents = sparse.extents(fd, status.st_size) if stat.S_ISREG(status.st_mode) else None
            finally:
                os.close(fd)
            if flags:
                written["flags.txtz"] += pairs({key: b"+" + inode_flags.letters(flags)})
            if extents is not None:
                written["sparse.txtz"] += pairs({key: sparse.text(status.st_size, extents)})
    run(source, "cp", "-r", "--preserve=mode,ownership", "--sparse=never", ".", os.fsencode(restored.place))
    run(restored.place, "setfacl", "-R", "-b", ".")
    for name, content in {**written, "hardlinks.txtz": links}.items():
        assert content
        restored.put(name, content)
    succeeds(restored)
    shutil.move(restored.place / ".dupext", restored.place.parent)
    os.utime(restored.place, ns=(0, source.stat().st_mtime_ns))
    for command in (
        ("getfacl", "-R", "-n", "."),
        ("getfattr", "-R", "-h", "-m", ".", "-d", "."),
        ("lsattr", "-R"),
        ("find", ".", "-printf", r"%P %y %m %U %G %n %T@ %l\n"),
    ):
        there, wanted = (sorted(run(place, *command).split(b"\n")) for place in (restored.place, source))
        assert there == wanted
    with open(restored.place / "holes", "rb") as file:
        assert sparse.extents(file.fileno(), 50 * BLOCK) == ((0, BLOCK),)
