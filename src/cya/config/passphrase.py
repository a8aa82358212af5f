"""Passphrase files: one line, mode 0600."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable
from pathlib import Path

from cya.config import reading
from cya.errors import ConfigError


def read_passphrase_file(path: Path) -> str:
    """Read a passphrase; one newline at its end is dropped, blanks belong to it.

    :raises ConfigError: when the file cannot be read, is open to others, or is not one line of printable text.
    """
    passphrase = reading.read_file(path, forbidden=reading.SECRET).removesuffix("\n")
    if not passphrase:
        raise ConfigError(f"{path}: empty; expected a passphrase in one line")
    if "\n" in passphrase:
        raise ConfigError(f"{path}: more than one line; expected a passphrase in one line")
    # An invisible character here is one that nobody could type on the day of the restore.
    for column, char in enumerate(passphrase, 1):
        if unicodedata.category(char) == "Cc" or char in "\ufeff\u2028\u2029":
            raise ConfigError(f"{path}: a control character (U+{ord(char):04X}) in column {column} of the passphrase")
    return passphrase


def new_passphrase(random: Callable[[int], bytes]) -> str:
    """Make a passphrase of 256 random bits, which can be typed.

    :param random: gives so many random bytes, as os.urandom does.
    """
    return base64.b64encode(random(32)).decode("ascii")
