"""`cya diff`: what differs between two days, on whatever branches of the tree they lie."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cya import catalog
from tests.cli.conftest import DAYS, Lived
from tests.e2e.conftest import Host


def diff(lived: Lived, one: int, other: int, *paths: str) -> dict[str, dict[str, Any]]:
    found = lived.json("diff", lived.times[one], lived.times[other], *paths)
    assert (found["old"], found["new"]) == (lived.times[one], lived.times[other])
    for what in ("added", "removed", "type", "content", "attributes"):
        assert found[what] == sum(each["what"] == what for each in found["differences"])
    return {each["path"]: each for each in found["differences"]}


@pytest.mark.slow
def test_any_two_days_differ_in_what_they_differed_in(lived: Lived) -> None:
    chains = {each.increment.end: each.chain for each in catalog.read(lived.host.root).backups}
    branches = 0
    pairs = [(one, other) for one in range(DAYS) for other in range(DAYS)]
    for one, other in random.Random(1).sample(pairs, 25):
        old, new = lived.was[one], lived.was[other]
        a, b = (list(chains.values())[number] for number in (one, other))
        assert a is not None
        assert b is not None
        branches += not ({*a.increments} <= {*b.increments} or {*b.increments} <= {*a.increments})
        found = diff(lived, one, other)
        for path in old.keys() | new.keys():
            what = found.pop(path, {"what": None})["what"]
            if path not in old:
                assert what == "added"
            elif path not in new:
                assert what == "removed"
            elif old[path][0] != new[path][0]:
                assert what == "type"
            elif old[path][3:] != new[path][3:]:
                assert what == "content"
            elif old[path] != new[path]:
                assert what in ("attributes", "content")
            else:
                assert what in (None, "content")
        assert not found
    assert branches > 3


@pytest.mark.slow
def test_each_kind_of_difference(lived: Lived) -> None:
    found = diff(lived, 4, 12, "etc", "var/log/syslog")
    assert {path: each["what"] for path, each in found.items()} == {
        "etc": "attributes",
        "etc/comes and goes": "type",
        "etc/passwd": "attributes",
        "var/log/syslog": "content",
    }
    assert found["etc/passwd"]["attributes"] == ["mode", "mtime"]
    assert (found["etc/passwd"]["old"]["mode"], found["etc/passwd"]["new"]["mode"]) == ("0644", "0600")
    assert diff(lived, 4, 5, "etc/comes and goes")["etc/comes and goes"]["what"] == "removed"
    assert diff(lived, 5, 4, "etc/comes and goes")["etc/comes and goes"]["what"] == "added"
    assert diff(lived, 3, 3) == {}
    said = lived.host.run("diff", lived.times[4], lived.times[12], "etc", "--config", lived.host.config).stdout
    assert "type        etc/comes and goes  (file → directory" in said
    assert "mode 0644 → 0600" in said
    assert said.endswith("1 type, 2 attributes\n")
    lived.host.run("diff", lived.times[4], lived.times[5], "nowhere", "--config", lived.host.config, status=1)


@pytest.mark.slow
def test_what_was_stored_anew_with_other_blocks_is_perhaps_changed(debian: Host) -> None:
    """0.8.22 has no blocks of more than 2048 bytes."""
    debian.engine = "native"
    content = random.Random(1).randbytes(9_000_000)
    (debian.source / "large").write_bytes(content)
    (debian.source / "small").write_bytes(content[:5000])
    debian.init("--volume-size", "20M")
    debian.backup("2019-12-21")
    debian.config.write_text(debian.config.read_text().replace('engine = "native"', 'engine = "duplicity"'))
    debian.backup("2019-12-22", "--full")
    words = ("diff", "2019-12-21", "2019-12-22", "--config", debian.config)
    (found,) = debian.json(*words)["differences"]
    assert (found["path"], found["what"], found["certain"], found["attributes"]) == ("large", "content", False, [])
    assert "perhaps" in debian.run(*words).stdout
    (debian.source / "large").write_bytes(content[:-9000])
    debian.backup("2019-12-23", "--full")
    differing = debian.json("diff", "2019-12-21", "2019-12-23", "--config", debian.config)["differences"]
    assert [each["certain"] for each in differing if each["path"] == "large"] == [True]
