"""Restores one backup: looks what the increments say, decides what counts, brings all of it to the destination."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec

from cya.engine.native.reading import gaps, parts, runs, tasks
from cya.engine.native.reading.actions import Action
from cya.engine.native.reading.assemble import Group
from cya.engine.native.reading.crew import Crew
from cya.engine.native.reading.directories import dress
from cya.engine.native.reading.outcome import Ends, shortened
from cya.engine.native.reading.plan import Plan, actions_of
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.runs import RunWriter
from cya.engine.native.reading.scan_volume import Event
from cya.engine.native.reading.steps import Step, Volume
from cya.engine.native.reading.target import SAME, Target
from cya.errors import DecryptionFailed
from cya.format.tar_reader import Member
from cya.supply import Supply

_PER_TASK = 256
_SHORT = 1 << 23


class Restoring:
    """Restores one backup."""

    def __init__(
        self,
        steps: Sequence[Step],
        supply: Supply,
        crew: Crew,
        work: Path,
        wanted: Sequence[bytes],
        restored: Restored,
        watch: Callable[[Restored], None],
    ) -> None:
        """Take note of what there is.

        :param work: the working directory, on the destination's file system.
        :param wanted: keys; none for everything.
        :param restored: is filled.
        """
        self._steps, self._supply, self._crew, self._work = steps, supply, crew, work
        self._wanted, self._watch = wanted, watch
        self._plan = Plan(work, len(steps))
        self._volumes = [volume for step in steps for volume in step.volumes if volume.may_hold(wanted)]
        self._by_label = {volume.label: volume for volume in self._volumes}
        self._scanned: dict[Volume, list[str]] = {}
        self._ends: dict[int, dict[int, Ends]] = {}
        self._bad: dict[Volume, str] = {}
        self._halves: set[tuple[int, bytes]] = set()
        self._runs: list[str] = []
        # What a passphrase has opened once is damaged when it cannot be opened.
        self._opened = any(step.known and (step.files.manifest or b"").endswith(b".gpg") for step in steps)
        self._locked: str | None = next((step.locked for step in steps if step.locked), None)
        self._restored = restored

    def restore(self, target: Target, *, keep: bool, besides: Callable[[], list[Path]] = list) -> Member | None:
        """Restore; return what attributes the destination should have, once all is done.

        :param besides: makes what else there is when all files are there; returns runs of directories that it made.
        :raises DecryptionFailed: when nothing at all can be decrypted.
        :raises EngineError: when nothing can be written any more.
        """
        self._order()
        if len(self._steps) > 1 or not self._steps[0].known:
            self._look()
        self._extract()
        self._assemble()
        made = self._chosen("made") + besides()
        return dress(self._chosen("directories"), made, target, self._restored, keep=keep)

    def kept(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the keys of what was there, and stays, and whether it is as it would have been restored."""
        return ((key, mark == SAME) for key, mark in runs.merged(self._chosen("kept")))

    def _order(self) -> None:
        """Order the volumes as they will be needed: those that are looked into first, the rest after."""
        ordered = sorted(self._volumes, key=lambda volume: not self._is_scanned(volume))
        self._supply.order([volume.name for volume in ordered])

    def _is_scanned(self, volume: Volume) -> bool:
        return bool(volume.increment) or not self._steps[0].known

    def _look(self) -> None:
        """Look what the increments hold, and plan."""
        for task, answer in self._crew.do(self._scans()):
            if isinstance(answer, tasks.Done):
                volume = self._of(task)
                self._scanned[volume] = answer.runs
                if answer.ends is not None:
                    self._ends.setdefault(volume.increment, {})[volume.number] = answer.ends
            else:
                self._is_bad(self._of(task), answer)
        events: dict[int, list[Path]] = {}
        for volume, names in self._scanned.items():
            events.setdefault(volume.increment, []).extend(self._work / name for name in names)
        for step in self._steps:
            if step.number or not step.known:
                events.setdefault(step.number, []).extend(self._missing_events(step))
        self._plan.make(events)
        for key, _ in runs.read(self._plan.lost):
            self._lose(key)

    def _missing_events(self, step: Step) -> Iterator[Path]:
        """Yield runs of what happened in an increment to paths of which something is missing."""
        lost = set() if step.known else set(gaps.cut_off(step, self._ends.get(step.number, {})))
        if bad := self._bad_of(step):
            told = self._tell(step, bad, extract=False)
            if told is not None:
                yield from (self._work / name for name in told.runs)
            else:
                self._nameless(step, bad)
                lost |= gaps.alone(step, bad)
        writer = RunWriter(self._work / f"events-{step.number}-lost")
        for key in sorted(lost):
            writer.add(key, bytes([Event.LOST]))
        if (path := writer.close()) is not None:
            yield path

    def _bad_of(self, step: Step) -> list[Volume]:
        """Return the volumes of an increment that are missing or damaged; without manifest there may be others."""
        bad = [volume for volume in self._bad if volume.increment == step.number]
        return bad if step.known else [*bad, Volume(step.number, 0, step.files.manifest or b"a manifest")]

    def _scans(self) -> Iterator[tasks.AnyTask | None]:
        for volume in self._volumes:
            if self._is_scanned(volume):
                path = yield from self._path(volume)
                if path is not None:
                    yield tasks.Scan(
                        label=volume.label, path=os.fsencode(path), digest=volume.digest, index=volume.index
                    )

    def _extract(self) -> None:
        """Bring to the destination what counts; what has to be put together to the working directory."""
        for task, answer in self._crew.do(self._extracts()):
            volume = self._of(task)
            if isinstance(answer, tasks.Done):
                self._opened = True
                self._note(answer)
                self._runs += answer.runs
                self._watch(self._restored)
            else:
                self._is_bad(volume, answer)
            self._supply.release(volume.name)
        if self._locked and not self._opened:
            raise DecryptionFailed(self._locked)
        for step in self._steps:
            bad = self._bad_of(step)
            told = self._tell(step, bad, extract=True) if bad else None
            if told is not None:
                self._runs += told.runs
                reason = f"{gaps.named(bad)} damaged or missing"
                self._note(msgspec.structs.replace(told, lost=[(key, why or reason) for key, why in told.lost]))
            elif bad and step.known:
                self._nameless(step, bad)
                for key in gaps.alone(step, bad):
                    if actions_of(self._plan.actions(step.number), step.number).of(key) is not Action.SKIP:
                        self._lose(key)

    def _extracts(self) -> Iterator[tasks.AnyTask | None]:
        for volume in self._volumes:
            if volume in self._bad:
                continue
            path = yield from self._path(volume)
            if path is not None:
                run = self._plan.actions(volume.increment)
                yield tasks.Extract(
                    label=volume.label,
                    path=os.fsencode(path),
                    digest=volume.digest,
                    index=volume.index,
                    increment=volume.increment,
                    actions=run.name if run is not None else None,
                    proved=volume in self._scanned,
                )

    def _assemble(self) -> None:
        """Put together what has parts."""
        for _, answer in self._crew.do(self._assemblies()):
            if isinstance(answer, tasks.Done):
                self._note(answer)
                self._runs += answer.runs
                self._watch(self._restored)

    def _assemblies(self) -> Iterator[tasks.AnyTask]:
        groups: list[Group] = []
        size = number = 0
        for group in self._groups():
            groups.append(group)
            size += sum(part.where.length for part in group.parts)
            if len(groups) == _PER_TASK or size > _SHORT:
                yield tasks.Assemble(label=f"assemble-{number}", groups=groups)
                groups, size, number = [], 0, number + 1
        if groups:
            yield tasks.Assemble(label=f"assemble-{number}", groups=groups)

    def _groups(self) -> Iterator[Group]:
        """Yield the paths of which all parts are there."""
        expected = runs.read(self._plan.expected)
        awaited = next(expected, None)
        for key, found in groupby(runs.merged(self._chosen("parts")), key=itemgetter(0)):
            there = [parts.unpacked(value) for _, value in found]
            while awaited is not None and awaited[0] < key:
                self._lose(awaited[0])
                awaited = next(expected, None)
            of = {part.increment for part in there}
            if awaited is not None and awaited[0] == key:
                whole = of == set(msgspec.msgpack.decode(awaited[1], type=list[int]))
                awaited = next(expected, None)
            else:
                whole = len(of) == 1
            if not whole or any((number, key) in self._halves for number in of):
                self._lose(key)
            elif key not in self._restored.lost:
                yield Group(key, there)
        while awaited is not None:
            self._lose(awaited[0])
            awaited = next(expected, None)

    def _lose(self, key: bytes) -> None:
        self._restored.lost.setdefault(shortened(key), "something of it is missing in the archive")

    def _path(self, volume: Volume) -> Generator[None, None, Path | None]:
        """Return where a volume is; None when it is missing. Yields as long as it is on its way."""
        while (path := self._supply.path(volume.name)) is ...:
            yield None
        if path is None:
            self._is_bad(volume, tasks.Damaged("is missing", locked=False))
        return path

    def _tell(self, step: Step, bad: Sequence[Volume], *, extract: bool) -> tasks.Done | None:
        """Have the sigtar tell what volumes held that are not there; None where there is no sigtar that could."""
        path = self._supply.now(step.files.sigtar) if step.files.sigtar else None
        if path is None:
            return None
        run = self._plan.actions(step.number)
        scanned = [name for each, names in self._scanned.items() if each.increment == step.number for name in names]
        task = tasks.Missing(
            label=f"{step.number}-missing",
            path=os.fsencode(path),
            ranges=gaps.ranges_of(step, bad),
            increment=step.number,
            actions=run.name if run is not None else None,
            extract=extract,
            besides=[] if step.known else scanned,
        )
        for _, answer in self._crew.do([task]):
            if isinstance(answer, tasks.Done):
                return answer
            self._restored.damaged[path.name] = answer.reason
        return None

    def _is_bad(self, volume: Volume, answer: tasks.Damaged) -> None:
        self._supply.release(volume.name)
        self._bad[volume] = answer.reason
        self._restored.damaged[volume.name.decode()] = answer.reason
        if answer.locked:
            self._locked = self._locked or answer.reason

    def _nameless(self, step: Step, bad: Sequence[Volume]) -> None:
        """Take note that files are lost of which nobody knows the names."""
        self._halves.update((step.number, key) for key in gaps.borders(step, bad))
        self._restored.lost.update((shortened(key), words) for key, words in gaps.nameless(step, bad))

    def _note(self, answer: tasks.Done) -> None:
        restored = self._restored
        restored.files += answer.files
        restored.size += answer.size
        restored.kept += answer.kept
        restored.not_owned += answer.not_owned
        restored.add_unset(answer.unset)
        restored.seen.update(answer.seen)
        for key, reason in answer.lost:
            restored.lost.setdefault(key, reason)

    def _chosen(self, kind: str) -> list[Path]:
        return [self._work / name for name in self._runs if name.startswith(f"{kind}-")]

    def _of(self, task: tasks.AnyTask) -> Volume:
        return self._by_label[task.label]
