"""Measures cya: ``python -m bench``, with sizes that take some minutes, or ``python -m bench WHAT --help``.

engine   what cya costs on top of stock duplicity
fleet    what a collect of many roots costs
snapshots what a snapshot costs those who write beside it; as root, in a virtual machine
peers    the native engine beside duplicity, borg and restic; hours with the tree of a million files
restores restoring beside them
decade   ten years of daily backups; an hour or two
kept     what each tool keeps of a tree with everything that is easily lost; as root
report   the page of what the last three measured, once more
"""

from __future__ import annotations

import argparse
import signal

from bench import decade, engine, fleet, keeping_what, peers, report, restores, snapshots

BENCHES = {
    "engine": engine,
    "fleet": fleet,
    "peers": peers,
    "restores": restores,
    "decade": decade,
    "kept": keeping_what,
    "snapshots": snapshots,
    "report": report,
}


_LONG = ("decade", "kept", "snapshots")
"""Is run only when it is named."""


def main() -> None:
    """Run the bench that is named, or all that take some minutes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is mounted is unmounted
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="bench", metavar="WHAT")
    parsers = {}
    for name, bench in BENCHES.items():
        parsers[name] = verbs.add_parser(name, help=(bench.__doc__ or "").splitlines()[0])
        bench.add_arguments(parsers[name])
    chosen = parser.parse_args()
    for name in [chosen.bench] if chosen.bench else [name for name in BENCHES if name not in _LONG]:
        BENCHES[name].run(chosen if chosen.bench else parsers[name].parse_args([]))


if __name__ == "__main__":
    main()
