"""An account on an archive host, and the command line of OpenSSH's ``sftp`` that reaches it.

What the administrator has set up for ssh (``ssh_config``, an agent, hardware keys) keeps working: only what cya relies
on is set here.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from cya.config.address import SftpAddress
from cya.config.sftp import SftpConfig
from cya.errors import ConfigError, MissingProgram

_KNOWN_HOSTS = "known_hosts"
_FIXED = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    # Or a banner of the server's would stand among the messages that tell why a connection failed.
    "LogLevel": "ERROR",
    # A connection that another ssh holds would not be watched, and would outlive us.
    "ControlMaster": "no",
    "ControlPath": "none",
}
_USUAL = {"ServerAliveInterval": "15", "ServerAliveCountMax": "4", "ConnectTimeout": "30", "ConnectionAttempts": "1"}
"""A dead link is noticed after a minute."""


@dataclass(frozen=True)
class Account:
    """Where to log in, and how.

    :ivar home: a private directory in which ``sftp`` runs, so that no path in its options or its batches needs quoting.
    """

    address: SftpAddress
    settings: SftpConfig
    home: Path

    def prepare(self) -> None:
        """Write the archive's host key where ssh finds it, and check the key to log in with.

        :raises ConfigError: when that key is missing, or open to others.
        :raises MissingProgram: when there is no ``sftp``, no ``setpriv`` or no ``prlimit``.
        """
        for program, package in (("sftp", "openssh-client"), ("setpriv", "util-linux"), ("prlimit", "util-linux")):
            if shutil.which(program) is None:
                raise MissingProgram(f"{program} is not installed: apt-get install {package}")
        if self.settings.identity_file is not None:
            _check_identity(self.settings.identity_file)
        if self.settings.host_key is not None:
            (self.home / _KNOWN_HOSTS).write_text(f"{self.host} {self.settings.host_key}\n")

    @property
    def host(self) -> str:
        """The host as it stands in ``known_hosts``."""
        place = self.address
        return place.host if place.port == 22 else f"[{place.host}]:{place.port}"

    def command(self) -> list[str]:
        """Return the command that carries out a batch from its standard input, to be run in :attr:`home`.

        ``setpriv`` ends it when this process dies.
        """
        place, settings = self.address, self.settings
        options = dict(_FIXED)
        if settings.host_key is not None:
            # Under this very name, whatever a Host block of ssh_config makes of it.
            options |= {"UserKnownHostsFile": _KNOWN_HOSTS, "GlobalKnownHostsFile": "/dev/null"}
            options |= {"HostKeyAlias": self.host}
        words = ["setpriv", "--pdeathsig", "KILL", "sftp", "-b", "-", "-P", str(place.port)]
        if settings.identity_file is not None:
            options |= {"IdentitiesOnly": "yes", "IdentityFile": _quoted(str(settings.identity_file))}
        if settings.rate_limit:
            words += ["-l", str(settings.rate_limit * 8)]
        # Of two values ssh takes the first.
        for option in (*_words(options), *settings.options, *_words(_USUAL)):
            words += ["-o", option]
        return [*words, f"{place.user}@[{place.host}]" if ":" in place.host else f"{place.user}@{place.host}"]

    def environment(self) -> dict[str, str]:
        """Return the environment for it: ours, with messages in English."""
        return {**os.environ, "LC_ALL": "C"}


def _quoted(path: str) -> str:
    """Write a path so that ssh takes it as it is."""
    plain = path.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _words(options: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]


def _check_identity(file: Path) -> None:
    where = f"sftp.identity_file: {file}"
    if "${" in str(file):
        raise ConfigError(f"{where}: ssh would take the ${{…}} in it for a variable; give it another name")
    try:
        found = file.stat()
    except OSError as error:
        raise ConfigError(
            f"{where}: cannot be read: {error.strerror}; make one: ssh-keygen -t ed25519 -N '' -f {file}"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{where}: not a regular file")
    if file.suffix != ".pub" and stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{where}: is open to others, and ssh does not take it then; run: chmod 600 {file}")
