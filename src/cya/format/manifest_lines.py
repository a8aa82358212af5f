"""A manifest's lines, and the error that names one of them."""

from __future__ import annotations

from collections.abc import Iterator


class ManifestError(ValueError):
    """A manifest that is cut off or malformed; the message names the line."""


class Lines:
    """A manifest's lines, taken one after another.

    :raises ManifestError: when the last line has no end.
    """

    def __init__(self, data: bytes) -> None:
        self._lines = data.split(b"\n")
        self._taken = 0
        if self._lines.pop():
            self._taken = len(self._lines) + 1
            raise ManifestError(f"manifest line {self._taken}: cut off: the line has no end")

    @property
    def at_end(self) -> bool:
        """Whether all lines are taken."""
        return self._taken == len(self._lines)

    def begins(self, text: bytes) -> bool:
        """Whether there is a next line, and it begins so."""
        return not self.at_end and self._lines[self._taken].startswith(text)

    def take(self) -> bytes:
        """Take the next line, without its end.

        :raises ManifestError: when there is none.
        """
        if self.at_end:
            raise self.error("cut off after this line")
        self._taken += 1
        return self._lines[self._taken - 1]

    def indented(self) -> Iterator[bytes]:
        """Take the lines that begin with a blank, up to the first that does not."""
        while self.begins(b" "):
            yield self.take()

    def words(self, field: bytes) -> list[bytes]:
        """Take an indented line ``FIELD WORD…`` and give the words.

        :raises ManifestError: when there is no line, or it is another one.
        """
        line = self.take()
        found = line.split()
        if not line.startswith(b" ") or found[:1] != [field]:
            raise self.error(f"{field.decode()} expected")
        return found[1:]

    def error(self, reason: str) -> ManifestError:
        """Make, not raise, the error that names the line taken last."""
        line = self._lines[self._taken - 1] if self._taken else b""
        return ManifestError(f"manifest line {self._taken}: {reason}: {line[:100]!r}")
