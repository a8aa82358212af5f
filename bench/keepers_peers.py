"""Backups in borg's and in restic's repositories, pruned by their own verbs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import borg_forks
from bench.keeping import DAYS, MONTHS, WEEKS, Keeper
from bench.tools import TOOLS, environment

_KEEP = [f"--keep-daily={DAYS}", f"--keep-weekly={WEEKS}", f"--keep-monthly={MONTHS}"]


class _Peer(Keeper):
    """A program whose every backup is whole."""

    tool: str
    chains = False
    only_kept = True

    def make(self) -> None:
        """Make the repository."""
        for command in TOOLS[self.tool].setup(self.place, self.tree):
            self._run(command)

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, env=environment(self.place), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout


class Borg(_Peer):
    """Borg's deduplicating repository."""

    _forks: subprocess.Popen[str]

    label = "borg"
    note = f"`borg prune {' '.join(_KEEP)}`, `borg compact`"
    tool = "borg"

    def begin(self) -> None:
        """Make the repository, and load borg."""
        super().begin()
        interpreter = Path(shutil.which("borg") or "").read_text().splitlines()[0].removeprefix("#!").split()
        command = [*interpreter, str(Path(borg_forks.__file__))]
        environs, pipe = environment(self.place), subprocess.PIPE
        self._forks = subprocess.Popen(command, env=environs, stdin=pipe, stdout=pipe, text=True)

    def backup(self, moment: int) -> None:
        """Make an archive."""
        time = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        arguments = ["create", "--timestamp", time, f"{self._at}::{moment}", str(self.tree)]
        assert self._forks.stdin is not None and self._forks.stdout is not None  # noqa: PT018 they are pipes
        self._forks.stdin.write(json.dumps(arguments) + "\n")
        self._forks.stdin.flush()
        if (code := self._forks.stdout.readline().strip()) != "0":
            raise SystemExit(f"borg {' '.join(arguments)}: exit {code or '?'}")

    def prune(self) -> None:
        """Prune and free room."""
        self._run(["borg", "prune", *_KEEP, self._at])
        self._run(["borg", "compact", self._at])

    def kept(self) -> Mapping[int, int]:
        """Return the archives."""
        return {int(name): 1 for name in self._run(["borg", "list", "--short", self._at]).split()}

    def restores(self, moment: int, home: Path, to: Path) -> Mapping[str, tuple[list[str], Path]]:
        """Restore into the current directory, which is the only way."""
        command = ["env", "-C", str(to), "borg", "extract", f"{self._at}::{moment}"]
        return {"borg": (command, to / self.tree.relative_to("/"))}

    @property
    def _at(self) -> str:
        return f"{self.repository}/borg"


class Restic(_Peer):
    """Restic's deduplicating repository."""

    label = "restic"
    note = f"`restic forget --prune {' '.join(_KEEP)}`"
    tool = "restic"

    def begin(self) -> None:
        """Make the repository, and forget who held it and was killed."""
        super().begin()
        self._run([*self._restic, "unlock"])

    def backup(self, moment: int) -> None:
        """Make a snapshot."""
        self._run([*self._restic, "backup", "--host=bench", f"--time={_plain(moment)}", str(self.tree)])

    def prune(self) -> None:
        """Forget and prune."""
        self._run([*self._restic, "forget", "--prune", *_KEEP])

    def kept(self) -> Mapping[int, int]:
        """Return the snapshots."""
        return dict.fromkeys(self._snapshots(), 1)

    def restores(self, moment: int, home: Path, to: Path) -> Mapping[str, tuple[list[str], Path]]:
        """Restore a snapshot."""
        command = [*self._restic, "restore", self._snapshots()[moment], "--target", str(to)]
        return {"restic": (command, to / self.tree.relative_to("/"))}

    @property
    def _restic(self) -> list[str]:
        return ["restic", "--quiet", "--repo", str(self.repository)]

    def _snapshots(self) -> dict[int, str]:
        found = json.loads(self._run([*self._restic, "snapshots", "--json"]))
        return {int(datetime.fromisoformat(each["time"]).timestamp()): each["id"] for each in found}


def _plain(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
