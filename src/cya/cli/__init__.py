"""The command line: one verb, one file. They are put together in :mod:`cya.cli.app`."""

from __future__ import annotations

import sys

from cya.garbage import collect_seldom


def main() -> None:
    """Run ``cya`` and exit with the code that :mod:`cya.errors` gives for what happened."""
    collect_seldom()
    try:
        from cya.cli.app import app_for
        from cya.cli.run import run

        app = app_for(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(1)
    sys.exit(run(app))
