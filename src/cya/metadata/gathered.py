"""What is told of the machine, gathered while the walk goes on: other programs are asked, which takes them a while."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Thread


class Gathered:
    """The files of ``.dupext/system``."""

    def __init__(self, source: Path) -> None:
        """Begin.

        :param source: the directory that is backed up.
        """
        self._files: Mapping[bytes, bytes] = {}
        self._source = source
        self._thread = Thread(target=self._gather, daemon=True)
        self._thread.start()

    def files(self) -> Mapping[bytes, bytes]:
        """Wait for them, and return the content of each by its name."""
        self._thread.join()
        return self._files

    def _gather(self) -> None:
        from cya.metadata import system

        try:
            self._files = system.collect(self._source)
        except Exception as error:  # whatever goes wrong with a tool, the backup has to be made
            self._files = {b"skipped.txt": f"everything: {error}\n".encode()}
