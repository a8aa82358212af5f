"""From the config file to what engines understand."""

from __future__ import annotations

from pathlib import Path

from cya.config.client import ClientConfig, read_passphrase
from cya.config.passphrase import read_passphrase_file
from cya.engine.protocol import Encryption, Selection


def encryption(config: ClientConfig) -> Encryption:
    """Read the keys that the config names.

    :raises ConfigError: when the passphrase file is missing, malformed or readable by others.
    """
    chosen = config.encryption
    return Encryption(read_passphrase(config), chosen.recipients, chosen.sign_key)


def given_keys(passphrase_file: Path | None) -> Encryption:
    """Return the keys for reading that the command line names; without any, gpg's own secret keys are tried.

    :raises ConfigError: when the passphrase file is missing, malformed or readable by others.
    """
    return Encryption(passphrase=read_passphrase_file(passphrase_file) if passphrase_file else None)


def selection(config: ClientConfig, excluded: tuple[Path, ...]) -> Selection:
    """Return what is to be backed up."""
    chosen = config.selection
    return Selection(
        patterns=chosen.patterns,
        excluded=excluded,
        one_file_system=chosen.one_file_system,
        exclude_caches=chosen.exclude_caches,
        exclude_if_present=chosen.exclude_if_present,
    )
