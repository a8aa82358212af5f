"""The table ``sftp`` of a client's config."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Annotated

import msgspec

from cya.config.keys import key, names_file

_HOST_KEY = re.compile(
    r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{20,1400}={0,2}(?: [ -~]*)?", re.ASCII
)
_OWN_OPTIONS = (
    *("batchmode", "stricthostkeychecking", "controlmaster", "controlpath", "controlpersist", "port", "user"),
    *("remotecommand", "requesttty", "sessiontype", "stdinnull", "forkafterauthentication"),
)
"""Names of ssh's options, in lower case, that would undo what cya relies on."""


def _host_key(key: str) -> bool:
    """Whether it is ``TYPE BASE64``, and the type that stands in the base64 is the same."""
    if not _HOST_KEY.fullmatch(key):
        return False
    kind, encoded = key.split(" ")[:2]
    data = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return data[4 : 4 + int.from_bytes(data[:4])] == kind.encode()


def _ssh_options(options: tuple[str, ...]) -> bool:
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not value.strip() or re.fullmatch(r"[A-Za-z]+", name, re.ASCII) is None or "\n" in value:
            return False
        if name.lower() in _OWN_OPTIONS:
            raise ValueError(f"{name} is set by cya itself; leave it out")
    return True


class SftpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``sftp``."""

    identity_file: Annotated[
        Path | None,
        key(
            "the name of a file, absolute or relative to the config's directory",
            "The SSH key to log in with, without a passphrase, mode 0600; or the .pub file of one that an agent holds. "
            "A relative name is relative to this file's directory. Without this key: what ssh finds by itself.",
            example="client.key",
            check=names_file,
        ),
    ] = None
    host_key: Annotated[
        str | None,
        key(
            "a host key as TYPE BASE64, without the host's name before it",
            "The archive host's public key, as cya add-client prints it: no other host is then taken for the archive. "
            "Without this key: what stands in ~/.ssh/known_hosts.",
            example="ssh-ed25519 AAAA…",
            check=_host_key,
        ),
    ] = None
    rate_limit: Annotated[
        int,
        key(
            "an integer from 0 to 1000000 (KiB/s)",
            "The most that is sent or fetched, in KiB per second; 0: as much as the line takes.",
            ge=0,
            le=1_000_000,
        ),
    ] = 0
    give_up_after: Annotated[
        float,
        key(
            "a number of minutes from 0 to 10000",
            "A connection that breaks is made again, and the volume that was on its way is sent again. When all that "
            "is tried fails for so many minutes, the backup fails, and the next one starts over. The first connection "
            "of a backup is tried for one minute.",
            ge=0,
            le=10_000,
        ),
    ] = 30
    options: Annotated[
        tuple[str, ...],
        key(
            "a list of ssh's options, Name=value each",
            "Further options of ssh, see ssh_config(5). What stands in ~/.ssh/config counts, too.",
            example=("ConnectTimeout=60", "ProxyJump=gate.example"),
            check=_ssh_options,
        ),
    ] = ()
