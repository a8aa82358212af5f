"""What a tree is, as one number: two trees are the same when their numbers are."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def picture(tree: Path) -> str:
    """Return a SHA-256 over what every tool here keeps of all that lies in a directory, or of a file's content.

    That is: names, types, permissions, owners, targets of links, contents, and whole seconds of the mtimes of files and
    directories. What a tool makes on the way to it is not looked at, nor the directory itself, nor ``.dupext`` in it,
    which stock restores as all else.
    """
    if tree.is_file():
        return hashlib.sha256(tree.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    top = os.fsencode(tree)
    for directory, names, files in os.walk(top):
        if directory == top and b".dupext" in names:
            names.remove(b".dupext")
        names.sort()
        for name in sorted([*names, *files]):
            path = os.path.join(directory, name)
            found = os.lstat(path)
            told = [os.path.relpath(path, top), b"%o %d %d" % (found.st_mode, found.st_uid, found.st_gid)]
            if stat.S_ISLNK(found.st_mode):
                told.append(os.readlink(path))
            else:
                told.append(b"%d" % (found.st_mtime_ns // 10**9))
            if stat.S_ISREG(found.st_mode):
                with open(path, "rb", buffering=0) as file:
                    told.append(hashlib.file_digest(file, "sha256").digest())
            whole.update(b"\0".join(told) + b"\0\n")
    return whole.hexdigest()
