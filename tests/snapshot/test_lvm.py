"""LVM snapshots, classic and thin: the kernel here may have no device-mapper, so a virtual machine runs the tests."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.machine import guest

INSIDE = Path(__file__).with_name("lvm_in_guest.py")


@pytest.mark.long
@guest.needed
def test_lvm_in_a_virtual_machine(tmp_path: Path) -> None:
    disks = [guest.empty_disk(tmp_path / "group", 2048), guest.empty_disk(tmp_path / "plain", 60)]
    pytest_command = shlex.join([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INSIDE)])
    command = f"cd {shlex.quote(str(INSIDE.parents[2]))} && {pytest_command} --durations=15"
    (tmp_path / "machine").mkdir()
    said = guest.run(command, tmp_path / "machine", disks, memory=1536)
    print(said.text)
    assert said.code == 0, said.text[-20_000:]
    assert " passed" in said.text
    assert " skipped" not in said.text
