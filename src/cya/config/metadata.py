"""The table ``metadata`` of a client's config."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cya.config.keys import key


class MetadataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``metadata``."""

    keep: Annotated[
        bool,
        key(
            "true or false",
            "Keep what Duplicity's format cannot hold, in the directory .dupext of the backup: hard links, ACLs, "
            "extended attributes, exact times, holes, inode flags. Stock duplicity needs that directory in the source "
            "while it runs. If false, a directory .dupext in the root of the source is left out: a restore would "
            "believe it.",
        ),
    ] = True
    system: Annotated[
        bool | None,
        key(
            "true or false",
            "Keep the partition tables, volumes and packages of this machine there, too. Without this key: if the "
            "source is / or has a system of its own (etc/fstab).",
            example=True,
        ),
    ] = None
