"""The environment that duplicity and its gpg see: made from nothing, so that ours cannot harm them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cya.errors import ConfigError

_STANDARD_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def clean(
    temporary: Path,
    passphrase: str | None = None,
    gnupg_home: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Return a small environment.

    * ``PATH`` without our virtual environment (a duplicity that begins with ``env python3`` would run in it), with the
      standard directories added, which cron leaves out. ``PYTHON…`` and ``VIRTUAL_ENV`` are dropped, too.
    * ``C.UTF-8``: messages in English, file names in UTF-8. ``TZ=UTC``: times are printed and read in one zone.
    * ``GNUPGHOME`` as given, or ours; without it gpg looks below ``HOME``.
    * ``PASSPHRASE`` always: duplicity would ask for it otherwise. It can be read by this user and root only, unlike
      the command line. Empty it means none.

    :raises ConfigError: when the passphrase cannot be handed over.
    """
    secret = passphrase or ""
    if any(character in secret for character in "\n\r\0"):
        raise ConfigError("the passphrase holds the end of a line, which gpg takes for its end; use one line")
    own = os.path.join(sys.prefix, "bin") if sys.prefix != sys.base_prefix else None
    path = [part for part in environ.get("PATH", "").split(":") if os.path.isabs(part) and part != own]
    path += [part for part in _STANDARD_PATH if part not in path]
    env = {
        "PATH": ":".join(path),
        "HOME": environ.get("HOME") or os.path.expanduser("~"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": str(temporary),
        "PYTHONWARNINGS": "ignore",
        "PASSPHRASE": secret,
    }
    home = str(gnupg_home) if gnupg_home is not None else environ.get("GNUPGHOME")
    if home:
        env["GNUPGHOME"] = home
    return env
