"""Runs borg many times without loading its Python anew each time: a fork of one process that has loaded it.

Run by borg's own interpreter, without anything of this project: it reads lines of JSON, each a list of arguments, runs
borg in a child with them, and answers each with its exit code in a line. What borg prints goes to stderr.
"""

import json
import os
import sys


def main() -> None:
    """Answer until there are no more lines."""
    from borg import archiver  # type: ignore[import-not-found,unused-ignore]

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.argv = ["borg", *json.loads(line)]
            archiver.main()
            os._exit(3)  # not reached: it exits by itself
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
