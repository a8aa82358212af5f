"""Puts together what was looked at and what was read: findings, what they mean, what collect has to know. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cya.archive.check.complete import Contents, contents, gaps, missing, sound
from cya.archive.check.damage import Bad
from cya.archive.check.outcome import Outcome, outcome
from cya.archive.check.structure import structure
from cya.archive.check.tree import Bads, Entry, Finding, Inode, Look, Rules, held, path_of, shown
from cya.archive.ledger import entry_name
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Calendar, Period


@dataclass(frozen=True)
class Judgement:
    """What a look at a root comes to."""

    findings: tuple[Finding, ...]
    contents: Contents
    outcome: Outcome
    bad: tuple[Bad, ...]


def judge(look: Look, rules: Rules, calendar: Calendar, bad: Bads) -> Judgement:
    """Judge a look. ``bad`` are the files that were read and are not what they should be."""
    summed = contents(look, rules, calendar, bad)
    findings = (
        *_hashes(look, rules, bad),
        *missing(look, rules),
        *gaps(look, rules, summed),
        *_ledger(look, rules, summed),
        *structure(look, rules),
    )
    return Judgement(findings, summed, outcome(summed), tuple(_records(look, rules, summed, bad)))


def mismatches(look: Look, rules: Rules, digests: Mapping[Inode, str], failures: Mapping[Inode, str]) -> Bads:
    """Return the files that are not what the ledger says; without it, those that differ under the same name."""
    bad: dict[tuple[bytes, Inode], str] = {}
    for increment, files in held(look, rules).items():
        entry = look.ledger.get(increment, {})
        for name, places in files.names.items():
            inodes = {each.inode for each in places.values()}
            bad.update(((name, inode), failures[inode]) for inode in inodes if inode in failures)
            read = {inode: digests[inode] for inode in inodes if inode in digests}
            expected = entry.get(name) if isinstance(entry, Mapping) else None
            if expected is not None:
                wrong = {inode: digest for inode, digest in read.items() if digest != expected}
                bad.update(((name, inode), _wrong(look, digest, expected)) for inode, digest in wrong.items())
            elif len(set(read.values())) > 1:
                told = "differs from another file of this name, and there is no ledger entry to tell which is right"
                bad.update(((name, inode), told) for inode in read)
    return bad


def _wrong(look: Look, digest: str, expected: str) -> str:
    for entry in look.ledger.values():
        for name, known in entry.items() if isinstance(entry, Mapping) else ():
            if known == digest:
                return f"holds what {shown(name)} should hold: they have been exchanged"
    return f"is damaged: its SHA-256 is {digest}, and by the ledger it should be {expected}"


def _hashes(look: Look, rules: Rules, bad: Bads) -> Iterator[Finding]:
    """One finding for each file, however many directories it is linked into."""
    for files in held(look, rules).values() if bad else ():
        for name, places in files.names.items():
            found: dict[Inode, list[str]] = {}
            for period in sorted(places, key=lambda p: (len(p), p)):
                if (name, places[period].inode) in bad:
                    found.setdefault(places[period].inode, []).append(layout.directory(period))
            for inode, directories in found.items():
                more = f" (the same file in {', '.join(directories[1:])})" if directories[1:] else ""
                path = path_of(layout.period_of(directories[0]), name)
                yield Finding("hash", path, bad[name, inode] + more)


def _ledger(look: Look, rules: Rules, summed: Contents) -> Iterator[Finding]:
    for increment in summed.good:
        path = f"{layout.STATE}/{layout.LEDGER}/{entry_name(increment)}"
        entry = look.ledger.get(increment)
        if isinstance(entry, str):
            told = f"{entry}; this backup cannot be checked. Move it away, and the next check writes down what is there"
            yield Finding("ledger", path, told)
        elif entry is None and not rules.adopted and increment not in look.pending:
            told = "is missing: what was committed is not known; what is there is written down as soon as it is read"
            yield Finding("ledger", path, told)


def _records(look: Look, rules: Rules, summed: Contents, bad: Bads) -> Iterator[Bad]:
    everything = held(look, rules)
    for increment, periods in summed.good.items():
        for name in sorted(summed.expected[increment] or ()):
            lacking = [period for period, good in periods.items() if name not in good]
            if lacking:
                yield _record(increment, name, lacking, everything[increment].names.get(name, {}), bad)


def _record(increment: Increment, name: bytes, lacking: list[Period], places: Mapping[Period, Entry], bad: Bads) -> Bad:
    entries = [places[period] for period in lacking if period in places]
    inodes = sorted({entry.inode for entry in entries if not sound(name, entry, bad)})
    reasons = [bad[name, inode] for inode in inodes if (name, inode) in bad]
    return Bad(
        start=increment.start,
        end=increment.end,
        name=name.decode(),
        inodes=tuple(sorted({(entry.inode[1], entry.mtime) for entry in entries if not sound(name, entry, bad)})),
        directories=tuple(sorted(layout.directory(period) for period in lacking)),
        reason=reasons[0] if reasons else "is no file or empty" if inodes else "is missing",
    )
