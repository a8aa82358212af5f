"""Whether what gpg has decrypted is signed by the one key that counts, from its status lines (GnuPG's doc/DETAILS)."""

from __future__ import annotations

from cya.errors import DecryptionFailed

_STATUS = b"[GNUPG:] "


def check(status: bytes, key: str, name: str) -> None:
    """Refuse what is not signed by a key, or by a subkey of it. Whether the key has expired since is no matter.

    :param status: what gpg wrote to its ``--status-fd``.
    :param key: key id or fingerprint: 16 or 40 hexadecimal digits.
    :param name: of the file, for the message.
    :raises DecryptionFailed: says what to do.
    """
    lines = [line[len(_STATUS) :].split() for line in status.splitlines() if line.startswith(_STATUS)]
    signers = [fingerprint for words in lines if words[:1] == [b"VALIDSIG"] for fingerprint in (words[1], words[-1])]
    if any(fingerprint.endswith(key.upper().encode()) for fingerprint in signers):
        return
    if any(words[:1] == [b"NO_PUBKEY"] for words in lines) and not signers:
        raise DecryptionFailed(
            f"{name}: its signature cannot be checked, since the public key {key} is not here. Import it "
            "(`gpg --import`), or take sign_key out of the config to restore without a look at signatures"
        )
    others = ", ".join(sorted({each.decode(errors="replace") for each in signers}))
    found = f"is signed by {others}" if others else "is not signed"
    raise DecryptionFailed(
        f"{name}: {found}, and the backups of this client are by {key} (sign_key): whoever can write where it lies may "
        "have made it. If it was made before sign_key was set, restore with --allow-unencrypted"
    )
