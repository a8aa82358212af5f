"""Makes an SSH key for a client, by OpenSSH's ``ssh-keygen``."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from cya.errors import CyaError, MissingProgram


def new_key(comment: str) -> tuple[bytes, bytes]:
    """Make an ed25519 key without a passphrase, because backups run unattended; return its private and its public file.

    :raises MissingProgram: when there is no ``ssh-keygen``.
    :raises CyaError: when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="cya-key-") as scratch:
        file = Path(scratch, "key")
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        except FileNotFoundError as error:
            raise MissingProgram("ssh-keygen is not installed: apt-get install openssh-client") from error
        if done.returncode != 0:
            raise CyaError(f"ssh-keygen cannot make a key: {done.stderr.decode(errors='replace').strip()}")
        return file.read_bytes(), file.with_suffix(".pub").read_bytes()
