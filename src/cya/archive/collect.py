"""One run of the archive on a root: commit what is finished, then serve the next.

Each turn of the loop does the one step that the state asks for; the state is told from what exists. A run that was
killed anywhere is therefore simply run again.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from cya.archive import hooks, index, log, pruning, quarantine
from cya.archive.accept import accept
from cya.archive.adopt import adopt, is_2012
from cya.archive.carry_out import carry_out, tidy
from cya.archive.directories import remove
from cya.archive.freshen import clear_withdrawn, freshen
from cya.archive.hooks import Hooks
from cya.archive.init import make_directories
from cya.archive.prune import Pruned, prune_open
from cya.archive.return_loan import settle
from cya.archive.root import Root, open_root, told
from cya.archive.serve import serve
from cya.archive.side_by_side import side_by_side
from cya.archive.state import State, derive, handed_over
from cya.archive.take import take
from cya.errors import ArchiveError, CyaError
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.placement import Serving


@dataclass
class Collected:
    """What one run did to one root.

    :ivar committed: the increments that are in the tree now and were not before.
    :ivar refused: reasons why uploads were put into quarantine.
    :ivar deferred: reasons why uploads wait for the next run.
    :ivar alarms: what an administrator should look at, although it was committed.
    :ivar returned: which loans have ended, and why.
    :ivar served: what was served anew, if anything.
    :ivar pruned: what was pruned, where the settings ask for it and something was committed.
    :ivar adopted: number of files that a tree of the 2012 cya was completed with; None if it was none.
    :ivar error: what stopped the run, when several roots are collected side by side.
    """

    root: Path
    state: State = State.IDLE
    committed: list[Increment] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    served: Serving | None = None
    pruned: Pruned | None = None
    adopted: int | None = None
    error: CyaError | None = None


def collect_all(roots: list[Path], now: datetime, chosen: Hooks | None = None) -> list[Collected]:
    """Collect several roots side by side; an error of one does not keep the others from being collected.

    :param chosen: commands that are run for each root when it has been collected.
    """
    return side_by_side(partial(_one, now, chosen), roots, _lost)


def _one(now: datetime, chosen: Hooks | None, path: Path) -> Collected:
    try:
        done = collect(path, now)
        if chosen is not None:
            done.alarms += hooks.run(chosen, done, int(now.timestamp()))
        return done
    except CyaError as error:
        return Collected(path, error=error)
    except Exception as error:  # one root, whatever is wrong with it or with us, must not stop the others
        told_error = ArchiveError(f"{path}: unexpected {type(error).__name__}: {error}; please report this")
        told_error.__notes__ = traceback.format_exception(error)
        return Collected(path, error=told_error)


def _lost(path: Path) -> Collected:
    killed = "a process that collected was killed (is there enough memory?); nothing is lost, collect again"
    return Collected(path, error=ArchiveError(f"{path}: {killed}"))


def collect(path: Path, now: datetime, *, serving: bool = True) -> Collected:
    """Bring a root to where it waits for the next upload.

    :param now: the archive's clock: it decides where the next backup goes.
    :param serving: False: commit what is finished, and serve nothing.
    :raises ArchiveError: when the root is missing, not writable, full or malformed. Nothing is lost then.
    :raises Locked: when another run is at work on it.
    """
    moment = int(now.timestamp())
    done = Collected(path)
    with told(path):
        if is_2012(path):
            make_directories(path)
            with open_root(path) as root:
                done.adopted = adopt(root)
                log.note(root, moment, "adopt", completed=done.adopted)
        with open_root(path) as root:
            done.returned = settle(root, moment)
            pruning.finish(root)
            quarantine.expire(root, moment)
            index.refresh(root)
            remove(layout.NEXT_NEW, root.intake)
            clear_withdrawn(root, moment)
            while not _step(root, done, moment, serving=serving):
                pass
            done.state = derive(root)
    return done


def _step(root: Root, done: Collected, now: int, *, serving: bool) -> bool:
    """Do what the state asks for; return whether there is nothing more to do now."""
    match derive(root):
        case State.IDLE if not serving:
            return True
        case State.IDLE:
            _prune(root, done, now)
            done.served = serve(root, now)
            return True  # it fits: it has just been made
        case State.SERVED:
            return not freshen(root, now)
        case State.READY:
            take(root, handed_over(root) or layout.NEXT)
            log.note(root, now, "take")
        case State.TAKEN:
            outcome = accept(root, now)
            done.refused += [outcome.refused] if outcome.refused else []
            done.deferred += [outcome.deferred] if outcome.deferred else []
            done.alarms += outcome.alarms
            return outcome.deferred is not None
        case State.PLANNED:
            carry_out(root)
        case State.COMMITTED:
            index.publish(root)
            if (committed := tidy(root, now)) is not None:
                done.committed.append(committed)
    return False


def _prune(root: Root, done: Collected, now: int) -> None:
    """Prune before serving, for which there may be no room else; what goes wrong keeps no backup from being made."""
    if not (done.committed and root.config.prune):
        return
    try:
        with told(root.path):
            done.pruned = prune_open(root, now)
        done.alarms += [f"{root.name}: not pruned: {reason}" for reason in done.pruned.held]
    except ArchiveError as error:
        done.alarms.append(f"{root.name}: not pruned: {error}")
