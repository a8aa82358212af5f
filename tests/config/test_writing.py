"""What is written can be read again, and names every key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.config import writing
from cya.config.archive import ArchiveConfig
from cya.config.client import ClientConfig
from cya.config.keys import key, keys
from cya.config.root import RootConfig
from cya.errors import ConfigError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT | st.lists(_TEXT).map(tuple)


class Inner(msgspec.Struct):
    one: Annotated[str, key("one", "Comment of inner one.")] = "1"


class Outer(msgspec.Struct):
    table: Annotated[Inner, key("a table", "Comment of the table.")]
    last: Annotated[str, key("text", "Comment of last.", example="for example")]


@given(_VALUES)
def test_a_value_is_read_back(value: object) -> None:
    read = tomllib.loads(f"x = {writing.value(value)}")["x"]
    assert (tuple(read) if isinstance(read, list) else read) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_is_read_back(name: str) -> None:
    assert tomllib.loads(f"{writing.bare_or_quoted(name)} = 1") == {name: 1}


def test_a_plain_key_comes_before_tables_and_what_is_not_set_is_a_comment() -> None:
    text = writing.render(Outer, {"table": {"one": "set"}}, "Header.").decode()
    assert text == (
        '# Header.\n\n# Comment of last.\n#last = "for example"\n\n# Comment of the table.\n[table]\n\n'
        '# Comment of inner one.\none = "set"\n'
    )
    assert tomllib.loads(text) == {"table": {"one": "set"}}


def every_key(kind: type[msgspec.Struct]) -> list[str]:
    names = []
    for declared in keys(kind):
        if declared.tables:
            names.append(f"[{declared.name}.NAME]")
            continue
        names.append(f"[{declared.name}]" if declared.table else f"{declared.name} = ")
        names.extend(every_key(declared.table) if declared.table else ())
    return names


@pytest.mark.parametrize("kind", [ClientConfig, RootConfig, ArchiveConfig])
def test_every_key_stands_in_the_file_under_a_comment_even_with_no_value(kind: type[msgspec.Struct]) -> None:
    lines = writing.render(kind, {}, "Header.").decode().splitlines()
    for name in every_key(kind):
        at = next(i for i, line in enumerate(lines) if line.startswith((name, f"#{name}")))
        assert lines[at - 1].startswith("# "), f"{name} has no comment"


@pytest.mark.parametrize("kind", [ClientConfig, RootConfig, ArchiveConfig])
def test_every_commented_example_is_toml(kind: type[msgspec.Struct]) -> None:
    text = writing.render(kind, {}, "Header.").decode()
    uncommented = "\n".join(line.removeprefix("#") for line in text.splitlines() if not line.startswith("# "))
    assert set(tomllib.loads(uncommented)) == {declared.name for declared in keys(kind)}


def test_a_path_that_is_not_utf8_is_refused_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"^source: not valid UTF-8"):
        writing.render(ClientConfig, {"source": Path("/srv/\udcff")}, "Header.")


def test_a_type_that_toml_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be written"):
        writing.value(object())
