"""docs/walkthrough.md is run as it stands there: each command of it, in order, in network namespaces of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs/walkthrough.md").read_text()

PRIVATE = """
mount --make-rprivate /
mkdir -p {scratch}/project {scratch}/etc && mount --bind {project} {scratch}/project
for place in /srv /root /var/cache /run /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs $place; done
mkdir -p {project} && mount --bind {scratch}/project {project}
cp -a /etc/. {scratch}/etc && mount --bind {scratch}/etc /etc
mkdir -p /etc/cron.d && rm -rf /etc/cya
ln -s {cya} /usr/local/bin/cya
clean_up() {{
    ip netns pids archive 2>/dev/null | xargs -r kill
    ip netns delete archive; ip netns delete web1
    exit $1
}}
trap 'code=$?; set +e; clean_up $code 2>/dev/null' EXIT
"""
"""Directories of its own in place of those that it writes into; the project stays, wherever it lies."""


def commands() -> str:
    """All commands but those that set the machine up, which the tests' own set-up has done."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", TEXT, re.MULTILINE)
    return "\n".join(textwrap.dedent(block) for block in blocks if "tools/set-up" not in block)


def skip_unless_possible() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: makes namespaces and users, and starts sshd")
    missing = [name for name in ("ip", "sshd") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")


def test_the_walkthrough_works_as_it_is_written(tmp_path: Path) -> None:
    skip_unless_possible()
    cya = Path(sys.executable).with_name("cya")
    script = f"set -euo pipefail\n{PRIVATE.format(scratch=tmp_path, project=PROJECT, cya=cya)}\nset -x\n{commands()}"
    done = subprocess.run(
        ["unshare", "--mount", "--uts", "bash", "-c", script],
        env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    listed = re.findall(r"^\S+ +(full|inc)\b", done.stdout, re.MULTILINE)
    assert listed == ["full", "full", "inc", "full", "inc", "inc"], said
    assert said.count("Permission denied") == 4, said
