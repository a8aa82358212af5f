"""How large the source is: what progress is measured by, counted by a process of its own while the backup runs."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
from pathlib import Path

import msgspec

from cya.engine.native.child import started
from cya.engine.native.scan import Scan, Unread
from cya.engine.protocol import Selection


class Asked(msgspec.Struct, frozen=True):
    """What is to be counted; the descriptor is inherited."""

    root: int
    source: bytes
    excluded: tuple[bytes, ...]
    one_file_system: bool
    exclude_caches: bool
    exclude_if_present: tuple[bytes, ...]
    lines: bytes


class SourceSize:
    """Counts; nothing waits for it."""

    def __init__(self, root: int, source: Path, selection: Selection, lines: bytes) -> None:
        """Begin.

        :param root: descriptor of the source; the rest as for :class:`cya.engine.native.scan.Scan`.
        """
        asked = Asked(
            *(root, os.fsencode(source), tuple(map(os.fsencode, selection.excluded))),
            *(selection.one_file_system, selection.exclude_caches),
            *(tuple(map(os.fsencode, selection.exclude_if_present)), lines),
        )
        self._bytes = 0
        self._process = started("cya.engine.native.source_size", asked, (root,), stdout=subprocess.PIPE)

    def known(self) -> int:
        """Return the size in bytes, or 0 as long as it is not known."""
        out = self._process.stdout
        if out is not None and not out.closed and select.select([out], [], [], 0)[0]:
            said = out.read()
            self._bytes = int(said) if said.strip().isdigit() else 0
            out.close()
        return self._bytes

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> int:
    """Run: ``python -m cya.engine.native.source_size``, with what is asked on its standard input; prints bytes."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    selection = Selection(
        excluded=tuple(Path(os.fsdecode(path)) for path in asked.excluded),
        one_file_system=asked.one_file_system,
        exclude_caches=asked.exclude_caches,
        exclude_if_present=tuple(map(os.fsdecode, asked.exclude_if_present)),
    )
    walk = Scan(asked.root, Path(os.fsdecode(asked.source)), selection, asked.lines)
    found = (each.stat for each in walk if not isinstance(each, Unread))
    print(sum(status.st_size for status in found if stat.S_ISREG(status.st_mode)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
