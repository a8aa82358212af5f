"""What a backup can keep or lose: each a question to a path, as it was and as it came back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.awkward.compare import Seen

_ACCESS, _DEFAULT, _CAPABILITY = "system.posix_acl_access", "system.posix_acl_default", "security.capability"
_SHADOWS = ("trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT")
"""XFS shows ACLs once more, under these names."""
_PATH_MAX = 4096
_DEEP, _SOCKETS = "paths longer than PATH_MAX", "sockets, with all that they have"
_NODES = "pcb"
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Probe:
    """A kind of thing that a file can have.

    :ivar label: for people.
    :ivar concerns: whether a path had it, given the path and what it was.
    :ivar part: what of it has to be the same; what is missing has not kept it.
    :ivar also: whether something that is not the same will do, given what was and what is.
    """

    label: str
    concerns: Callable[[bytes, Seen], object]
    part: Callable[[Seen], object]
    also: Callable[[Seen, Seen], bool] = lambda was, now: False


@dataclass(frozen=True)
class Outcome:
    """Of how many paths how many have kept it; some that have not, and how they came back."""

    kept: int
    of: int
    lost: tuple[str, ...]


def outcomes(source: Mapping[bytes, Seen], restored: Mapping[bytes, Seen]) -> dict[str, Outcome]:
    """Ask all probes, by their labels."""
    return {probe.label: _asked(probe, source, restored) for probe in PROBES}


def _asked(probe: Probe, source: Mapping[bytes, Seen], restored: Mapping[bytes, Seen]) -> Outcome:
    concerned = sorted(path for path, was in source.items() if _is_asked(probe, path, was))
    assert concerned, probe.label
    lost = [path for path in concerned if not _is_kept(probe, source[path], restored.get(path))]
    examples = tuple(_example(probe, path, source[path], restored.get(path)) for path in lost[:3])
    return Outcome(len(concerned) - len(lost), len(concerned), examples)


def _is_asked(probe: Probe, path: bytes, was: Seen) -> object:
    """What cannot be reached, and sockets, are not kept by most: that is told once, each in a row of its own."""
    if probe.label == _DEEP:
        return len(path) > _PATH_MAX
    return not path.startswith(b"deep/") and (was.type != "s" or probe.label == _SOCKETS) and probe.concerns(path, was)


def _is_kept(probe: Probe, was: Seen, now: Seen | None) -> bool:
    return now is not None and (probe.part(was) == probe.part(now) or probe.also(was, now))


def _example(probe: Probe, path: bytes, was: Seen, now: Seen | None) -> str:
    if now is None:
        return f"{path!r:.80}: missing"
    return f"{path!r:.80}: {probe.part(was)!r:.80} became {probe.part(now)!r:.80}"


def _xattrs(*starts: str) -> Callable[[Seen], dict[str, bytes]]:
    def part(seen: Seen) -> dict[str, bytes]:
        return {
            name: value
            for name, value in seen.xattrs.items()
            if name.startswith(starts) and name not in (_CAPABILITY, *_SHADOWS)
        }

    return part


def _have(part: Callable[[Seen], object], types: str) -> Callable[[bytes, Seen], object]:
    return lambda path, seen: seen.type in types and part(seen)


def _acl(name: str) -> Callable[[Seen], bytes | None]:
    return lambda seen: seen.xattrs.get(name)


def _flags(letters: str) -> Callable[[Seen], str]:
    return lambda seen: "".join(letter for letter in seen.flags if letter in letters)


def _other_flags(seen: Seen) -> str:
    return "".join(letter for letter in seen.flags if letter not in "iad")


def _held(seen: Seen) -> int:
    """Bytes that are no hole."""
    return sum(end - begin for begin, end in seen.extents)


def _has_holes(path: bytes, seen: Seen) -> bool:
    return seen.type == "-" and _held(seen) < seen.size


def _is_timed(types: str) -> Callable[[bytes, Seen], object]:
    return lambda path, seen: path != b"." and seen.type in types and 0 <= seen.time < 2**31 * _SECOND


_user, _trusted, _security = _xattrs("user."), _xattrs("trusted."), _xattrs("security.")
_outside = _xattrs("trusted.", "security.")
_all = _xattrs("user.", "trusted.", "security.")

PROBES: tuple[Probe, ...] = (
    Probe("contents of files", lambda path, seen: seen.type == "-", lambda seen: (seen.type, seen.size, seen.content)),
    Probe("targets of symbolic links", lambda path, seen: seen.type == "l", lambda seen: seen.target),
    Probe("empty directories", lambda path, seen: path.startswith(b"empty/in"), lambda seen: seen.type),
    Probe("names: every byte, line ends, invalid UTF-8 …", lambda path, seen: path[:6] == b"names/", lambda s: s.type),
    Probe(_DEEP, lambda path, seen: True, lambda seen: seen.type),
    Probe("FIFOs", lambda path, seen: seen.type == "p", lambda seen: seen.type),
    Probe("devices", lambda path, seen: seen.type in "cb", lambda seen: (seen.type, seen.device)),
    Probe(
        _SOCKETS,
        lambda path, seen: seen.type == "s",
        lambda seen: (seen.type, seen.mode, seen.owner, seen.time, seen.xattrs, seen.names),
    ),
    Probe("modes, 0000 and setuid among them", lambda path, seen: seen.type != "l", lambda seen: seen.mode),
    Probe("owners, without a name among them", lambda path, seen: True, lambda seen: seen.owner),
    Probe("hard links of files", lambda p, seen: seen.type == "-" and len(seen.names) > 1, lambda seen: seen.names),
    Probe("hard links of symbolic links", lambda p, s: s.type == "l" and len(s.names) > 1, lambda seen: seen.names),
    Probe("hard links of FIFOs, devices", lambda p, s: s.type in _NODES and len(s.names) > 1, lambda seen: seen.names),
    Probe("access ACLs of files, directories", _have(_acl(_ACCESS), "-d"), _acl(_ACCESS)),
    Probe("access ACLs of FIFOs, devices", _have(_acl(_ACCESS), _NODES), _acl(_ACCESS)),
    Probe("default ACLs", _have(_acl(_DEFAULT), "d"), _acl(_DEFAULT)),
    Probe(
        "no ACL below a default ACL",
        lambda path, seen: seen.type in "-d" and not {_ACCESS, _DEFAULT} & {*seen.xattrs},
        lambda seen: (seen.xattrs.get(_ACCESS), seen.xattrs.get(_DEFAULT)),
    ),
    Probe("user attributes", _have(_user, "-d"), _user),
    Probe("trusted attributes", _have(_trusted, "-d"), _trusted),
    Probe("security attributes (SELinux)", _have(_security, "-d"), _security),
    Probe("attributes of symbolic links", _have(_outside, "l"), _outside),
    Probe("attributes of FIFOs, devices", _have(_outside, _NODES), _outside),
    Probe("60 KB of attributes", lambda path, seen: path == b"xattrs/sixty kilobytes", _all),
    Probe(
        "capabilities of root's files",
        lambda path, seen: _CAPABILITY in seen.xattrs and seen.owner[0] == 0,
        _acl(_CAPABILITY),
    ),
    Probe(
        "capabilities of others' files, setuid",
        lambda path, seen: _CAPABILITY in seen.xattrs and seen.owner[0] != 0,
        lambda seen: (seen.xattrs.get(_CAPABILITY), seen.owner, seen.mode),
    ),
    Probe("mtimes of files, to the nanosecond", _is_timed("-"), lambda seen: seen.time),
    Probe("mtimes of directories, to the nanosecond", _is_timed("d"), lambda seen: seen.time),
    Probe("mtimes of symbolic links", _is_timed("l"), lambda seen: seen.time),
    Probe("mtimes of FIFOs, devices", _is_timed(_NODES), lambda seen: seen.time),
    Probe("mtimes before 1970", lambda path, seen: seen.time < 0, lambda seen: seen.time),
    Probe("mtimes after 2038", lambda path, seen: seen.time >= 2**31 * _SECOND, lambda seen: seen.time),
    Probe("holes: no more space than before", _has_holes, _held, lambda was, now: _held(now) < _held(was)),
    Probe("holes: exactly the same", _has_holes, lambda seen: seen.extents),
    Probe("flags: immutable, append-only", _have(_flags("ia"), "-d"), _flags("ia")),
    Probe("flags: nodump", _have(_flags("d"), "-d"), _flags("d")),
    Probe("flags: others", _have(_other_flags, "-d"), _other_flags),
    Probe(
        "mode, owner, time, attributes of the top",
        lambda path, seen: path == b".",
        lambda seen: (seen.mode, seen.owner, seen.time, seen.xattrs),
    ),
)
