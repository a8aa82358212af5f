"""Turns what ``sftp`` and ``ssh`` say at the end of a failed run into our errors: what may pass, and what cannot.

``sftp`` ends with 255 when there is no connection (any more), and with 1 at the first line of a batch that fails.
"""

from __future__ import annotations

from cya.errors import ArchiveError
from cya.transport.account import Account

_HOST_KEY = "Host key verification failed"
_CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"
_DENIED = ("Permission denied (", "Too many authentication failures", "No more authentication methods")
_CONFIG = ("Bad configuration option", "Bad owner or permissions", "terminating,", "unsupported option", "command-line")
_NO_SFTP = ("subsystem request failed", "Received message too long", "allows sftp connections only")
_NO_ROOM = ("Failure", "No space left on device", "Disk quota exceeded", "Quota exceeded")
_NOISE = ("Connection closed", "lost connection", "Warning: Permanently added")


class Broken(ArchiveError):
    """There is no connection (any more): this may pass."""


class Refused(ArchiveError):
    """The archive did not do what a line of a batch asks for.

    :ivar line: that line.
    :ivar missing: whether a file or directory is not there.
    """

    def __init__(self, message: str, line: str, *, missing: bool) -> None:
        super().__init__(message)
        self.line, self.missing = line, missing


def explain(account: Account, returncode: int, output: bytes, said: bytes) -> ArchiveError:
    """Return the error to raise.

    :param output: what sftp printed: the lines of the batch that it came to.
    :param said: its standard error.
    """
    text = said.decode("utf-8", "backslashreplace")
    lines = ["".join(c if c.isprintable() else "?" for c in line.strip()) for line in text.splitlines()]
    telling = [line for line in lines if line and not line.rstrip(".").startswith(_NOISE)]
    reason = (telling or [line for line in lines if line] or ["it did not say why"])[-1][:300]
    error = _connection(account, text, reason) if returncode == 255 else _batch(account, output, reason, returncode)
    error.details = text.strip()
    return error


def _connection(account: Account, text: str, reason: str) -> ArchiveError:
    place, settings = account.address, account.settings
    if _HOST_KEY in text:
        return ArchiveError(f"{place}: {_about_host_key(account, text)}")
    if any(sign in text for sign in _DENIED):
        key = settings.identity_file or "any key that ssh found"
        return ArchiveError(
            f"{place}: the archive does not let {place.user} in with {key}; on the archive host run: "
            f"cya add-client {place.user} --key '…' with the public key of this one"
        )
    if any(sign in text for sign in _CONFIG):
        return ArchiveError(f"{place}: ssh does not take its settings: {reason}; see [sftp] options, and ~/.ssh/config")
    if any(sign in text for sign in _NO_SFTP):
        return ArchiveError(f"{place}: this is no archive: no SFTP is spoken there ({reason}); is the port right?")
    hint = ""
    if "resolve hostname" in text:
        hint = "; is the name right?"
    elif "refused" in text:
        hint = "; does the archive's sshd run there, and is the port right? (cya add-client prints it)"
    return Broken(f"{place}: no connection: {reason}{hint}")


def _about_host_key(account: Account, text: str) -> str:
    pinned = account.settings.host_key is not None
    if _CHANGED in text or pinned:
        where = "host_key in [sftp]" if pinned else "~/.ssh/known_hosts"
        return (
            f"the host there has another key than {where} says: it may be somebody who poses as the archive. "
            f"Nothing was sent. Ask the archive's admin for its key (cya add-client prints it), and put that there"
        )
    return (
        "the archive's host key is not known here; put the line host_key = … that cya add-client prints on the "
        "archive host into [sftp] of the config"
    )


def _batch(account: Account, output: bytes, reason: str, returncode: int) -> ArchiveError:
    place = account.address
    shown = [line[6:] for line in output.decode("ascii", "replace").splitlines() if line.startswith("sftp> ")]
    line = shown[-1].strip() if shown else ""
    verb = line.lstrip("@-").partition(" ")[0]
    if returncode < 0:
        return Broken(f"{place}: sftp was ended by signal {-returncode}")
    missing = "No such file" in reason or "not found" in reason
    if verb == "put" and ("dest open" in reason or "write remote" in reason) and reason.endswith(_NO_ROOM):
        return Refused(
            f"{place}: the archive cannot store more: most likely its disk is full, or what this client may use of it "
            f"({reason}); make room there. The next run starts over",
            line,
            missing=False,
        )
    if verb == "get" and "No space left" in reason:
        return Refused(f"{account.home}: no space left for the served chain; make room there", line, missing=False)
    return Refused(f"{place}: the archive refused: {line}: {reason}", line, missing=missing)
