"""Stand-ins for ``lvs``, ``lvcreate``, ``lvremove``, ``zfs`` and ``mount -t zfs``: what they are asked for is done to a
file in JSON, and what they answer has the form of the real ones (recorded from LVM 2.03.16; ZFS as its manual says).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_HEADER = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.snapshot.standins import main
"""


class StandIns:
    """A directory with the programs and what they know.

    :ivar programs: to be put into the PATH.
    """

    def __init__(self, place: Path) -> None:
        self.programs, self._state = place / "programs", place / "state.json"
        self.programs.mkdir(parents=True)
        self.state = {"volumes": [], "snapshots": [], "sets": {}, "fails": {}, "log": []}

    @property
    def state(self) -> dict[str, Any]:
        """Logical volumes, ZFS snapshots, data sets and their directories, what fails, and what was asked for."""
        return json.loads(self._state.read_text())  # type: ignore[no-any-return]

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state.write_text(json.dumps(state))

    def change(self, **changes: Any) -> None:
        self.state = {**self.state, **changes}

    def install(self, *names: str) -> None:
        for name in names:
            program = self.programs / name
            program.write_text(f"{_HEADER}main({name!r}, {str(self._state)!r})\n")
            program.chmod(0o755)

    def volume(self, name: str, device: str, **more: Any) -> None:
        """Add a logical volume of the group vg0."""
        self.change(volumes=[*self.state["volumes"], {**_row(name, device), **more}])


def _row(name: str, device: str) -> dict[str, str]:
    major, _, minor = device.partition(":")
    return {
        "vg_name": "vg0",
        "lv_name": name,
        "lv_tags": "",
        "lv_path": f"/dev/vg0/{name}",
        "lv_size": str(1 << 30),
        "segtype": "linear",
        "pool_lv": "",
        "lv_kernel_major": major,
        "lv_kernel_minor": minor,
        "data_percent": "",
        "metadata_percent": "",
        "lv_snapshot_invalid": "-1",
    }


def main(name: str, state_file: str) -> None:
    """Be one of the programs."""
    file = Path(state_file)
    state = json.loads(file.read_text())
    words = sys.argv[1:]
    state["log"].append([name, *words])
    file.write_text(json.dumps(state))
    key = f"{name} {words[0]}" if name == "zfs" else name
    if state["fails"].get(key):
        told = state["fails"][key].pop(0)
        file.write_text(json.dumps(state))
        if told:
            sys.exit(told)
    {"lvs": _lvs, "lvcreate": _lvcreate, "lvremove": _lvremove, "zfs": _zfs, "mount": _mount, "findmnt": _findmnt}[
        name
    ](state, words)
    file.write_text(json.dumps(state))


def _lvs(state: dict[str, Any], words: list[str]) -> None:
    columns = words[words.index("--options") + 1].split(",")
    rows = [{column: row[column] for column in columns} for row in state["volumes"]]
    json.dump({"report": [{"lv": rows}]}, sys.stdout)


def _lvcreate(state: dict[str, Any], words: list[str]) -> None:
    value = {word: words[at + 1] for at, word in enumerate(words[:-1])}
    tags = [words[at + 1] for at, word in enumerate(words) if word == "--addtag"]
    origin = next(row for row in state["volumes"] if f"vg0/{row['lv_name']}" == words[-1])
    number = len(state["volumes"])
    row = {**_row(value["--name"], f"253:{number}"), "lv_tags": ",".join(tags), "segtype": origin["segtype"]}
    row |= {"pool_lv": origin["pool_lv"], "data_percent": "0.00", "lv_snapshot_invalid": "0"}
    state["volumes"].append(row)


def _lvremove(state: dict[str, Any], words: list[str]) -> None:
    state["volumes"] = [row for row in state["volumes"] if f"vg0/{row['lv_name']}" != words[-1]]


def _zfs(state: dict[str, Any], words: list[str]) -> None:
    if words[0] == "snapshot":
        mark = words[words.index("-o") + 1].removeprefix("cya:owner=")
        for name in words[3:]:
            copy = Path(state["place"]) / name.replace("/", "_")
            subprocess.run(["cp", "-a", state["sets"][name.partition("@")[0]], copy], check=True)
            state["snapshots"].append([name, mark, str(copy)])
    elif words[0] == "destroy":
        if words[1] not in [name for name, _, _ in state["snapshots"]]:
            sys.exit(f"cannot destroy '{words[1]}': dataset does not exist")
        state["snapshots"] = [each for each in state["snapshots"] if each[0] != words[1]]
    else:
        for name, mark, _ in state["snapshots"]:
            print(f"{name}\t{mark or '-'}")


def _mount(state: dict[str, Any], words: list[str]) -> None:
    place = {name: copy for name, _, copy in state["snapshots"]}.get(words[-2])
    if place is not None and "zfs" in words:
        os.execv("/bin/mount", ["mount", "--bind", place, words[-1]])
    os.execv("/bin/mount", ["mount", *words])


def _findmnt(state: dict[str, Any], words: list[str]) -> None:
    said = json.loads(subprocess.run(["/bin/findmnt", *words], capture_output=True, check=True).stdout)
    names = {place: name for name, place in state["sets"].items()}
    for each in said["filesystems"]:
        if each["target"] in names:
            each |= {"fstype": "zfs", "source": names[each["target"]], "fsroot": "/", "maj:min": "0:99"}
    json.dump(said, sys.stdout)
