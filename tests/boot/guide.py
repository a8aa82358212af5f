"""The commands of docs/bare-metal.md, typed as they stand there, and the machines that they are about."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field

from tests.boot import tree
from tests.boot.machine import Console

TEXT = (tree.PROJECT / "docs/bare-metal.md").read_text()
PASSPHRASE = "of the archive"


@dataclass(frozen=True)
class Layout:
    """What a machine has for disks, as ``install.sh`` makes them.

    :ivar heading: of the section that makes them anew.
    :ivar network: it reaches the machine that it runs on as 10.0.2.2.
    :ivar asks: what it asks when it boots, and the answers, after it was restored.
    """

    name: str
    disks: int
    heading: str
    uefi: bool = False
    network: bool = False
    asks: dict[str, str] = field(default_factory=dict)

    def loads(self, command: str) -> bool:
        """Whether a command is not about the other way to boot."""
        return "grub-install" not in command or ("efi" in command) == self.uefi


BIOS = Layout("bios", 1, "### One disk, BIOS")
STACK = Layout("stack", 2, "### Two disks: RAID, LUKS, LVM, UEFI", uefi=True, asks={"unlock disk .*: ": "disk"})
LVM = Layout("lvm", 1, "### One disk: LVM, BIOS", network=True)

ANSWERS = {
    "(umask 077": [("passphrase: ", PASSPHRASE)],
    "cryptsetup luksFormat": [
        (r"capital letters\): ", "YES"),
        ("Enter passphrase for .*: ", "disk"),
        ("Verify passphrase: ", "disk"),
    ],
    "cryptsetup open": [("Enter passphrase for .*: ", "disk")],
}


def commands(heading: str) -> list[str]:
    """Return the commands below a heading, up to the next one; a line that ends in a backslash goes on."""
    section = re.split(r"^#", TEXT.split(f"\n{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]
    lines = "".join(block for block in blocks if "apt-get" not in block).replace("\\\n", "")
    return lines.splitlines()


def follow(console: Console, layout: Layout, *headings: str) -> str:
    """Type the commands of sections, one by one, and answer what they ask; return what they said."""
    said = ""
    for heading in headings:
        for command in commands(heading):
            if not layout.loads(command) or command == "systemctl poweroff":
                continue
            answers = next((found for start, found in ANSWERS.items() if command.startswith(start)), [])
            said += f"# {command}\n{console.run(command, answers)}"
    return said
