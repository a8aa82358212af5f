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

TEXT = (Path(__file__).parents[2] / "docs/walkthrough.md").read_text()

PRIVATE = """
mount --make-rprivate /
for place in /srv /root /var/cache /run /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs $place; done
mkdir -p {scratch}/etc && cp -a /etc/. {scratch}/etc && mount --bind {scratch}/etc /etc
mkdir -p /etc/cron.d && rm -rf /etc/cya
ln -s {cya} /usr/local/bin/cya
clean_up() {{
    code=$?
    ip netns pids archive 2>/dev/null | xargs -r kill
    ip netns delete archive; ip netns delete web1
    exit $code
}}
trap 'set +e; clean_up 2>/dev/null' EXIT
"""
"""What keeps the walkthrough from this machine: directories of its own in place of those that it writes into."""


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
    script = f"set -euo pipefail\n{PRIVATE.format(scratch=tmp_path, cya=cya)}\nset -x\n{commands()}"
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
    assert listed == ["full", "full", "inc", "inc"], said
    assert said.count("Permission denied") == 4, said
