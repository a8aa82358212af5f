"""Takes a client in on the archive host, and lets it go: its Unix user, its root, its key for the archive's sshd.

Both can be stopped anywhere and run again: what is there is put right, what is missing is made.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath

import msgspec

from cya import clock
from cya.archive import lent, sshd, users
from cya.archive.collect import collect
from cya.archive.directories import exists, make, opened, remove
from cya.archive.init import init_archive
from cya.archive.return_loan import end
from cya.archive.root import DIRECTORY_MODES, open_root, told
from cya.config import root as root_config
from cya.config.archive import ArchiveConfig
from cya.config.root import RootConfig
from cya.durable import lock, write_file
from cya.errors import ArchiveError, ConfigError, CyaError
from cya.tree import layout

RESERVE, RESERVE_INODES = 1024, 10_000
"""What new clients leave free, in MiB and inodes: one that fills the disk must not stop the archive's own work."""


@dataclass(frozen=True)
class Added:
    """A client that can upload now.

    :ivar start: the command that starts sshd, or makes it read its config again, where systemd does not; else None.
    """

    root: Path
    start: str | None


@dataclass(frozen=True)
class Gone:
    """What a removal left.

    :ivar known: whether there was anything of this name.
    :ivar kept: where the backups are; None when there are none any more.
    """

    known: bool
    kept: Path | None


def add_client(name: str, key: str, config: ArchiveConfig, now: datetime) -> Added:
    """Make a client's user and root, serve its first upload, and let it in with its key, the only one from now on.

    :param key: a public key, as it stands in a ``.pub`` file.
    :raises UsageError: when the name or the key will not do.
    :raises ConfigError: when no pattern of ``roots`` stands for the new root, which then nobody would collect.
    :raises ArchiveError: when a user or root of that name is somebody else's, or a directory is open to others.
    """
    users.check_name(name)
    line = sshd.public_key(key)
    users.require_root("add-client")
    root = _root(name, config)
    if not any(PurePath(config.base, name).match(pattern) for pattern in config.roots):
        raise ConfigError(f"{config.path}: roots: none of them stands for {config.base}/{name}; add {config.base}/*")
    _check_parents(root, "sshd shuts nobody into a directory below it")
    _check_parents(Path(config.sshd_dir, sshd.KEYS), "sshd takes no keys from below it", searched=True)
    with _one_at_a_time(config), told(root):
        users.find(name, root)
        _check_free(name, root)
        Path(config.base).mkdir(mode=0o755, parents=True, exist_ok=True)
        _check_parents(root, "sshd shuts nobody into a directory below it")
        user = users.ensure(name, root)
        if (root / layout.BACKUPS).exists():
            _repair(root, user)
        else:
            init_archive(root, RootConfig(user=name, reserve=RESERVE, reserve_inodes=RESERVE_INODES))
        new = sshd.write(config)
        sshd.authorize(config, name, line)  # before all that a full disk could stop: a stolen key must go at once
        start = sshd.activate(config, new=new)
        collect(root, now)
        return Added(root, start)


def remove_client(name: str, config: ArchiveConfig, now: datetime, *, delete_backups: bool = False) -> Gone:
    """Let a client in no more, end what it has open, commit what it had finished, and remove its user.

    Backups are kept, unless there are none. Without the user the root is the archive's own: ``collect`` goes on to
    find it in order.

    :raises ArchiveError: when the user of that name is somebody else's, or the root is broken. Access is gone then.
    """
    users.check_name(name)
    users.require_root("remove-client")
    root = _root(name, config)
    with _one_at_a_time(config), told(root):
        user = users.find(name, root)
        known = sshd.revoke(config, name) or user is not None
        if user is not None:
            users.end_sessions(user.pw_uid)
        kept = None
        if (root / layout.BACKUPS).is_dir():
            ours = root_config.load(root).user == name
            if not ours and not (root / layout.STATE / layout.REMOVED).exists():
                raise ArchiveError(
                    f"{root}: is no client's root (user in its cya.toml is not {name}); it is left alone"
                )
            known = True
            kept = _let_go(root, user, now, delete_backups=delete_backups)
        if user is not None:
            users.delete(name, user)
        return Gone(known, kept)


def _let_go(root: Path, user: pwd.struct_passwd | None, now: datetime, *, delete_backups: bool) -> Path | None:
    if user is not None and not delete_backups:
        try:
            collect(root, now, serving=False)
        except CyaError as error:
            error.add_note(f"{user.pw_name} has no access any more; remove the cause, and run this again")
            raise
    with open_root(root) as opened_root:
        if not delete_backups and any(files for _, _, files in os.walk(root / layout.BACKUPS)):
            text = root_config.dump(msgspec.structs.replace(opened_root.config, user=None))
            write_file(layout.REMOVED, f"{clock.iso(now)}\n".encode(), dir_fd=opened_root.state)
            write_file(root_config.FILE, text, dir_fd=opened_root.top, mode=0o644)
            _give_next(opened_root.incoming, 0, 0)
            for loan in lent.known(opened_root):
                end(opened_root, loan, "the client is removed", int(now.timestamp()))
            return root
        with opened(root.parent) as base:
            remove(root.name, base)
        return None


def _root(name: str, config: ArchiveConfig) -> Path:
    # sshd checks the parents of the path that it is given, and follows links: it gets one without links.
    return Path(config.base).resolve() / name


@contextmanager
def _one_at_a_time(config: ArchiveConfig) -> Iterator[None]:
    place = Path(config.sshd_dir)
    with told(place):
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        with lock(str(place / "lock"), f"{place}: another run adds or removes a client"):
            yield


def _check_parents(path: Path, consequence: str, *, searched: bool = False) -> None:
    """Check the directories above a path, as far as they are there, as sshd does.

    :raises ArchiveError: for the first that is not root's, or that others may write; or, with ``searched``, that they
        may not pass through.
    """
    for parent in reversed(path.parents):
        if not parent.exists():
            return
        found = parent.stat()
        if found.st_uid != 0:
            raise ArchiveError(f"{parent}: belongs to uid {found.st_uid}: {consequence}; run: chown root {parent}")
        if found.st_mode & 0o022:
            shown = f"{stat.S_IMODE(found.st_mode):04o}"
            raise ArchiveError(
                f"{parent}: group or others may write it (mode {shown}): {consequence}; run: chmod go-w {parent}, or "
                "choose another place in the archive's config"
            )
        if searched and not found.st_mode & 0o001:
            raise ArchiveError(f"{parent}: others may not pass through it: {consequence}; run: chmod o+x {parent}")


def _check_free(name: str, root: Path) -> None:
    """Check that a root is not there yet, or is this client's.

    :raises ArchiveError: when it is somebody else's.
    """
    if not (root / layout.BACKUPS).is_dir():
        return
    if (uid := root.lstat().st_uid) != 0:
        raise ArchiveError(f"{root}: is a root of the user with uid {uid}; move it away, or choose another name")
    config = root_config.load(root)
    if config.handover != "marker":
        raise ArchiveError(f"{root}: is an archive of 2012 (handover in its cya.toml); add-client cannot take it over")
    if config.user != name and not (config.user is None and (root / layout.STATE / layout.REMOVED).exists()):
        whose = f"the client of the user {config.user}" if config.user else "whoever runs the archive"
        raise ArchiveError(f"{root}: is a root of {whose}; to hand it over, set user in its cya.toml to {name!r}")


def _repair(root: Path, user: pwd.struct_passwd) -> None:
    """Put owners and modes right, and give a root that is kept from earlier to the client again."""
    with opened(root) as top:
        os.fchown(top, 0, 0)
        os.fchmod(top, 0o755)
        for directory, mode in DIRECTORY_MODES.items():
            make(directory, top, mode)
        for entry in (*DIRECTORY_MODES, root_config.FILE):
            os.chown(entry, 0, 0, dir_fd=top, follow_symlinks=False)
    with open_root(root) as it:
        if it.config.user is None:
            text = root_config.dump(msgspec.structs.replace(it.config, user=user.pw_name))
            write_file(root_config.FILE, text, dir_fd=it.top, mode=0o644)
        _give_next(it.incoming, user.pw_uid, user.pw_gid)
        for _, _, names, fd in os.fwalk(layout.BACKUPS, dir_fd=it.top):
            for name in names:  # served sigtars and manifests are read by the client's group, which may be a new one
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and (found.st_uid, found.st_gid) != (0, user.pw_gid):
                    os.chown(name, 0, user.pw_gid, dir_fd=fd, follow_symlinks=False)
        remove(layout.REMOVED, it.state)


def _give_next(incoming: int, uid: int, gid: int) -> None:
    if exists(layout.NEXT, incoming):
        with opened(layout.NEXT, incoming) as fd:
            os.fchown(fd, uid, gid)
            os.fchmod(fd, 0o700)
