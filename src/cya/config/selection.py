"""The table ``selection`` of a client's config."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cya.config.keys import key


def _plain_lines(lines: tuple[str, ...]) -> bool:
    return all(line.strip() and not set("\n\0") & set(line) for line in lines)


def _file_names(names: tuple[str, ...]) -> bool:
    return all(name not in ("", ".", "..") and not set("/\0") & set(name) for name in names)


class SelectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``selection``."""

    patterns: Annotated[
        tuple[str, ...],
        key(
            "a list of lines of Duplicity's file-list syntax, none empty",
            "Lines of Duplicity's file-list syntax: the first that matches a path decides. '- PATTERN' or PATTERN "
            "alone leaves out, '+ PATTERN' takes; what no line matches is backed up. '- /proc/*' keeps the empty "
            "directory.",
            example=("+ /home/*/keep", "- /home/*/Downloads"),
            check=_plain_lines,
        ),
    ] = ()
    one_file_system: Annotated[bool, key("true or false", "Stay on the file system of the source.")] = False
    exclude_caches: Annotated[
        bool, key("true or false", "Leave out directories that are marked as caches by a file CACHEDIR.TAG.")
    ] = False
    exclude_if_present: Annotated[
        tuple[str, ...],
        key(
            "a list of file names without a slash",
            "Leave out directories that hold a file of one of these names.",
            example=(".nobackup",),
            check=_file_names,
        ),
    ] = ()
