"""Run by the Python of duplicity 3.2.1, not by ours: says what duplicity selects. See stock_selection.py."""

import io
import json
import os
import sys

from duplicity import cli_util, log, selection  # type: ignore[import-not-found]
from duplicity.path import Path  # type: ignore[import-not-found]


def selected(root: str, options: list[str], lines: str) -> list[str]:
    words = [tuple((option + "=").split("=", 1)) for option in options]
    select = selection.Select(Path(os.fsencode(root)))
    files = [io.StringIO(lines)] if any(word[0] == "--exclude-filelist" for word in words) else []
    cli_util.parse_selection_args(select, [(name, value[:-1]) for name, value in words], files)
    return [os.fsdecode(b"\0".join(path.index)) for path in select.set_iter()]


log.setup()
log.setverbosity(log.ERROR)
for line in sys.stdin:
    print(json.dumps(selected(**json.loads(line))), flush=True)
