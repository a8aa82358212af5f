"""How each tool backs the awkward tree up and restores it, by default and by the best options that it has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench.restorers import RESTORERS, Restorer, Wanted
from bench.tools import TOOLS, Tool


@dataclass(frozen=True)
class Way:
    """A tool with options.

    :ivar label: for people.
    :ivar tool: of :data:`bench.tools.TOOLS`; it makes the backup as there.
    :ivar options: of the restore.
    :ivar restorer: what restores, if not the tool itself.
    :ivar note: for people.
    """

    label: str
    tool: str
    options: tuple[str, ...] = ()
    restorer: Restorer | None = None
    note: str = ""

    @property
    def made_by(self) -> Tool:
        """The tool."""
        return TOOLS[self.tool]

    def restore(self, place: Path, tree: Path, to: Path) -> tuple[list[str], Path]:
        """Return what restores everything, and where it will lie.

        :param place: of its own.
        :param to: an empty directory.
        """
        restorer = self.restorer or RESTORERS[self.tool]
        command, where = restorer(place, tree, Wanted(0, int(time.time())), to)
        return _with(command, self.options), where


def _with(command: list[str], options: tuple[str, ...]) -> list[str]:
    """Put options behind the verb."""
    if not options:
        return command
    after = 1 + next(n for n, word in enumerate(command) if word in ("restore", "extract"))
    return [*command[:after], *options, *command[after:]]


_BY_HAND = """
duplicity restore --numeric-owner --archive-dir="$1/home/by-hand" -v2 "file://$2" "$3"
sh "$3/.dupext/restore.sh"
done=$?
rm -r "$3/.dupext"
exit "$done"
"""


def _by_hand(place: Path, tree: Path, wanted: Wanted, to: Path) -> tuple[list[str], Path]:
    """Restore what cya has made as somebody does who has not got it."""
    files = max((place / "repository/archive").glob("backups/**/files"), key=lambda path: len(path.parts))
    return ["sh", "-uc", _BY_HAND, "sh", str(place), str(files), str(to / "restored")], to / "restored"


WAYS: dict[str, Way] = {
    "native": Way("cya", "native"),
    "by-hand": Way(
        "cya's by duplicity 0.8, `restore.sh`",
        "native",
        restorer=_by_hand,
        note="without cya; removing `.dupext` at the end changes the time of the top",
    ),
    "duplicity": Way("duplicity 0.8", "duplicity", ("--numeric-owner",)),
    "duplicity3": Way("duplicity 3", "duplicity3", ("--numeric-owner",)),
    "borg": Way("borg", "borg"),
    "borg-best": Way("borg, best options", "borg", ("--sparse", "--numeric-ids")),
    "restic": Way("restic", "restic", note="0.14 has no options that would keep more"),
}
"""By the names that the command line takes."""
