"""Whether what gpg has decrypted is signed by a key that counts, from its status lines (GnuPG's doc/DETAILS)."""

from __future__ import annotations

from collections.abc import Collection

from cya.errors import DecryptionFailed

_STATUS = b"[GNUPG:] "


def check(status: bytes, keys: Collection[str], name: str) -> None:
    """Refuse what is not signed by one of some keys, or by a subkey of it. An expired key is as good as another.

    :param status: what gpg wrote to its ``--status-fd``.
    :param keys: key ids or fingerprints: 16 or 40 hexadecimal digits, maybe behind ``0x``.
    :param name: of the file, for the message.
    :raises DecryptionFailed: says what to do.
    """
    lines = [line[len(_STATUS) :].split() for line in status.splitlines() if line.startswith(_STATUS)]
    signers = [fingerprint for words in lines if words[:1] == [b"VALIDSIG"] for fingerprint in (words[1], words[-1])]
    wanted = [key.lower().removeprefix("0x").upper() for key in keys]
    if any(fingerprint.endswith(key.encode()) for fingerprint in signers for key in wanted):
        return
    shown = " or ".join(wanted)
    if any(words[:1] == [b"NO_PUBKEY"] for words in lines) and not signers:
        raise DecryptionFailed(
            f"{name}: its signature cannot be checked, since the public key {shown} is not here. Import it "
            "(`gpg --import`), or take sign_key out of the config to restore without a look at signatures"
        )
    others = ", ".join(sorted({each.decode(errors="replace") for each in signers}))
    found = f"is signed by {others}" if others else "is not signed"
    raise DecryptionFailed(
        f"{name}: {found}, and the backups of this client are by {shown} (sign_key): whoever can write where it lies "
        "may have made it. If it was made under another sign_key, name that in former_sign_keys; if before there was "
        "one, restore with --allow-unencrypted"
    )
