"""The table ``encryption`` of a client's config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from cya.config.keys import key, names_file

_KEY_ID = re.compile(r"(0x)?([0-9A-Fa-f]{16}|[0-9A-Fa-f]{40})")


def _key_ids(recipients: tuple[str, ...]) -> bool:
    return all(_KEY_ID.fullmatch(recipient) for recipient in recipients)


class EncryptionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``encryption``: exactly one of the three."""

    passphrase_file: Annotated[
        Path | None,
        key(
            "the name of a file, absolute or relative to the config's directory",
            "A file with the passphrase in one line, mode 0600. A relative name is relative to this file's directory.",
            example="client.passphrase",
            check=names_file,
        ),
    ] = None
    recipients: Annotated[
        tuple[str, ...],
        key(
            "a list of gpg key ids or fingerprints, 16 or 40 hexadecimal digits each",
            "Instead of that: the gpg keys that backups are encrypted to, as fingerprints. Then passphrase_file, if "
            "given, holds the passphrase of the secret key; only a restore needs it.",
            example=("0123456789ABCDEF0123456789ABCDEF01234567",),
            check=_key_ids,
        ),
    ] = ()
    sign_key: Annotated[
        str | None,
        key(
            "a gpg key id or fingerprint, 16 or 40 hexadecimal digits",
            "With recipients: the gpg key of this host by which backups are signed, too. Its secret key has to be "
            "here, and passphrase_file, if given, holds its passphrase. Signing is slower: gpg compresses, too. What "
            "is restored with this config has to be signed by it.",
            example="0123456789ABCDEF0123456789ABCDEF01234567",
            check=lambda name: _KEY_ID.fullmatch(name) is not None,
        ),
    ] = None
    former_sign_keys: Annotated[
        tuple[str, ...],
        key(
            "a list of gpg key ids or fingerprints, 16 or 40 hexadecimal digits each",
            "The keys by which older backups are signed, if sign_key was another one then.",
            example=("0123456789ABCDEF0123456789ABCDEF01234567",),
            check=_key_ids,
        ),
    ] = ()
    none: Annotated[
        bool,
        key(
            "true or false",
            "Instead of both: no encryption. Whoever can read the archive can read every file in it.",
            example=True,
        ),
    ] = False


def is_one_kind(encryption: EncryptionConfig) -> bool:
    """Whether exactly one kind of encryption is chosen, and nothing is signed without recipients: the table's check."""
    if (encryption.sign_key and not encryption.recipients) or (encryption.former_sign_keys and not encryption.sign_key):
        return False
    return encryption.none != bool(encryption.recipients or encryption.passphrase_file)
