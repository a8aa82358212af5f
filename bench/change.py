"""Changes about 1 % of a tree, always the same, and takes that back exactly: contents, inodes, and mtimes.

What is to be changed is moved aside and a changed copy put in its place; of a large file only the parts that change are
kept. A journal is written before anything is touched, so that a run that was killed is taken back by the next one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LARGE = 32 << 20
"""A file from this size on is changed in place."""
_PAGE = 8192


@dataclass(frozen=True)
class Change:
    """What has been changed, for people to read: numbers of files."""

    rewritten: int
    appended: int
    new: int
    deleted: int
    patched: int


def apply(tree: Path, kept: Path, share: float = 0.01, seed: int = 1, spared: Path | None = None) -> Change:
    """Change a tree.

    Of ``share`` of the files a half is rewritten, and a quarter each gets something appended or is deleted; as many as
    are deleted are new. In the largest file 64 KiB in the middle change. In a tree of large files alone, ``share`` of
    the pages of each second one are written, here and there, and the last one grows by ``share``.

    :param kept: a directory of its own on the same file system, for what is needed to take it back; without it the
        change stays, and the next one comes on top of it.
    :param seed: another one makes another change, always the same.
    :param spared: a file that stays as it is.
    :raises OSError: when a file cannot be changed; :func:`undo` takes back what was.
    """
    undo(tree, kept)
    files = sorted((Path(top, name) for top, _, names in os.walk(tree) for name in names), key=os.fsencode)
    files = [file for file in files if not file.is_symlink()]
    sizes = {file: file.stat().st_size for file in files}
    chosen = random.Random(seed)
    largest = max(files, key=sizes.__getitem__)
    small = [file for file in files if sizes[file] < _LARGE and file not in (largest, spared)]
    picked = chosen.sample(small, round(share * len(small)))
    quarter = (len(picked) + 2) // 4
    deleted, appended, rewritten = picked[:quarter], picked[quarter : 2 * quarter], picked[2 * quarter :]
    new = [file.with_name(f"{file.name}.new") for file in deleted]
    spots = {largest: [(sizes[largest] // 2, min(64 << 10, sizes[largest] - sizes[largest] // 2))]}
    grows = {}
    if not small:
        for file in files[::2]:
            pages = range(sizes[file] // _PAGE)
            spots[file] = [(_PAGE * page, _PAGE) for page in chosen.sample(pages, round(share * len(pages)))]
        grows[files[-1]] = round(share * sizes[files[-1]])
    _write_journal(tree, kept, moved=picked, new=new, patched={**{file: [] for file in grows}, **spots})
    for number, file in enumerate(picked):
        os.rename(file, kept / str(number))
        if file not in deleted:
            shutil.copy2(kept / str(number), file)
            with file.open("ab" if file in appended else "wb") as opened:
                opened.write(chosen.randbytes(200 if file in appended else sizes[file] or 100))
    for file in new:
        file.write_bytes(chosen.randbytes(min(sizes[file.with_suffix("")], _LARGE)))
    for file, parts in spots.items():
        with file.open("r+b") as opened:
            for offset, length in parts:
                opened.seek(offset)
                opened.write(chosen.randbytes(length))
    for file, length in grows.items():
        with file.open("ab") as opened:
            opened.write(chosen.randbytes(length))
    return Change(len(rewritten), len(appended), len(new), len(deleted), len({*spots, *grows}))


def undo(tree: Path, kept: Path) -> None:
    """Take a change back, whole or half done; nothing to do where there was none."""
    journal = kept / "journal.json"
    if not journal.exists():
        return
    noted: dict[str, Any] = json.loads(journal.read_text())
    for number, name in enumerate(noted["moved"]):
        if (kept / str(number)).exists():
            os.replace(kept / str(number), tree / name)
    for name in noted["new"]:
        (tree / name).unlink(missing_ok=True)
    for number, patched in enumerate(noted["patched"]):
        file, parts = tree / patched["name"], kept / f"patched{number}"
        with file.open("r+b") as opened, parts.open("rb") as old:
            for offset, length in patched["spots"]:
                opened.seek(offset)
                opened.write(old.read(length))
            opened.truncate(patched["size"])
        os.utime(file, ns=(patched["mtime"], patched["mtime"]))
    for name, mtime in noted["directories"].items():
        os.utime(tree / name, ns=(mtime, mtime))
    journal.unlink()
    shutil.rmtree(kept)


def _write_journal(
    tree: Path, kept: Path, *, moved: list[Path], new: list[Path], patched: dict[Path, list[tuple[int, int]]]
) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    noted = []
    for number, (file, spots) in enumerate(patched.items()):
        with file.open("rb") as opened, (kept / f"patched{number}").open("wb") as parts:
            for offset, length in spots:
                opened.seek(offset)
                parts.write(opened.read(length))
        found = file.stat()
        noted.append({"name": _name(file, tree), "spots": spots, "size": found.st_size, "mtime": found.st_mtime_ns})
    journal = {
        "moved": [_name(file, tree) for file in moved],
        "new": [_name(file, tree) for file in new],
        "patched": noted,
        "directories": {_name(top, tree): top.stat().st_mtime_ns for top in {file.parent for file in (*moved, *new)}},
    }
    (kept / "journal.new").write_text(json.dumps(journal))
    os.rename(kept / "journal.new", kept / "journal.json")


def _name(file: Path, tree: Path) -> str:
    return str(file.relative_to(tree))
