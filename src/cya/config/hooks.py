"""The table ``hooks`` of a client's config, and that of an archive host's."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cya.config.keys import key

Commands = tuple[tuple[str, ...], ...]
_EXPECTED = 'a list of commands, each a list of a program and its arguments, such as [["systemctl", "stop", "shop"]]'


def _runnable(commands: Commands) -> bool:
    return all(command and command[0] and not any("\0" in word for word in command) for command in commands)


def _commands(comment: str, example: Commands) -> msgspec.Meta:
    return key(_EXPECTED, comment, example=example, check=_runnable)


_TIME_LIMIT = key(
    "an integer from 1 to 86400 (seconds)",
    "Seconds that one of these commands may take; then it is killed, and has failed.",
    ge=1,
    le=86_400,
)


class HooksConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``hooks`` of a client's config."""

    before: Annotated[
        Commands,
        _commands(
            "Run before a backup, before any snapshot is taken. Commands are run one after the other, without a shell; "
            "what they should know is in their environment (CYA_…), what they say is in the file hooks.log of the "
            "cache. If one fails, there is no backup.",
            (("systemctl", "stop", "shop"),),
        ),
    ] = ()
    release: Annotated[
        Commands,
        _commands(
            "Run as soon as the source may change again: after the snapshots are taken, or, without snapshots, when it "
            "has been read. Also if the run fails, once the first command of before has been run. If one fails, "
            "nothing is handed over.",
            (("systemctl", "start", "shop"),),
        ),
    ] = ()
    after: Annotated[
        Commands,
        _commands(
            "Run when the backup is made, and before the archive gets to know: if one fails, nothing is handed over.",
            (("/usr/local/sbin/look-at-it",),),
        ),
    ] = ()
    on_success: Annotated[
        Commands,
        _commands(
            "Run when the archive has it. If one fails, that is told.",
            (("curl", "--silent", "--show-error", "https://monitor.example/ping"),),
        ),
    ] = ()
    on_failure: Annotated[
        Commands,
        _commands(
            "Run when there is no backup; CYA_ERROR says why. Not when there was nothing to do, or another run was at "
            "work.",
            (("/usr/local/sbin/tell-me",),),
        ),
    ] = ()
    time_limit: Annotated[int, _TIME_LIMIT] = 600


class ArchiveHooksConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``hooks`` of an archive host's config."""

    after_commit: Annotated[
        Commands,
        _commands(
            "Run after a backup has been committed. Commands are run one after the other, without a shell; what they "
            "should know is in their environment (CYA_…), what they say is in the root's state/log. One that fails is "
            "an alarm, and changes nothing.",
            (("/usr/local/sbin/copy-it-elsewhere",),),
        ),
    ] = ()
    on_quarantine: Annotated[
        Commands,
        _commands("Run when an upload was refused; CYA_REASON says why.", (("/usr/local/sbin/tell-me",),)),
    ] = ()
    on_overdue: Annotated[
        Commands,
        _commands(
            "Run once when a client's last backup has become older than max_age, and again if it fails.",
            (("/usr/local/sbin/tell-me",),),
        ),
    ] = ()
    time_limit: Annotated[int, _TIME_LIMIT] = 600
