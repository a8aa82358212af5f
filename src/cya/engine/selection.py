"""What is backed up, in duplicity's words; and a look at the patterns before duplicity fails over one of them.

A line of a file list is stripped, ``+ `` or ``- `` says what it does (``- `` if neither), quotes around the rest are
taken off, and what is left is a glob for absolute paths: ``*`` and ``?`` stop at ``/``, ``**`` does not, ``[…]`` is a
set, nothing is quoted. It matches a path and all below it; with ``/`` at its end directories only. ``ignorecase:``
before it does what it says. An empty line and one that begins with ``#`` are comments. There are no regular
expressions in file lists. Found out with 0.8.22 and 3.2.1, which differ in ``ignorecase:`` only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cya.engine.protocol import Selection
from cya.errors import ConfigError

_IGNORECASE = "ignorecase:"


@dataclass(frozen=True)
class Pattern:
    """One line: the glob without its ``ignorecase:``, and what a match means."""

    line: str
    glob: str
    include: bool
    ignore_case: bool


def options(selection: Selection, source: Path, file_list: Path | None) -> list[str]:
    """Return duplicity's options; the first that matches a path decides, in this order.

    Directories with a mark come first because duplicity puts them there wherever they stand.
    """
    found = []
    marks = (*selection.exclude_if_present, *(("CACHEDIR.TAG",) if selection.exclude_caches else ()))
    for mark in marks:
        found.append(f"--exclude-if-present={mark}")
    for path in _within(selection.excluded, source):
        found.append(f"--exclude={escape(str(path))}")
    if file_list is not None:
        found.append(f"--exclude-filelist={file_list}")
    if selection.one_file_system:
        found.append("--exclude-other-filesystems")
    return found


def check(
    selection: Selection, source: Path, *, link: Path | None = None, ignorecase_lowers_source: bool = False
) -> bytes:
    """Look at all patterns and return the file list's content.

    :param link: the symbolic link to the source by which people know it; patterns for it are made to be for the source.
    :param ignorecase_lowers_source: duplicity 0.8 compares a lowered pattern with the source's path as it is.
    :raises ConfigError: names the line that would make duplicity fail, or that can match nothing in the source.
    """
    for mark in selection.exclude_if_present:
        if not mark or "/" in mark or "\0" in mark or mark.startswith("-"):
            raise ConfigError(f"exclude_if_present: {mark!r} is not the name of a file")
    patterns = []
    lines = []
    for line in selection.patterns:
        pattern = parse(line)
        if pattern is None:
            lines.append(line)
            continue
        for glob in _redirected(pattern, link, source) if link is not None else [pattern.glob]:
            lines.append(line)
            if glob != pattern.glob:
                # In quotes, since it may begin or end with a blank.
                lines[-1] = f'{"+" if pattern.include else "-"} "{_IGNORECASE if pattern.ignore_case else ""}{glob}"'
            patterns.append(replace(pattern, glob=glob))
            _check_reaches(patterns[-1], source, lowered=ignorecase_lowers_source and pattern.ignore_case)
    if patterns and patterns[-1].include and not selection.one_file_system:
        raise ConfigError(
            f"pattern {patterns[-1].line!r}: the last one includes, but what no pattern matches is included anyway; "
            "end with '- **' to back up only what the patterns before it include"
        )
    return "".join(line + "\n" for line in lines).encode()


def parse(line: str) -> Pattern | None:
    """Read a line; None for a comment or an empty line.

    :raises ConfigError: when it has characters that cannot stand in a file list, or names nothing.
    """
    if any(character in line for character in "\n\r\0"):
        raise ConfigError(f"pattern {line!r}: a line's end cannot stand in a pattern; use '?' in its place")
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"pattern {line!r}: not UTF-8; use '?' for each such byte") from error
    glob = line.strip()
    if not glob or glob.startswith("#"):
        return None
    include = glob.startswith("+ ")
    if glob.startswith(("+ ", "- ")):
        glob = glob[2:]
    if len(glob) > 1 and glob[0] == glob[-1] and glob[0] in "'\"":
        glob = glob[1:-1]
    ignore_case = glob.lower().startswith(_IGNORECASE)
    if ignore_case:
        glob = glob[len(_IGNORECASE) :].lower()
    if glob in ("", "+", "-"):
        raise ConfigError(f"pattern {line!r}: names nothing")
    return Pattern(line, glob, include, ignore_case)


def escape(path: str) -> str:
    """Return the glob that matches exactly this path: each special character in a set of its own."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", path)


def _redirected(pattern: Pattern, link: Path, source: Path) -> list[str]:
    """Return the globs that match below ``source`` what a pattern matches below ``link``.

    What it matches is the link, by so many of its first components, and then the rest; or ``**`` in it is more than all
    of the link. A pattern that matches nothing of the link is returned as it is.
    """
    glob, known = pattern.glob, "" if link == Path("/") else str(link)
    if not glob.startswith("/") or glob == "/":
        return [glob]
    parts = glob.split("/")
    heads = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    # What may match all of the link, and where in the pattern the rest of it begins; a "**" may be on both sides.
    cuts = {glob[: wide.end()]: wide.start() for wide in re.finditer(r"\*\*", glob)}
    cuts |= {head: len(head) for head in heads if head not in cuts}
    try:
        rests = [glob[cut:] for head, cut in cuts.items() if _is_all(head, known, pattern)]
    except re.error:
        return [glob]  # the check says so
    # What cannot stand in a list of files is matched by "?".
    place = re.sub(r"[\n\r\udc80-\udcff]", "?", escape(str(source)))
    place = place.lower() if pattern.ignore_case else place
    return list(dict.fromkeys(place + rest for rest in rests)) or [glob]


def _is_all(glob: str, path: str, pattern: Pattern) -> bool:
    return re.fullmatch(to_regex(glob), path, re.S | (re.I if pattern.ignore_case else 0)) is not None


def _within(excluded: tuple[Path, ...], source: Path) -> Iterator[Path]:
    """Yield those of some paths that lie below the source, as paths below it, symbolic links resolved."""
    root = Path(os.path.realpath(source))
    for path in excluded:
        # The name itself is kept: what is left out may be a link.
        real = Path(os.path.realpath(path.parent)) / path.name
        if root == real or root.is_relative_to(real):
            raise ConfigError(
                f"{path} is always left out, and the source {source} lies in it: nothing would be backed up"
            )
        for candidate in dict.fromkeys((real, Path(os.path.realpath(path)))):
            if candidate.is_relative_to(root) and candidate != root:
                yield source / candidate.relative_to(root)


def _check_reaches(pattern: Pattern, source: Path, *, lowered: bool) -> None:
    """Refuse a pattern that cannot match the source, anything in it, or a directory above it."""
    if "//" in pattern.glob.rstrip("/") or pattern.glob.endswith("//"):
        raise ConfigError(f"pattern {pattern.line!r}: two slashes after each other match nothing")
    path = str(source)
    flags = re.S | (re.I if pattern.ignore_case and not lowered else 0)
    try:
        if any(re.fullmatch(expression, path, flags) for expression in _reaching(pattern.glob)):
            return
    except re.error as error:
        raise ConfigError(f"pattern {pattern.line!r}: {error}") from error
    hint = "" if pattern.glob.startswith(("/", "**")) else f"; '**/{pattern.glob}' matches it anywhere"
    if lowered:
        hint = "; this duplicity lowers the pattern but not the source's path: begin it with '**'"
    raise ConfigError(f"pattern {pattern.line!r}: matches nothing in the source {source}{hint}")


def _reaching(glob: str) -> Iterator[str]:
    """Yield regular expressions for the paths that a glob matches, and for the directories on the way to them."""
    if glob == "/":
        yield ".*"
        return
    yield to_regex(glob.rstrip("/")) + "(?:/.*)?"
    head, wide, _ = glob.rstrip("/").partition("**")
    parts = (head + wide).split("/")
    for count in range(1, len(parts) + 1):
        yield to_regex("/".join(parts[:count])) or "/"


def to_regex(glob: str) -> str:
    """Return a glob as a regular expression, as duplicity reads it: ``[`` without ``]`` is just a bracket."""
    tokens = re.compile(r"\*\*|\*|\?|\[[!^]?+\]?+[^\]]*+\]|.", re.S)
    return "".join(_token(token) for token in tokens.findall(glob))


def _token(token: str) -> str:
    simple = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in simple:
        return simple[token]
    if len(token) > 1:
        negated = token[1] in "!^"
        inside = token[2 if negated else 1 : -1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[{'^' if negated else ''}{inside}]"
    return re.escape(token)
