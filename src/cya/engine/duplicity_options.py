"""The command lines of duplicity: all that differs between its versions stands here.

0.8.22 and 3.2.1 are tested. What changed in between (2.0): ``--file-to-restore`` became ``--path-to-restore``,
``--do-not-restore-ownership`` became ``--no-restore-ownership``, and a restore into a directory that is not empty is
refused even with ``--force`` (so ``--force`` is not used here at all).
"""

from __future__ import annotations

import os
import re
import string
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cya.engine.protocol import Encryption
from cya.errors import EngineError

OLDEST = (0, 8, 22)
TOO_NEW = (4,)
END_OF_TIME = 4_102_444_800
"""2100-01-01: duplicity takes no year after 2099 for a date."""
NAME = "backup"
"""The backup's name in the archive-dir: fixed, so that the target's path does not matter."""

PREFIX = "cya-new-chain."
"""Of the files of a full that duplicity makes without looking at the chain that is there."""

_PLAIN = set(string.ascii_letters + string.digits + "/._-~")


@dataclass(frozen=True)
class Dialect:
    """One version's way of saying things."""

    version: tuple[int, ...]

    @property
    def text(self) -> str:
        """The version for people."""
        return ".".join(map(str, self.version))

    @property
    def ignorecase_lowers_source(self) -> bool:
        """Whether ``ignorecase:`` compares the lowered pattern with the source's path as it is."""
        return self.version < (3,)

    def path_to_restore(self, path: str) -> list[str]:
        """Restore one path only."""
        return [("--path-to-restore=" if self.version >= (2,) else "--file-to-restore=") + path]

    def no_ownership(self) -> list[str]:
        """Leave restored files to the user who restores."""
        return ["--no-restore-ownership" if self.version >= (2,) else "--do-not-restore-ownership"]


def probe(program: str, env: Mapping[str, str]) -> Dialect:
    """Ask a program for its version.

    :raises EngineError: when it cannot be run, is not duplicity, or has a version that is not supported.
    """
    try:
        done = subprocess.run(
            [program, "--version"], env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{program}: cannot be run: {error}") from error
    said = done.stdout.decode(errors="replace").strip()
    found = re.match(r"duplicity (\d+(?:\.\d+)+)", said)
    if done.returncode or not found:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineError(f"{program}: cannot be run, or is not duplicity: {last or said or f'exit {done.returncode}'}")
    version = tuple(map(int, found[1].split(".")))
    if not OLDEST <= version < TOO_NEW:
        raise EngineError(f"{program}: duplicity {found[1]} is not supported: 0.8.22 to 3.x are. Install one of these")
    return Dialect(version)


def common(encryption: Encryption, archive_dir: Path, temporary: Path, log_fd: int, verbosity: int) -> list[str]:
    """Options of every run.

    One attempt is enough on a local disk: stock's default waits four times thirty seconds before it gives up.
    """
    options = [f"--archive-dir={archive_dir}", f"--name={NAME}", f"--tempdir={temporary}"]
    options += ["--num-retries=1", f"--log-fd={log_fd}", f"--verbosity={verbosity}"]
    if not encryption.enabled:
        options.append("--no-encryption")
    if encryption.recipients:
        # The config says which keys; nobody is there to be asked whether they are trusted. (3.x does this by itself.)
        options.append("--gpg-options=--trust-model=always")
    if encryption.sign_key:
        options.append(f"--sign-key={encryption.sign_key}")
    return options + [f"--encrypt-key={recipient}" for recipient in encryption.recipients]


def backup(verb: str, now: int, volume_size: int, selection: Sequence[str], *, apart: bool, dry_run: bool) -> list[str]:
    """Options of a backup.

    :param apart: see and make only files whose names begin with :data:`PREFIX`.

    ``--allow-source-mismatch`` always: when the level changes, the last manifest may be an old one, of a host or a
    snapshot with another name, at any time in the future; a one-time permission would not do.
    """
    options = [verb, f"--current-time={now}", f"--volsize={volume_size}", "--allow-source-mismatch", *selection]
    options += [f"--file-prefix={PREFIX}"] if apart else []
    return [*options, "--dry-run"] if dry_run else options


def url(directory: Path) -> str:
    """Return a directory as duplicity's URL.

    Bytes that are not UTF-8 stay as they are: percent-encoded, duplicity would read them as U+FFFD.
    """
    return "file://" + "".join(_quoted(character) for character in str(directory))


def check_expandable(path: Path | str, env: Mapping[str, str], what: str) -> None:
    """Refuse a path in which duplicity would replace ``$NAME`` by an environment variable.

    :raises EngineError: when it would.
    """
    for found in re.finditer(r"\$(?:(\w+)|\{([^}]*)\})", os.fspath(path), re.ASCII):
        if (found[1] or found[2]) in env:
            raise EngineError(
                f"{what} {path}: duplicity would replace {found[0]} in it by the environment variable "
                f"{found[1] or found[2]}; rename the directory, or reach it by another path, such as a bind mount"
            )


def _quoted(character: str) -> str:
    if character in _PLAIN or 0xDC80 <= ord(character) <= 0xDCFF:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())
