"""What every engine does, and the data that go in and come out.

An engine makes one increment on top of a served chain, lists a backup, and restores one. It knows nothing of the tree,
of the archive's states, or of the config file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from cya.metadata.gathered import Gathered
from cya.spool import Spool
from cya.supply import Supply


@dataclass(frozen=True)
class Encryption:
    """How files are encrypted: by a passphrase, to public keys, or not at all (both empty).

    :ivar passphrase: for symmetric encryption; with recipients, the passphrase of the secret key (for restoring).
    :ivar recipients: gpg key ids or fingerprints.
    :ivar sign_key: the gpg key by which files for recipients are signed, too; the passphrase is this one's then.
    :ivar former_sign_keys: those by which older files are signed.
    """

    passphrase: str | None = field(default=None, repr=False)
    recipients: tuple[str, ...] = ()
    sign_key: str | None = None
    former_sign_keys: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether files are encrypted at all."""
        return self.passphrase is not None or bool(self.recipients)

    @property
    def signers(self) -> tuple[str, ...]:
        """Keys by one of which whatever is read has to be signed; none: no signature is looked at."""
        return (self.sign_key, *self.former_sign_keys) if self.sign_key else ()


@dataclass(frozen=True)
class Selection:
    """What of the source is backed up.

    :ivar patterns: lines of Duplicity's ordered file-list syntax: the first that matches decides; a path that none
        matches is included. ``- PATTERN`` or ``PATTERN`` alone as in a list of excludes, ``+ PATTERN``.
    :ivar excluded: absolute paths that are always left out (the engine's own cache, a local archive).
    :ivar one_file_system: stay on the source's file system.
    :ivar exclude_caches: leave out directories that hold a ``CACHEDIR.TAG``.
    :ivar exclude_if_present: leave out directories that hold a file of one of these names.
    """

    patterns: tuple[str, ...] = ()
    excluded: tuple[Path, ...] = ()
    one_file_system: bool = False
    exclude_caches: bool = False
    exclude_if_present: tuple[str, ...] = ()


@dataclass(frozen=True)
class VirtualEntry:
    """An entry of a backup that the source does not have, or has otherwise.

    :ivar path: relative to the source's root. The directory in which it lies has to be there, or to be given, too.
    :ivar content: of a file: its bytes, a file that has them, or what opens them as a stream, of any length; None: it
        is a directory. It is stored only if it is another one than in the last backup.
    :ivar mtime: seconds since the epoch.
    """

    path: bytes
    content: bytes | Path | Callable[[], BinaryIO] | None
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    mtime: int = 0


@dataclass(frozen=True)
class BackupJob:
    """One increment to be made.

    :ivar source: the directory that is backed up, absolute. Of a symbolic link, what it points to; patterns may be
        written for either. It is what messages and the manifest name.
    :ivar view: where the source is to be read, in its place: a snapshot of it; absolute. None: it is read itself. Stock
        duplicity writes ``.dupext`` there.
    :ivar target: a directory with the sigtars and manifests of at most one chain, which is continued; the increment's
        files are written into it. Without a chain the increment is a full.
    :ivar now: the increment's end time, seconds since the epoch; later than the served chain's end.
    :ivar volume_size: MiB.
    :ivar full: make a full even on top of a chain; the chain need not be readable.
    :ivar spool: what takes finished volumes away; the sigtar and the manifest stay in the target in any case. None:
        all files stay there.
    :ivar virtual: entries that the source does not have. Only the native engine can add them.
    :ivar metadata: keep what the format cannot hold in the directory ``.dupext``: see :mod:`cya.metadata`.
    :ivar system: keep what the machine is like there, too.
    :ivar gathered: what the machine is like, if that has been found out already; else it is while the source is read.
    :ivar dry_run: only count. (Stock duplicity then counts files twice in ``SourceFiles``; ``NewFiles`` is right.)
    """

    source: Path
    target: Path
    now: int
    encryption: Encryption
    selection: Selection = Selection()
    volume_size: int = 200
    full: bool = False
    dry_run: bool = False
    virtual: tuple[VirtualEntry, ...] = ()
    spool: Spool | None = None
    metadata: bool = False
    system: bool = False
    view: Path | None = None
    gathered: Gathered | None = None

    @property
    def place(self) -> Path:
        """The directory that is read."""
        return self.view or self.source


LEAVABLE = ("acls", "xattrs", "flags", "sparse", "times")
"""What a restore may leave out, though the backup has it."""

Existing = Literal["refuse", "keep", "replace", "resume"]
"""What happens to what is at the destination already: the restore does not begin; it stays; it is overwritten, but
never a directory with something in it by what is none. Or a restore that was interrupted is brought to its end: it is
overwritten, but for what has type, size, owner, mode and time of what would replace it.

When something is overwritten, what looks so and was not changed since the backup stays, too, with its other names and
attributes. (An engine may replace that, too.)"""


@dataclass(frozen=True)
class RestoreJob:
    """One backup, or a part of it, to be restored.

    :ivar source: a directory of Duplicity files that holds exactly one chain, complete up to ``time``.
    :ivar destination: an existing directory. It becomes the source's root as it was; with ``paths``, it receives their
        entries at the same relative places (``etc/passwd`` is restored to ``destination/etc/passwd``).
    :ivar time: end time of the backup to restore, seconds since the epoch.
    :ivar paths: relative to the source's root, none within another; none restores everything.
    :ivar existing: what happens to what is there.
    :ivar numeric_owner: restore by uid and gid and not by name.
    :ivar without: what is not restored though ``.dupext`` has it: some of :data:`LEAVABLE`.
    :ivar supply: what brings the files of the chain here; ``source`` then only stands for them in messages. None: they
        lie in ``source``. Only an engine that :attr:`Engine.takes_supply` can use it.
    """

    source: Path
    destination: Path
    time: int
    encryption: Encryption
    paths: tuple[Path, ...] = ()
    existing: Existing = "refuse"
    numeric_owner: bool = False
    without: frozenset[str] = frozenset()
    supply: Supply | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is: ``done`` of ``total`` (0: not known yet) in ``unit``, ``files`` so far, a word for people."""

    done: int
    total: int = 0
    unit: Literal["bytes", "volumes"] = "bytes"
    files: int = 0
    note: str = ""


@dataclass(frozen=True)
class Lost:
    """A file that could not be read (or, restoring, written) as it should, and why.

    :ivar path: relative to the source's root, with surrogate escapes for bytes that are not UTF-8.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What a run did.

    :ivar kind: of the increment made, or None for a restore.
    :ivar start: start time of the increment (None: full, or a restore), seconds since the epoch.
    :ivar end: end time of the increment made or restored, seconds since the epoch.
    :ivar statistics: Duplicity's own counters, by their names there (``SourceFiles``, ``NewFiles``, …); times in
        seconds, sizes in bytes.
    :ivar lost: files that were left out or are incomplete.
    :ivar damaged: files of the chain that are missing or damaged, and how; what is lost with them is in ``lost``.
    :ivar notes: what is to be said once of many files.
    """

    kind: Literal["full", "inc"] | None
    start: int | None
    end: int
    statistics: dict[str, float] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()
    damaged: tuple[Lost, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A file, directory, link or device in a backup. ``path`` is relative to the source's root (``.`` is the root)."""

    path: bytes
    type: Literal["reg", "dir", "sym", "fifo", "sock", "chr", "blk"]
    mtime: int


Watcher = Callable[[Progress], None]


class Engine(Protocol):
    """Makes and reads increments. All methods block; Ctrl-C ends them with nothing of theirs left running."""

    name: str
    restores_damaged: bool
    """Whether it restores what is left of a chain of which files are missing or damaged."""
    takes_supply: bool
    """Whether it can restore from files that are brought here while it works."""

    def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
        """Make one increment.

        Files that cannot be read are left out and named in the report. On an error, and on Ctrl-C, nothing of the
        increment is left in the target; after kill -9 there may be some of its files. An increment without its manifest
        is never whole.

        :raises MissingProgram: when a program that is needed is not installed.
        :raises ConfigError: for a pattern, a passphrase or a volume size that cannot work.
        :raises ClockError: when the served chain ends at or after ``job.now``, or the engine knows no such year.
        :raises IntegrityError: when the served chain is not whole.
        :raises DecryptionFailed: when the served chain has to be decrypted, and cannot be.
        :raises EngineError: when no backup could be made.
        """

    def entries(self, source: Path, time: int, encryption: Encryption) -> Iterator[Entry]:
        """List what is in the backup that ends at ``time``, from the signatures in ``source``; waits for no backup.

        :raises NotInBackup: when no backup ends at ``time``.
        :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
        """

    def restore(self, job: RestoreJob, watch: Watcher | None = None) -> Report:
        """Restore a backup or some paths of it. It waits for no backup, and writes nowhere but at the destination.

        What is at the destination and not in the backup stays in any case. A report of ``damaged`` files is made only
        by an engine that :attr:`restores_damaged`.

        :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
        :raises NotInBackup: when no backup ends at ``job.time``, or it holds nothing of ``job.paths``.
        :raises EngineError: when something is in the way and ``job.existing`` is "refuse".
        :raises IntegrityError: when a file of the chain is missing or damaged.
        """

    def forget_partial(self, served: Sequence[bytes]) -> None:
        """Drop what a killed run left in the engine's own places, so that the next run starts over.

        :param served: names of the files of the served chain; what is known of those is kept.
        """
