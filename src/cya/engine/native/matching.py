"""Which of the paths below the source are backed up, as duplicity 3.2.1 decides it.

The first line that matches a path decides. A line matches a path, and all below it; with ``/`` at its end, that must
be a directory. A line that includes also says of the directories on the way to what it could match that they have to
be looked through. That weighs more than a later line that excludes them, and more than that nothing else matches: such
a directory gets into the backup only with something below it, and anything else of that name not at all.

Read from what 3.2.1 does, oddities included: a name may have one end of line more than the pattern, a set may match
``/``, and ``+ **/x`` makes a directory of everything that is to be looked through.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from pathlib import Path

from cya.engine import selection
from cya.engine.protocol import Selection

_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()
_OPTION = re.compile(r"--(exclude|exclude-if-present|exclude-other-filesystems)(?:=(.*))?", re.S)
_NEVER = "(?!)"

_Test = Callable[[str], "re.Match[str] | None"]


class Verdict(Enum):
    """What becomes of a path."""

    INCLUDE = auto()
    EXCLUDE = auto()
    SCAN = auto()
    """A directory that is included if something below it is."""
    UNDECIDED = auto()
    """No line says anything: included, unless it lies on another file system and these are left out."""


class Matcher:
    """The lines of a selection, compiled.

    :ivar idle: there are no lines: every verdict is UNDECIDED.
    :ivar by_kind: the verdict for a directory may differ from that for another thing at the same path in more than
        that only directories are scanned.
    :ivar marks: names of files; a directory (not the source) that holds one of these is excluded, whatever the lines
        say.
    :ivar one_file_system: what is UNDECIDED and lies on another file system than the source is excluded.
    """

    def __init__(self, chosen: Selection, source: Path, lines: bytes = b"") -> None:
        """Compile a selection.

        :param source: absolute, and no symbolic link.
        :param lines: what :func:`cya.engine.selection.check` made of the selection's patterns.
        :raises ConfigError: when a line cannot work, or the source lies in what is always left out.
        """
        marks, globs, self.one_file_system = _read(selection.options(chosen, source, None))
        self.marks = frozenset(mark.encode(_ENCODING, _ERRORS) for mark in marks)
        rules = [_Rule(glob, include=False) for glob in globs]
        for line in lines.decode().split("\n"):
            pattern = selection.parse(line)
            if pattern is not None:
                rules.append(_Rule(pattern.glob, include=pattern.include, ignore_case=pattern.ignore_case))
        self.idle = not rules
        self.by_kind = any(rule.directories_only for rule in rules)
        self._include = [rule.include for rule in rules]
        # The empty group at the end of each tells which it was.
        self._directory = _compiled(f"{rule.directory()}()" for rule in rules)
        self._other = _compiled(f"{rule.other()}()" for rule in rules) if self.by_kind else self._directory
        self._ways_directory = _ways(rules, directory=True)
        self._ways_other = _ways(rules, directory=False) if self.by_kind else self._ways_directory

    def verdict(self, path: bytes, directory: bool) -> Verdict:
        """Decide about an absolute path in the source; never SCAN for what is no directory."""
        text = path.decode(_ENCODING, _ERRORS)
        found = (self._directory if directory else self._other)(text)
        if found is None:
            line, silent = -1, Verdict.UNDECIDED
        else:
            line, silent = (found.lastindex or 0) - 1, Verdict.EXCLUDE
            if self._include[line]:
                return Verdict.INCLUDE
        way = (self._ways_directory if directory else self._ways_other)[line]
        if way is None or not way(text):
            return silent
        return Verdict.SCAN if directory else Verdict.EXCLUDE


class _Rule:
    """One glob, and its regular expressions."""

    def __init__(self, glob: str, *, include: bool, ignore_case: bool = False) -> None:
        self.include = include
        glob = "/**" if glob == "/" else glob
        # Duplicity folds, which is more than the lower case that it has already.
        glob = glob.casefold() if ignore_case else glob
        self._flags = "(?i:" if ignore_case else "(?:"
        self.directories_only = glob.endswith("/")
        self._glob = glob.removesuffix("/")

    def directory(self) -> str:
        """For a directory, and for what lies in one."""
        return self._flagged(f"{selection.to_regex(self._glob)}(?:$|/)")

    def other(self) -> str:
        """For all else. What has the name of a directory that is meant is not even taken for something in one."""
        if not self.directories_only:
            return self.directory()
        regex = selection.to_regex(self._glob)
        return self._flagged(f"(?!{regex}$){regex}/")

    def way(self, *, directory: bool) -> str:
        """For the directories on the way; and for all else of these names, which is left out for it."""
        head, wide, _ = self._glob.partition("**")
        parts = (head + wide).split("/")
        heads = ["/".join(parts[: count + 1]) or "/" for count in range(len(parts))]
        regex = "|".join(map(selection.to_regex, heads))
        if not directory and self.directories_only:
            # Of what would match if only it were a directory the line says nothing.
            regex = f"(?!{selection.to_regex(self._glob)}(?:$|/))(?:{regex})"
        return self._flagged(regex)

    def _flagged(self, regex: str) -> str:
        return f"{self._flags}{regex})"


def _read(options: Sequence[str]) -> tuple[list[str], list[str], bool]:
    """Return the marks, the globs of what is excluded, and whether other file systems are."""
    given: dict[str, list[str]] = {"exclude-if-present": [], "exclude": [], "exclude-other-filesystems": []}
    for option in options:
        found = _OPTION.fullmatch(option)
        if found is None:
            raise ValueError(f"{option!r} is no option for the selection of files")
        given[found[1]].append(found[2])
    return given["exclude-if-present"], given["exclude"], bool(given["exclude-other-filesystems"])


def _ways(rules: Sequence[_Rule], *, directory: bool) -> list[_Test | None]:
    """Return, for each rule, the test for the ways to what the rules before it include; last, that for all rules."""
    tests: list[_Test | None] = []
    ways: list[str] = []
    test: _Test | None = None
    for rule in [*rules, None]:
        if rule is not None and rule.include:
            ways.append(rule.way(directory=directory))
            test = None
        elif test is None and ways:
            test = _compiled([f"(?:{'|'.join(ways)})$"])
        # A rule that includes needs none.
        tests.append(test)
    return tests


def _compiled(regexes: Iterable[str]) -> _Test:
    with warnings.catch_warnings():
        # Of sets that might mean something else in a later Python.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile("|".join(regexes) or _NEVER, re.S).match
