"""Extended attributes: byte for byte what getfattr writes, and what setfattr makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cya.metadata import attributes
from tests.metadata.tools import make, names, run

printable = st.text('ab"\\ =019', max_size=20).map(str.encode)
values = st.one_of(
    st.binary(max_size=40),
    printable,
    st.tuples(printable, st.binary(max_size=2), printable).map(b"".join),
    st.tuples(printable, st.sampled_from([b"\n", b"\r", b"\0", b"\0\0", b"\xff", b"\t"])).map(b"".join),
)
attribute_names = st.one_of(
    st.binary(min_size=1, max_size=20), st.text('=\\\n\r0 ä"', min_size=1, max_size=8).map(str.encode)
).map(lambda name: b"user." + name.replace(b"\0", b"0"))
lists = st.dictionaries(attribute_names, values, max_size=6).map(lambda found: list(found.items()))


def as_text(value: bytes) -> bytes:
    """What getfattr leaves of a value."""
    ((_, ((_, read),)),) = attributes.parse(attributes.stanza(b"x", [(b"user.x", value)]).split(b"\n"))
    assert read in (value, value.removesuffix(b"\0"))
    return read


def of(path: bytes) -> list[tuple[bytes, bytes]]:
    there = sorted(os.fsencode(name) for name in os.listxattr(path, follow_symlinks=False))
    return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in there]


@settings(max_examples=120, deadline=None)
@example(b"f", [(b"user.a", b"abcdefg\n"), (b"user.b", b"abcdef\n"), (b"user.c", b"abcdefg\n\0"), (b"user.d", b"\0")])
@given(name=names, given_=lists)
def test_a_stanza_is_what_getfattr_prints_and_setfattr_restores(
    tmp_path_factory: pytest.TempPathFactory, name: bytes, given_: list[tuple[bytes, bytes]]
) -> None:
    place = tmp_path_factory.mktemp("attr")
    path = make(place, name, directory=False)
    for attribute, value in given_:
        os.setxattr(path, attribute, value)
    # A test machine may put labels of its own on files; they are only compared, not written again.
    text = attributes.stanza(name, list(reversed(of(path))))
    assert text == run(place, "getfattr", "-h", "-m", ".", "-d", "--", name)
    if not text:
        return
    ((read_path, read),) = attributes.parse(text.split(b"\n"))
    assert read_path == name
    assert read == [(attribute, as_text(value)) for attribute, value in of(path)]
    os.unlink(path)
    make(place, name, directory=False)
    run(place, "setfattr", "-h", "--restore=-", given=text)
    assert of(path) == read
    run(place, "setfattr", "-h", "--restore=-", given=attributes.stanza(name, sorted(given_), lossless=True))
    assert dict(of(path)).items() >= dict(given_).items()


@settings(max_examples=30, deadline=None)
@given(given_=lists, encoding=st.sampled_from(["hex", "base64", "text"]))
def test_values_are_read_in_each_encoding(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[bytes, bytes]], encoding: str
) -> None:
    place = tmp_path_factory.mktemp("attr")
    path = make(place, b"f", directory=False)
    for attribute, value in given_:
        os.setxattr(path, attribute, value)
    text = run(place, "getfattr", "-h", "-m", ".", "-d", "-e", encoding, "f")
    wanted = [(name, value.removesuffix(b"\0") if encoding == "text" else value) for name, value in of(path)]
    assert list(attributes.parse(text.split(b"\n"))) == ([(b"f", wanted)] if wanted else [])


@given(st.lists(st.tuples(st.binary(min_size=1), st.dictionaries(st.binary(min_size=1), st.binary(), min_size=1))))
def test_lossless_stanzas_of_many_files_are_read_as_they_were_written(
    files: list[tuple[bytes, dict[bytes, bytes]]],
) -> None:
    named = [(path, sorted((b"user." + name, value) for name, value in found.items())) for path, found in files]
    text = b"".join(attributes.stanza(path, found, lossless=True) for path, found in named)
    assert list(attributes.parse(text.split(b"\n"))) == named


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for an attribute that a symlink can have")
def test_a_symlinks_own_attributes_and_acls_are_as_getfattr_prints_them(tmp_path: Path) -> None:
    os.symlink("nowhere", tmp_path / "l")
    (tmp_path / "f").touch()
    os.setxattr(tmp_path / "l", "trusted.x", b"\1\2\3", follow_symlinks=False)
    run(tmp_path, "setfacl", "-m", "u:1:r", "f")
    os.setxattr(tmp_path / "f", "security.capability", bytes.fromhex("0000000200200000000000000000000000000000"))
    for name in (b"l", b"f"):
        text = run(tmp_path, "getfattr", "-h", "-m", ".", "-d", name)
        assert text
        assert attributes.stanza(name, of(os.fsencode(tmp_path) + b"/" + name)) == text


def test_a_zero_byte_at_the_end_of_a_text_is_lost_unless_asked_for() -> None:
    given_ = [(b"security.selinux", b"system_u:object_r:bin_t:s0\0")]
    assert b'="system_u:object_r:bin_t:s0"\n' in attributes.stanza(b"x", given_)
    assert list(attributes.parse(attributes.stanza(b"x", given_, lossless=True).split(b"\n"))) == [(b"x", given_)]


def test_an_attribute_without_value_is_empty_and_comments_are_passed_over() -> None:
    text = b"# a comment\n# file: a\\012b\n# another\nuser.x\nuser.y=\nuser.z=plain \\042\n# file: c\n\n"
    assert list(attributes.parse(text.split(b"\n"))) == [
        (b"a\nb", [(b"user.x", b""), (b"user.y", b""), (b"user.z", b'plain "')]),
        (b"c", []),
    ]


@pytest.mark.parametrize("value", [b"0sYQ", b"0s!!!!", b"0x1", b"0xzz", b"0x\xff\xff"])
def test_a_value_that_cannot_be_read_is_refused_with_the_path(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"^b'some/path': the value of b'user.x'"):
        list(attributes.parse([b"# file: some/path\n", b"user.x=" + value + b"\n"]))


def test_an_attribute_that_belongs_to_no_file_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(attributes.parse([b"# comment\n", b'user.x="y"\n']))
