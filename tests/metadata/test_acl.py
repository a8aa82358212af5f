"""ACLs: byte for byte what getfacl writes, and byte for byte what the kernel has after setfacl."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cya.metadata import acl
from tests.metadata.tools import make, names, run

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
permissions = st.integers(0, 7)
ids = st.dictionaries(st.integers(0, 20) | st.integers(0, 0xFFFFFFFE), permissions, max_size=4)


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """Values of the attributes that the kernel takes, ids in any order."""
    users, groups = draw(ids), draw(ids)
    named = bool(users or groups)
    entries = [(1, draw(permissions), 0xFFFFFFFF)]
    entries += [(2, bits, uid) for uid, bits in users.items()]
    entries += [(4, draw(permissions), 0xFFFFFFFF)]
    entries += [(8, bits, gid) for gid, bits in groups.items()]
    if named or draw(st.booleans()):
        entries.append((0x10, draw(permissions), 0xFFFFFFFF))
    entries.append((0x20, draw(permissions), 0xFFFFFFFF))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def in_order(value: bytes | None) -> bytes | None:
    """The value with its entries as getfacl sorts them."""
    if value is None:
        return None
    entries = sorted(struct.iter_unpack("<HHI", value[4:]), key=lambda entry: (entry[0], entry[2]))
    return value[:4] + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def has(path: bytes, attribute: str) -> bytes | None:
    return os.getxattr(path, attribute) if attribute in os.listxattr(path) else None


def stanza_of(path: bytes, name: bytes) -> bytes:
    status = os.lstat(path)
    return acl.stanza(name, status.st_uid, status.st_gid, status.st_mode, has(path, ACCESS), has(path, DEFAULT))


@settings(max_examples=80, deadline=None)
@given(
    name=names,
    flags=st.sampled_from([0, 0o1000, 0o2000, 0o4000, 0o5000, 0o7000]),
    access=st.none() | values(),
    default=st.none() | values(),
    directory=st.booleans(),
)
def test_a_stanza_is_what_getfacl_prints_and_holds_what_the_kernel_has(
    tmp_path_factory: pytest.TempPathFactory,
    name: bytes,
    flags: int,
    access: bytes | None,
    default: bytes | None,
    directory: bool,
) -> None:
    place = tmp_path_factory.mktemp("acl")
    path = make(place, name, directory=directory)
    if access is not None:
        os.setxattr(path, ACCESS, access)
    if default is not None and directory:
        os.setxattr(path, DEFAULT, default)
    os.chmod(path, flags | stat.S_IMODE(os.stat(path).st_mode))
    status = os.stat(path)
    text = stanza_of(path, name)
    assert text == run(place, "getfacl", "--numeric", "--skip-base", "--", name)
    if text:
        read = acl.Acl(
            name, status.st_uid, status.st_gid, flags, *map(in_order, (has(path, ACCESS), has(path, DEFAULT)))
        )
        assert list(acl.parse(text.split(b"\n"))) == [read]


@settings(max_examples=40, deadline=None)
@given(access=values(), default=values(), name=names.filter(lambda name: not name.startswith((b" ", b"\t"))))
def test_setfacl_restores_a_stanza(
    tmp_path_factory: pytest.TempPathFactory, access: bytes, default: bytes, name: bytes
) -> None:
    place = tmp_path_factory.mktemp("acl")
    path = make(place, name, directory=True)
    text = acl.stanza(name, os.geteuid(), os.getegid(), os.stat(path).st_mode, access, default)
    run(place, "setfacl", "--restore=-", given=text)
    assert stanza_of(path, name) == text
    assert has(path, DEFAULT) == in_order(default)


def test_setfacl_loses_blanks_at_the_beginning_of_a_name_unless_a_dot_and_slash_is_before_them(tmp_path: Path) -> None:
    path = make(tmp_path, b" \t name", directory=False)
    run(tmp_path, "setfacl", "-m", "u:1:r", "--", b" \t name")
    text = stanza_of(path, b" \t name")
    assert text == run(tmp_path, "getfacl", "--numeric", "--skip-base", "--", b" \t name")
    run(tmp_path, "setfacl", "-b", "--", b" \t name")
    with pytest.raises(AssertionError, match="No such file"):
        run(tmp_path, "setfacl", "--restore=-", given=text)
    run(tmp_path, "setfacl", "--restore=-", given=text.replace(b"file: ", b"file: ./"))
    assert stanza_of(path, b" \t name") == text


def test_a_tree_is_read_as_getfacl_goes_through_it_and_what_has_no_acl_has_none(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o1755)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").touch()
    (tmp_path / "a").touch()
    run(tmp_path, "setfacl", "-m", "u:3:r,g:4:wx,u:1:x", "b/c")
    run(tmp_path, "setfacl", "-d", "-m", "u:9:rwx", "b")
    absolute = os.fsencode(tmp_path).lstrip(b"/")
    for start, prefix in ((b".", b""), (os.fsencode(tmp_path), absolute + b"/")):
        text = b"# made by a person\n\n" + run(tmp_path, "getfacl", "-R", "--numeric", start)
        found = {each.path: each for each in acl.parse(text.split(b"\n"))}
        assert set(found) == {prefix + b"a", prefix + b"b", prefix + b"b/c", prefix.rstrip(b"/") or b"."}
        assert found[prefix.rstrip(b"/") or b"."].flags == stat.S_ISVTX
        assert found[prefix + b"a"][1:] == (os.geteuid(), os.getegid(), 0, None, None)
        assert found[prefix + b"b"].access is None
        assert found[prefix + b"b"].default == os.getxattr(tmp_path / "b", DEFAULT)
        assert found[prefix + b"b/c"].access == os.getxattr(tmp_path / "b" / "c", ACCESS)


def test_a_default_acl_alone_is_written_with_the_mode_as_the_access_acl(tmp_path: Path) -> None:
    path = make(tmp_path, b"d", directory=True)
    run(tmp_path, "setfacl", "-d", "-m", "g:9:rwx", "d")
    os.chmod(path, 0o750)
    text = run(tmp_path, "getfacl", "--numeric", "--skip-base", "d")
    assert b"\nuser::rwx\ngroup::r-x\nother::---\ndefault:user::" in text
    assert stanza_of(path, b"d") == text


def test_a_symlink_has_no_acl_whatever_its_mode() -> None:
    assert acl.stanza(b"l", 0, 0, stat.S_IFLNK | 0o777, None, None) == b""


def test_entries_in_any_order_become_what_the_kernel_wants() -> None:
    text = b"other::r--,group:7:r--,mask::rw-,group:6:r--,group::---,user:5:--x\t#effective:---,user::rwx"
    (found,) = acl.parse([b"# file: x", *text.split(b",")])
    tags = [struct.unpack("<HHI", found.access[at : at + 8]) for at in range(4, 60, 8)] if found.access else []
    none = 0xFFFFFFFF
    assert tags == [(1, 7, none), (2, 1, 5), (4, 0, none), (8, 4, 6), (8, 4, 7), (16, 6, none), (32, 4, none)]
    assert (found.uid, found.gid, found.flags, found.default) == (None, None, 0, None)


@pytest.mark.parametrize(
    "line",
    [
        b"user:daemon:r--",
        b"# owner: root",
        b"# group: -1",
        b"user:4294967295:r--",
        b"group:99999999999:r--",
        b"user:+1:r--",
    ],
)
def test_an_owner_that_is_not_a_number_is_refused_with_the_path(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"^b'some/path': .* is not the number of a user or group$"):
        list(acl.parse([b"# file: some/path\n", line + b"\n"]))


@pytest.mark.parametrize(
    "line", [b"user::rwz", b"mask:1:rwx", b"users::rwx", b"rubbish", b"user:1:rwx junk", b"user::rw"]
)
def test_what_is_no_entry_is_refused_with_the_path(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"^b'some/path': .* is not an entry of an ACL$"):
        list(acl.parse([b"# file: some/path\n", line + b"\n"]))


def test_an_entry_that_belongs_to_no_file_is_refused() -> None:
    with pytest.raises(ValueError, match="line 3"):
        list(acl.parse([b"# comment\n", b"\n", b"user::rwx\n"]))


@pytest.mark.parametrize("value", [b"", b"\1\0\0\0", b"\2\0\0\0\1", b"\2\0\0\0" + bytes(12)])
def test_a_value_that_is_no_acl_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="not an ACL of version 2"):
        acl.stanza(b"x", 0, 0, stat.S_IFREG, value, None)
