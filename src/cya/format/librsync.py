"""The shared library librsync: its functions, loaded when first needed.

Source: ``librsync.h`` of librsync 2.3. A call gives up the interpreter's lock while it runs. What the library would
print to stderr about damaged input is left out: the result of the call says it, too.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

from cya.errors import EngineError, MissingProgram

DONE = 0
BLOCKED = 1

_NAME = "librsync.so.2"
_LOG_CRITICAL = 2


class Buffers(ctypes.Structure):
    """Where a job reads and writes; it moves the addresses forward and counts the lengths down."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_size_t),
        ("eof_in", ctypes.c_int),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_size_t),
    )


class Library(NamedTuple):
    """The functions that are used, without their prefix ``rs_``; jobs and signatures are addresses."""

    sig_begin: Any
    loadsig_begin: Any
    build_hash_table: Any
    free_sumset: Any
    delta_begin: Any
    job_iter: Any
    job_free: Any
    strerror: Any


def available() -> bool:
    """Whether the library is installed."""
    try:
        library()
    except MissingProgram:
        return False
    return True


@cache
def library() -> Library:
    """Load the library.

    :raises MissingProgram: when it is not installed, or is another one than it should be.
    """
    try:
        loaded = ctypes.CDLL(_NAME)
        functions = Library(*(getattr(loaded, f"rs_{name}") for name in Library._fields))
        quiet = loaded.rs_trace_set_level
    except OSError:
        raise MissingProgram(f"{_NAME} is not installed: apt-get install librsync2") from None
    except AttributeError as error:
        raise MissingProgram(f"{_NAME} is not the librsync that is needed, version 2: {error}") from None
    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for function, result, arguments in (
        (functions.sig_begin, address, (size, size, number)),
        (functions.loadsig_begin, address, (address,)),
        (functions.build_hash_table, number, (address,)),
        (functions.free_sumset, None, (address,)),
        (functions.delta_begin, address, (address,)),
        (functions.job_iter, number, (address, address)),
        (functions.job_free, number, (address,)),
        (functions.strerror, ctypes.c_char_p, (number,)),
    ):
        function.restype, function.argtypes = result, arguments
    quiet.restype, quiet.argtypes = None, (number,)
    # Not to nothing at all: before the library ends the process for want of memory, it says so.
    quiet(_LOG_CRITICAL)
    return functions


def failure(what: str, result: int) -> EngineError:
    """Return the error for a call that failed where no input can be the reason."""
    return EngineError(f"{what}: librsync says: {library().strerror(result).decode(errors='replace')}")
