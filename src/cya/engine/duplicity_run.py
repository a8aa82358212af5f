"""One run of duplicity: its log is read while it works, and what it said is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cya.engine.duplicity_log import Parser, Record, statistics, unwritten
from cya.engine.duplicity_lost import lost
from cya.engine.process import Child
from cya.engine.protocol import Lost

_COPYING = re.compile(r"Copying (\S+) to local cache\.")
_MOST_ERRORS = 100


@dataclass
class Run:
    """A run, ready to be started, and then what came of it.

    :ivar base: what the paths of lost files are made relative to.
    :ivar tick: called about twice a second.
    :ivar gate: asked often; as long as it says no, the program is halted.
    :ivar stop_at_error: end the run at its first error. A backup must: duplicity logs that it cannot decrypt the last
        manifest, and then goes on and encrypts the next increment with the wrong passphrase.
    :ivar lost: by path, so that a file about which duplicity complains twice counts once.
    """

    program: str
    arguments: Callable[[int], Sequence[str]]
    env: Mapping[str, str]
    cwd: Path
    base: Path
    tick: Callable[[], None] | None = None
    gate: Callable[[], bool] | None = None
    stop_at_error: bool = False
    returncode: int = -1
    errors: list[Record] = field(default_factory=list)
    lost: dict[str, Lost] = field(default_factory=dict)
    statistics: dict[str, float] = field(default_factory=dict)
    copying: str | None = None
    tails: list[bytes] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything went wrong. Duplicity 3 can log a damaged volume and still end with 0."""
        return self.returncode != 0 or bool(self.errors)

    def records(self) -> Iterator[Record]:
        """Run; yield each record as it comes. When the iterator is left early the run is ended."""
        parser = Parser()
        with Child(lambda fd: [self.program, *self.arguments(fd)], self.env, self.cwd, self.tick, self.gate) as child:
            for stream, line in child.lines():
                if stream == "stdout":
                    continue
                record = parser.feed(line) if stream == "log" else unwritten(line)
                if record is not None:
                    child.doomed |= self._note(record)
                    yield record
                    if child.doomed and self.stop_at_error:
                        self.returncode = record.code  # duplicity would have ended with it
                        return
            last = parser.close()
            if last is not None:
                self._note(last)
                yield last
            self.returncode = -1 if child.returncode is None else child.returncode
            self.tails = [*child.tails["stderr"]]

    def finish(self) -> None:
        """Run to the end."""
        for _ in self.records():
            pass

    def _note(self, record: Record) -> bool:
        """Keep what a record says; return whether it is an error, which duplicity does not survive."""
        if record.level == "ERROR":
            if len(self.errors) < _MOST_ERRORS:
                self.errors.append(record)
            return True
        missed = lost(record, self.base)
        if missed is not None:
            self.lost.setdefault(missed.path, missed)
        elif record.level == "NOTICE":
            self.statistics.update(statistics(record.message) or {})
            found = _COPYING.fullmatch(record.message)
            if found:
                self.copying = found[1]
        return False
