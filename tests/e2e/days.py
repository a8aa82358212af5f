"""Files of a host that live: every day some change, come, go, are renamed, or become something else."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path


def begin(top: Path) -> None:
    """Files of many kinds."""
    for name in ("etc", "home/a b", "home/ünïcode", "var/log"):
        (top / name).mkdir(parents=True)
    (top / "etc/passwd").write_text("root:x:0:0\n")
    (top / "etc/shadow").write_text("secret\n")
    (top / "etc/shadow").chmod(0o600)
    (top / "home/a b/new\nline").write_bytes(b"\x00\xff" * 999)
    (top / "home/ünïcode/empty").touch()
    os.close(os.open(os.fsencode(top) + b"/home/\xff\xfe", os.O_CREAT | os.O_WRONLY))
    (top / "etc/mtab").symlink_to("../proc/mounts")
    (top / "home/dangling").symlink_to("nowhere")
    os.mkfifo(top / "var/pipe")
    (top / "var/log/syslog").write_bytes(random.Random(0).randbytes(150_000))
    (top / "var/sticky").mkdir(mode=0o1777)
    (top / "var/sticky").chmod(0o1777)


def live(top: Path, day: int) -> None:
    """One day."""
    chance = random.Random(day)
    with (top / "var/log/syslog").open("ab") as log:
        log.write(chance.randbytes(2000))
    with (top / "var/log/syslog").open("r+b") as log:
        log.seek(chance.randrange(100_000))
        log.write(chance.randbytes(10))
    # Duplicity sees a change by the whole second of mtime, and simulated days take less than that.
    os.utime(top / "var/log/syslog", (1_580_000_000 + day, 1_580_000_000 + day))
    (top / f"home/day {day}").write_bytes(chance.randbytes(chance.randrange(5000)))
    files = sorted(path for path in (top / "home").glob("day *") if path.is_file() and not path.is_symlink())
    chance.choice(files).chmod(chance.choice([0o600, 0o644, 0o755, 0o400]))
    if day % 3 == 2:
        files.pop(chance.randrange(len(files))).unlink()
    if day % 4 == 1:
        files[0].rename(files[0].with_name(f"renamed {day}"))
    if day % 5 == 0:
        target = top / "home" / f"turns {day // 10}"
        if target.is_symlink():
            target.unlink()
            target.mkdir()
        elif target.is_dir():
            shutil.rmtree(target)
            target.write_text("a file now")
        else:
            target.unlink(missing_ok=True)
            target.symlink_to(f"day {day}")
    for path in (top / "home/a b", top / "etc/passwd"):
        if day % 6 == 0:
            os.utime(path, (1_500_000_000 + day, 1_500_000_000 + day))
