"""A progress bar on a terminal; nothing where nobody looks on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cya.cli import output
from cya.engine import protocol


@contextmanager
def bar(title: str, *, shown: bool) -> Iterator[protocol.Watcher | None]:
    """Show a bar on stderr while the block runs, if that is a terminal; yield what engines report to."""
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[far]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, far="")

        def watch(state: protocol.Progress) -> None:
            done = output.size(state.done) if state.unit == "bytes" else f"{state.done} volumes"
            far = ", ".join(
                part for part in (done, f"{state.files:,} files" if state.files else "", state.note) if part
            )
            progress.update(task, completed=state.done, total=state.total or None, far=far)

        yield watch
