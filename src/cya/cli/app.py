"""All verbs, put together."""

from __future__ import annotations

import typer

from cya.cli import (
    add_client,
    backup,
    check,
    collect,
    demo,
    diff,
    drill,
    files,
    find,
    init,
    init_archive,
    lend,
    list_backups,
    options,
    remove_client,
    restore,
    return_loan,
    status,
    verify,
)

app = typer.Typer(
    help="Multi-level, unattended, encrypted backups in Duplicity's format.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def everywhere(now: options.Now = None, version: options.Version = False) -> None:
    """Multi-level, unattended, encrypted backups in Duplicity's format."""
    options.set_now(now)


app.command("init", epilog=init.EXIT)(init.init)
app.command("backup", epilog=backup.EXIT)(backup.backup)
app.command("restore", epilog=restore.EXIT)(restore.restore)
app.command("list", epilog=list_backups.EXIT)(list_backups.list_backups)
app.command("files", epilog=files.EXIT)(files.files)
app.command("find", epilog=find.EXIT)(find.find)
app.command("diff", epilog=diff.EXIT)(diff.diff)
app.command("verify", epilog=verify.EXIT)(verify.verify)
app.command("drill", epilog=drill.EXIT)(drill.drill)
app.command("init-archive", epilog=init_archive.EXIT)(init_archive.init_archive)
app.command("add-client", epilog=add_client.EXIT)(add_client.add_client)
app.command("remove-client", epilog=remove_client.EXIT)(remove_client.remove_client)
app.command("collect", epilog=collect.EXIT)(collect.collect)
app.command("status", epilog=status.EXIT)(status.status)
app.command("lend", epilog=lend.EXIT)(lend.lend)
app.command("return", epilog=return_loan.EXIT)(return_loan.return_loan)
app.command("check", epilog=check.EXIT)(check.check)
app.command("demo", epilog=demo.EXIT)(demo.demo)
