"""The Unix user of a client on the archive host: no password, no shell, its root as home, a group of its own.

All of them are members of one more group, which gives no access to any file: the archive's sshd lets in nobody else.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

from cya.archive import programs
from cya.errors import ArchiveError, UsageError

GROUP = "cya-clients"
COMMENT = "cya client"
"""The user's comment in ``/etc/passwd``: with the home it tells our users from others."""

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}", re.ASCII)
_NO_PASSWORD = "*"  # noqa: S105
"""Not ``!``: without PAM, sshd takes that for a locked account and refuses the key, too."""
_PATIENCE = 10.0
"""Seconds that killed processes have to vanish."""


def require_root(verb: str) -> None:
    """Check that root runs this.

    :raises ArchiveError: when it does not.
    """
    if os.geteuid() != 0:
        raise ArchiveError(f"cya {verb}: makes and removes users and files of root; run it as root: sudo cya {verb} …")


def check_name(name: str) -> None:
    """Check a client's name: it becomes a user, a group, a directory and the name of a file.

    :raises UsageError: when it cannot be one.
    """
    if not _NAME.fullmatch(name) or name == GROUP:
        raise UsageError(
            f"{name!r} is not a name for a client: expected up to 31 of a-z, 0-9, _ and -, and a letter first"
        )


def find(name: str, home: Path) -> pwd.struct_passwd | None:
    """Return a client's user, None when there is none.

    :param home: the client's root.
    :raises ArchiveError: when a user or a group of this name is there and is not one that cya made for this root.
    """
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        if _is_group(name):
            raise ArchiveError(
                f"{name}: there is a group of this name already, without a user; give the client another name, or, "
                f"if nothing needs the group: groupdel {name}"
            ) from None
        return None
    if user.pw_uid == 0 or user.pw_gecos.split(",")[0] != COMMENT or user.pw_dir != str(home):
        raise ArchiveError(
            f"{name}: there is a user of this name already (uid {user.pw_uid}, home {user.pw_dir}) that cya has not "
            f"made for {home}; it is left alone: give the client another name"
        )
    return user


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def ensure(name: str, home: Path) -> pwd.struct_passwd:
    """Make a client's user, or put it right when it is there; return it.

    :raises ArchiveError: when it belongs to somebody else, or cannot be made.
    """
    if not _is_group(GROUP):
        programs.run("groupadd", "passwd", ["--system", GROUP], f"cannot make the group {GROUP}")
    shell = programs.find("nologin", "login")
    common = ["--shell", shell, "--password", _NO_PASSWORD, "--groups", GROUP]
    if find(name, home) is None:
        new = ["--system", "--user-group", "--no-create-home", "--home-dir", str(home), "--comment", COMMENT]
        programs.run("useradd", "passwd", [*new, *common, name], f"cannot make the user {name}")
    else:
        programs.run("usermod", "passwd", [*common, "--gid", name, name], f"cannot change the user {name}")
    user = find(name, home)
    if user is None:
        raise ArchiveError(f"{name}: useradd has made the user, but the system does not know it; look at nsswitch.conf")
    return user


def delete(name: str, user: pwd.struct_passwd) -> None:
    """End all that runs as a client's user, and remove the user and its group; its home is left.

    :raises ArchiveError: when that fails.
    """
    end_sessions(user.pw_uid)
    programs.run("userdel", "passwd", [name], f"cannot remove the user {name}")
    end_sessions(user.pw_uid)
    if _is_group(name):  # some systems' userdel leaves it
        programs.run("groupdel", "passwd", [name], f"cannot remove the group {name}")


def end_sessions(uid: int) -> None:
    """Kill every process of a user, and wait until none is left.

    :raises ArchiveError: when one does not end.
    """
    patience = time.monotonic() + _PATIENCE
    while found := [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if uid in _uids(pid)]:
        if time.monotonic() > patience:
            raise ArchiveError(f"process {found[0]} of uid {uid} does not end; look at it, and run this again")
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _uids(pid: int) -> tuple[int, ...]:
    """The real, effective, saved and file system uid of a process, none of a zombie. The owner of its /proc lies."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    except (OSError, ValueError):
        return ()
    return () if fields["State"].strip().startswith("Z") else tuple(map(int, fields["Uid"].split()))
