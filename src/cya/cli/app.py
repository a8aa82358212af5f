"""All verbs, put together. Only the one that is asked for is loaded: all of them take half a second."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import typer

from cya.cli import options

VERBS = {
    "init": "init",
    "backup": "backup",
    "restore": "restore",
    "list": "list_backups",
    "files": "files",
    "find": "find",
    "diff": "diff",
    "verify": "verify",
    "drill": "drill",
    "snapshots": "snapshots",
    "init-archive": "init_archive",
    "add-client": "add_client",
    "remove-client": "remove_client",
    "collect": "collect",
    "status": "status",
    "prune": "prune",
    "simulate": "simulate",
    "lend": "lend",
    "return": "return_loan",
    "check": "check",
    "demo": "demo",
}
"""The verbs, and the module of each, in which the function has the module's name."""


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the application for a command line: with the verb that is named there, or with all of them."""
    app = typer.Typer(
        help="Multi-level, unattended, encrypted backups in Duplicity's format.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(everywhere)
    named = next((word for word in arguments if word in VERBS), None)
    for verb in VERBS if named is None else [named]:
        module = import_module(f"cya.cli.{VERBS[verb]}")
        app.command(verb, epilog=module.EXIT)(getattr(module, VERBS[verb]))
    return app


def everywhere(now: options.Now = None, version: options.Version = False) -> None:
    """Multi-level, unattended, encrypted backups in Duplicity's format."""
    options.set_now(now)
