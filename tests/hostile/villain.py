"""A process with a client's uid and gid and nothing more, which does harm step by step.

An attack is a function of what the client sees. Where it is a generator, it stops at each ``yield`` and keeps what it
has open; it goes on when it is told to.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import pwd
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_PATIENCE = 60.0
_GO, _PAUSED, _ENDED, _FAILED = b"g", b"p", b"e", b"f"

Sees = TypeVar("Sees")
Attack = Callable[[Sees], "Iterator[None] | object"]


class Villain(Generic[Sees]):
    """Runs an attack up to its first ``yield``; is killed, at the latest, when the block ends."""

    def __init__(self, user: pwd.struct_passwd, attack: Attack[Sees], sees: Sees) -> None:
        self.ended = False
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # later Pythons warn of threads of the parent
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._orders)
            os.close(self._answers)
            _live(user, attack, sees, orders, answers)
        os.close(orders)
        os.close(answers)

    def __enter__(self) -> Villain[Sees]:
        self._await()
        return self

    def go_on(self) -> None:
        """Let it go on to its next ``yield`` or its end."""
        self.let_loose()
        self._await()

    def let_loose(self) -> None:
        """Let it go on, and do not wait for it."""
        assert not self.ended
        os.write(self._orders, _GO)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._orders)
        os.close(self._answers)

    def _await(self) -> None:
        ready, _, _ = select.select([self._answers], [], [], _PATIENCE)
        answer = os.read(self._answers, 1 << 16) if ready else b"fthe attack takes too long"
        self.ended = answer[:1] != _PAUSED
        assert answer[:1] in (_PAUSED, _ENDED), answer[1:].decode(errors="replace") or "the attack was killed"


def as_user(user: pwd.struct_passwd, act: Callable[[], object]) -> None:
    """Run a function as a client's user, and wait for its end."""
    with Villain(user, lambda _: act(), None) as it:
        assert it.ended


def _live(user: pwd.struct_passwd, attack: Attack[Sees], sees: Sees, orders: int, answers: int) -> None:
    """Be the process; never returns."""
    try:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _become(user)
        doing = attack(sees)
        if inspect.isgenerator(doing):
            for _ in doing:
                os.write(answers, _PAUSED)
                if not os.read(orders, 1):
                    break
        os.write(answers, _ENDED)
        os.read(orders, 1)
    except BaseException:
        os.write(answers, _FAILED + traceback.format_exc().encode()[-60_000:])
    finally:
        sys.stderr.flush()
        os._exit(0)


def _become(user: pwd.struct_passwd) -> None:
    os.chdir("/")
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.umask(0o022)
    assert _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    with open("/proc/self/status", encoding="ascii") as file:
        powers = [line.split()[1] for line in file if line.startswith(("CapPrm", "CapEff"))]
    assert powers == ["0" * 16] * 2
