"""Hashing of many large files on all cores: hashlib lets go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_IT = 64 << 20
"""Bytes from which on threads are worth their cost; most uploads of a fleet are far smaller."""


def mapped(work: Callable[[Item], Result], items: Iterable[Item], size: int) -> list[Result]:
    """Return what ``work`` returns for each item, in their order; the first error in that order is raised.

    :param size: bytes to be hashed in all.
    """
    if size < WORTH_IT:
        return [work(item) for item in items]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(work, items))
