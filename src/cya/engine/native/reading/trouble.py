"""What people are told of what the system refuses during a restore."""

from __future__ import annotations

import errno
import os

from cya.errors import EngineError

_PLAINER_WORDS = {
    errno.ENOTEMPTY: "is a directory here, with something in it",
    errno.EEXIST: "something is there already",
    errno.ENOTDIR: "something on the way to it is no directory",
    errno.EPERM: "not permitted; only root may make it" if os.geteuid() else "not permitted",
}


def told(error: OSError) -> str:
    """Return why something could not be made."""
    return _PLAINER_WORDS.get(error.errno or 0) or (error.strerror or str(error)).lower()


def unwritable(error: OSError) -> EngineError:
    """Return the error that ends a restore, when nothing can be written any more."""
    return EngineError(f"the destination cannot be written to: {error.strerror or error}; restore again")
