"""From the config file to what engines understand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cya.config.client import ClientConfig, read_passphrase
from cya.config.passphrase import read_passphrase_file
from cya.engine.protocol import Encryption, Selection


def encryption(config: ClientConfig) -> Encryption:
    """Read the keys that the config names.

    :raises ConfigError: when the passphrase file is missing, malformed or readable by others.
    """
    chosen = config.encryption
    return Encryption(read_passphrase(config), chosen.recipients, chosen.sign_key, chosen.former_sign_keys)


def reading_keys(config: ClientConfig | None, passphrase_file: Path | None) -> Encryption:
    """Return the keys for reading: that which the command line names, or else the config's.

    Without any, gpg's own secret keys are tried.

    :raises ConfigError: as :func:`encryption`.
    """
    if passphrase_file:
        found = Encryption(read_passphrase_file(passphrase_file))
        if config is None:
            return found
        signing = config.encryption
        return replace(found, sign_key=signing.sign_key, former_sign_keys=signing.former_sign_keys)
    return encryption(config) if config is not None else Encryption()


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


def keeps_system(config: ClientConfig) -> bool:
    """Whether a backup tells of the machine, too."""
    chosen = config.metadata
    if not chosen.keep or chosen.system is not None:
        return chosen.keep and bool(chosen.system)
    return (config.source / "etc/fstab").exists()
