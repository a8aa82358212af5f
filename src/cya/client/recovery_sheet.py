"""The sheet of paper for the day when the machine is gone."""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

from cya.config.client import ClientConfig


def recovery_sheet(config: ClientConfig, passphrase: str | None) -> str:
    """Say what has to be kept, and how to restore with it on another machine."""
    keep, for_cya, for_duplicity = _keys(config, passphrase)
    example = "backups/2000/2020/2026/2026-11/2026-11-22/files"
    if isinstance(config.location, Path):
        root, fetch = shlex.quote(str(config.location)), ""
        chain = shlex.quote(f"file://{config.location}/{example}")
    else:
        root = "ROOT"
        fetch = _on_a_new_machine(config, config.location.user, for_cya)
        chain = f"file://ROOT/{example}"
    return f"""\
RECOVERY SHEET: print this, and keep it away from the machine that is backed up.

  host        {platform.node()}
  source      {config.source}
  archive     {config.archive}
  config      {config.path}
{keep}
  format      that of Duplicity, https://duplicity.us; cya itself is not needed for a restore{fetch}

Restore with cya, into an empty directory DEST{for_cya.before}:

  cya restore DEST --from {root}{for_cya.options}      (from a rescue system: and --numeric-owner)

Restore with stock duplicity alone. Every files/ directory of the archive holds complete chains; take the one of
the week or month that you want, and the time with --time 2026-11-23T02:00:00+00:00{for_duplicity.before}:

  duplicity restore{for_duplicity.options} {chain} DEST"""


def _on_a_new_machine(config: ClientConfig, user: str, how: _How) -> str:
    """Say how to restore from an archive on another host: its administrator has to let the new machine in, and lend."""
    init = f"--source {shlex.quote(str(config.source))} --archive {config.archive}"
    keys = how.options or (" --no-encryption" if config.encryption.none else "")
    if config.encryption.recipients:
        keys = "".join(f" --recipient {shlex.quote(each)}" for each in config.encryption.recipients)
    return f"""

Restore onto a new machine, into an empty directory DEST{how.before}. Install cya there, and run

  cya init --config FILE.toml {init}{keys}

It makes a new SSH key, and prints the cya add-client command that the archive's admin has to run: that key takes the
place of the old one. Ask for  cya lend {user}  (or  cya lend {user} --time T), too. Put the host_key that add-client
prints into FILE.toml, and

  cya restore DEST --config FILE.toml

Or ask the admin for a copy of the whole root (below: ROOT) or of one of its files/ directories."""


@dataclass(frozen=True)
class _How:
    """What comes before a command, and its options."""

    before: str = ""
    options: str = ""


def _keys(config: ClientConfig, passphrase: str | None) -> tuple[str, _How, _How]:
    """Return the lines about keys, and how cya and duplicity are told them."""
    encryption = config.encryption
    if encryption.none:
        return "  encryption  none", _How(), _How(options=" --no-encryption")
    home = f" --homedir {shlex.quote(str(config.gnupg_home))}" if config.gnupg_home else ""
    if encryption.recipients:
        ids = " ".join(encryption.recipients)
        keep = f"""\
  encryption  to the gpg keys {ids}
  keep        a secret key of these and its passphrase; without them nobody can read the backups, you included:
              gpg{home} --armor --export-secret-keys {ids} > secret-key.asc"""
        how = _How(before=", after gpg --import secret-key.asc")
        return keep, how, how
    if passphrase:
        keep = f"  passphrase  {passphrase}"
    else:
        keep = f"  passphrase  the one line of {encryption.passphrase_file}: write it here: ______________________"
    keep += """
              Without it nobody can read the backups, neither you nor the archive's admin."""
    before = ", with the passphrase in one line of a file FILE (chmod 600 FILE)"
    duplicity = ', after export PASSPHRASE="$(cat FILE)"'
    return keep, _How(before, " --passphrase-file FILE"), _How(duplicity)
