"""A progress bar on a terminal; nothing where nobody looks on, and then nothing is loaded for it, either."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from cya.cli import output
from cya.engine import protocol


def told(state: protocol.Progress, speed: float | None) -> str:
    """Return how far a run is, in words.

    :param speed: units in a second, where that is known.
    """
    in_bytes = state.unit == "bytes"
    done = output.size(state.done) if in_bytes else f"{state.done} volumes"
    parts = [f"{done} of {output.size(state.total)}" if in_bytes and state.total else done]
    if speed and state.total > state.done:
        parts.append(f"{timedelta(seconds=int((state.total - state.done) / speed))} left")
    parts += [f"{output.size(speed)}/s"] if in_bytes and speed else []
    parts += [f"{state.files:,} files"] if state.files else []
    return ", ".join([*parts, *([state.note] if state.note else [])])


@contextmanager
def bar(title: str, *, shown: bool) -> Iterator[protocol.Watcher | None]:
    """Show a bar on stderr while the block runs, if that is a terminal; yield what engines report to."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[far]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, far="")

        def watch(state: protocol.Progress) -> None:
            total = max(state.total, state.done) if state.total else None
            progress.update(task, completed=state.done, total=total, far=told(state, progress.tasks[0].speed))

        yield watch
