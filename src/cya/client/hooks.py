"""Runs the commands of the client's config around a backup; each can veto it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cya import hooks
from cya.client.places import private_cache
from cya.config.client import ClientConfig
from cya.config.hooks import Commands
from cya.errors import CyaError, HookFailed, Locked, NothingToDo
from cya.printable import printable
from cya.snapshot import namespace

Event = Literal["before", "release", "after", "on_success", "on_failure"]
LOG = "hooks.log"
_LARGEST_LOG = 1 << 20
_QUIET = (NothingToDo, Locked)


class Hooks:
    """The hooks of one run.

    :ivar facts: what commands get to know in their environment.
    :ivar warnings: what went wrong when nothing could be vetoed any more.
    """

    def __init__(self, config: ClientConfig, *, enabled: bool = True) -> None:
        """Take note of the commands; nothing is run yet.

        :param enabled: False: nothing will be run.
        """
        self._config, self._enabled = config, enabled
        self.facts = {
            "CYA_CONFIG": str(config.path),
            "CYA_NAME": config.name,
            "CYA_SOURCE": str(config.source),
            "CYA_ARCHIVE": config.archive,
        }
        self.warnings: list[str] = []
        self._held = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Run what is to be run when the block succeeds, or when it fails.

        Not when there was nothing to do, or another run is at work: neither is a failure, nor is there a backup.
        """
        try:
            yield
        except BaseException as error:
            if not isinstance(error, _QUIET):
                code = error.exit_code if isinstance(error, CyaError) else 1
                self.facts |= {"CYA_ERROR": printable(str(error) or type(error).__name__), "CYA_EXIT_CODE": str(code)}
                for trouble in self._trouble("on_failure"):
                    error.add_note(f"cya: {trouble}")
            raise
        self.warnings += self._trouble("on_success")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Run what is to be run before; and :meth:`release` at the end, however the block ends.

        :raises HookFailed: when one of these commands fails; the others of ``before`` are not run then.
        """
        self._held = True
        try:
            self.run("before")
            yield
        except BaseException as error:
            for trouble in self._released():
                error.add_note(f"cya: {trouble}")
            raise
        self.release()

    def release(self) -> None:
        """Run what is to be run when the source may change again, once.

        :raises HookFailed: when one of these commands fails; the others are run all the same.
        """
        trouble = self._released()
        if trouble:
            raise HookFailed("; ".join(trouble))

    def run(self, event: Event) -> None:
        """Run the commands of an event.

        :raises HookFailed: when one fails; those after it are not run.
        """
        for command in self._commands(event):
            trouble = self._run(event, command)
            if trouble:
                raise HookFailed(f"{trouble}; there is no backup")

    def _released(self) -> list[str]:
        if not self._held:
            return []
        self._held = False
        return self._trouble("release")

    def _trouble(self, event: Event) -> list[str]:
        """Run all commands of an event, and return what went wrong."""
        return [trouble for command in self._commands(event) if (trouble := self._run(event, command))]

    def _commands(self, event: Event) -> Commands:
        return getattr(self._config.hooks, event) if self._enabled else ()

    def _run(self, event: Event, command: tuple[str, ...]) -> str:
        """Run one command where the administrator's shell is, and note it in the log; return what went wrong."""
        place = namespace.outside()
        where = (place.command, place.descriptors) if place is not None else ()
        facts = {**self.facts, "CYA_HOOK": event}
        done = hooks.run(command, facts, self._config.hooks.time_limit, *where)
        log = self._note(event, done)
        if not done.trouble:
            return ""
        return f"hooks.{event}: {printable(done.told)}{f' (all of it: {log})' if log and done.output else ''}"

    def _note(self, event: Event, done: hooks.Outcome) -> Path | None:
        """Append to the log; return its place. A log that cannot be written keeps nobody from a backup."""
        try:
            log = private_cache(self._config) / LOG
            if log.exists() and log.stat().st_size > _LARGEST_LOG:
                log.replace(log.with_name(f"{LOG}.1"))
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            outcome = done.trouble or "done"
            lines = [f"{now} {event} {list(done.command)}: {outcome} ({done.seconds:.1f} s)"]
            lines += [f"    {line}" for line in done.output.splitlines()]
            fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(fd, "w") as file:
                file.write("".join(f"{printable(line)}\n" for line in lines))
        except (OSError, CyaError):
            return None
        return log
