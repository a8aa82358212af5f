"""Measures cya: ``python -m bench``, with sizes that take some minutes, or ``python -m bench WHAT --help``.

engine   what cya costs on top of stock duplicity
fleet    what a collect of many roots costs
peers    the native engine beside duplicity, borg and restic; hours with the tree of a million files
report   the page of what peers measured, once more
"""

from __future__ import annotations

import argparse
import signal

from bench import engine, fleet, peers, report

BENCHES = {"engine": engine, "fleet": fleet, "peers": peers, "report": report}


def main() -> None:
    """Run the bench that is named, or all of them."""
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
    for name in [chosen.bench] if chosen.bench else BENCHES:
        BENCHES[name].run(chosen if chosen.bench else parsers[name].parse_args([]))


if __name__ == "__main__":
    main()
