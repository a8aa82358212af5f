"""What is missing of an increment: in which ranges of keys, and which files may go on there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cya.engine.native.reading.outcome import Ends
from cya.engine.native.reading.steps import Step, Volume

Range = tuple[bytes, bytes | None]


def ranges_of(step: Step, bad: Iterable[Volume]) -> list[Range]:
    """Return the ranges of keys of some volumes; where one goes on where another ends, they are one."""
    if not step.known:
        return [(b"", None)]
    found: list[Range] = []
    for volume in sorted(bad, key=lambda volume: volume.number):
        last = found[-1][1] if found else b""
        if found and (last is None or volume.first <= last + b"\0"):
            end = None if last is None or volume.last is None else max(last, volume.last)
            found[-1] = (found[-1][0], end)
        else:
            found.append((volume.first, volume.last))
    return found


def borders(step: Step, bad: Iterable[Volume]) -> set[bytes]:
    """Return the files that some volumes hold and that may go on in others, which then do not hold all of them."""
    keys = {key for each in ranges_of(step, bad) for key in each}
    return {key for key in keys if key is not None and not _is_after(key)} if step.known else set()


def _is_after(key: bytes) -> bool:
    """Whether it is no path, but what comes right after one."""
    return key.endswith(b"\0") or not key


def alone(step: Step, bad: Iterable[Volume]) -> set[bytes]:
    """Return the files that are all that some volumes hold."""
    return {first for first, last in ranges_of(step, bad) if first == last}


def nameless(step: Step, bad: Sequence[Volume]) -> Iterator[tuple[bytes, str]]:
    """Yield between which paths some volumes lack files of which nobody knows the names, and words for it."""
    older = ", or older than they should be," if step.number else ""
    for first, last in ranges_of(step, bad):
        if first != last:
            between = [key.replace(b"\0", b"/") for key in (first.rstrip(b"\0") or b".", last or b"the end")]
            words = f"which files between these two are lost{older} cannot be told: {named(bad)} bad, the sigtar too"
            yield " … ".encode().join(between), words


def named(bad: Sequence[Volume]) -> str:
    """Return words for some volumes."""
    more = f" and {len(bad) - 1} other volumes are" if len(bad) > 1 else " is"
    return bad[0].name.decode() + more


def cut_off(step: Step, ends: Mapping[int, Ends]) -> Iterator[bytes]:
    """Yield the files of an increment without manifest of which nobody can tell whether all pieces are there.

    :param ends: of the volumes that are whole, by number.
    """
    last = max(step.files.volumes, default=0)
    for number, end in sorted(ends.items()):
        key, piece = end.first
        if piece > 1 and number - 1 not in ends:
            yield key
        key, piece = end.last
        following = ends.get(number + 1)
        if piece and following is None and not (number == last and end.whole):
            yield key
