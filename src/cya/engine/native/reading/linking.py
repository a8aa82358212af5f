"""Gives files their other names, and makes what no archive holds: sockets."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from cya.engine.native.reading.copying import NO_LINKS
from cya.engine.native.reading.made import Made
from cya.engine.native.reading.outcome import shortened
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.side import Socket
from cya.engine.native.reading.special import SOCKET
from cya.engine.native.reading.target import Kept, Target
from cya.engine.native.reading.trouble import told, unwritable
from cya.engine.native.reading.way import Way
from cya.format.key import path_of
from cya.format.tar_reader import Member


class Linking:
    """Works below the destination, when all files are there."""

    def __init__(self, root: int, target: Target, work: Path, restored: Restored, *, replaces: bool) -> None:
        """Take note of where things go.

        :param root: descriptor of the destination.
        :param work: the working directory.
        :param restored: is told what is lost, and what is there.
        :param replaces: all names were restored already, as files of their own, and become links.
        """
        self._replaces = replaces
        self._root, self._target, self._restored = root, target, restored
        self._made = Made(work, "links")

    def make(
        self, sets: Sequence[Sequence[bytes]], sockets: Iterable[Socket], kept: Collection[bytes] = frozenset()
    ) -> list[Path]:
        """Make links and sockets; return runs of the directories that had to be made for them.

        :param sets: keys of the names of each file; it is there under the first.
        :param kept: keys of what was there before, and is not the file of the backup.
        :raises EngineError: when nothing can be written any more.
        """
        self._target.way.made = self._made.add
        way = Way(self._root, replace=False)
        before = self._target.kept
        sockets = list(sockets)
        self._restored.others.update(each.key for each in sockets)
        others = {key for names in sets for key in names[1:]}
        for socket in sockets:
            if socket.key not in others:
                self._socket(socket)
        try:
            for names in sets:
                # A backup of 2012 may be without the first one.
                first = next((key for key in names if self._replaces and self._is_there(way, key)), names[0])
                for key in names:
                    if key == first:
                        continue
                    if first in kept and not self._is_there(way, key):
                        path = os.fsdecode(path_of(first))
                        why = f"is another name of {path}, which was there already and stays: restore it elsewhere"
                        self._restored.lost.setdefault(shortened(key), why)
                    else:
                        self._link(way, first, key)
        finally:
            way.close()
        self._restored.kept += self._target.kept - before
        return self._made.close()

    def _found(self, way: Way, key: bytes) -> tuple[int, bytes]:
        """Return directory and name of something that is there.

        :raises OSError: when it is not.
        """
        above, _, name = key.rpartition(b"\0")
        directory = way.enter_old(above.split(b"\0")) if above else self._root
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return directory, name

    def _is_there(self, way: Way, key: bytes) -> bool:
        with suppress(OSError):
            self._found(way, key)
            return True
        return False

    def _link(self, way: Way, first: bytes, key: bytes) -> None:
        try:
            directory, name = self._found(way, first)
        except OSError:
            why = self._restored.lost.get(shortened(first), "it is not there")
            self._restored.lost.setdefault(shortened(key), f"is another name of {os.fsdecode(path_of(first))}: {why}")
            return
        try:
            try:
                self._target.link(name, directory, key, replaces=self._replaces)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                self._target.copy(name, directory, key)
                what = f"hard links: {(error.strerror or str(error)).lower()}, so they are copies"
                self._restored.add_unset({what: (1, key)})
        except Kept:
            pass
        except OSError as error:
            self._failed(key, error)

    def _socket(self, socket: Socket) -> None:
        path = socket.key.replace(b"\0", b"/")
        member = Member(path, SOCKET, socket.mode, socket.uid, socket.gid, 0, 0, b"", b"", b"", 0, 0, 0)
        try:
            self._target.other(socket.key, member)
        except Kept:
            pass
        except OSError as error:
            self._failed(socket.key, error)

    def _failed(self, key: bytes, error: OSError) -> None:
        if self._target.ends_all(error, key):
            raise unwritable(error) from error
        self._restored.lost.setdefault(shortened(key), told(error))
