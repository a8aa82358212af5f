"""A machine that boots: qemu without KVM, and its serial console, on which commands are typed and answered."""

from __future__ import annotations

import base64
import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OVMF = Path("/usr/share/OVMF")
PASSWORD = "boot"
_BOOT = 900.0
"""Seconds. Without KVM on a busy machine it takes 25 to 60; with nothing to do, a boot that hangs costs only time."""
_COMMAND = 1800.0
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


@dataclass(frozen=True)
class Disk:
    """A disk in a file.

    :ivar scratch: what is written to it is thrown away.
    :ivar bus: ``scsi`` (sda, sdb, …) or ``virtio`` (vda, vdb, …), named in the order of the disks.
    """

    file: Path
    bus: str = "scsi"
    scratch: bool = False


class Console:
    """What is typed on the serial console of a running machine, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._seen = b""

    def expect(self, pattern: str, patience: float = _COMMAND) -> re.Match[bytes]:
        """Wait for a pattern, in seconds; what was said up to its end counts as read.

        :raises AssertionError: when it does not come, with the last of what was said.
        """
        wanted = re.compile(pattern.encode(), re.MULTILINE)
        until = time.monotonic() + patience
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (found := wanted.search(self._seen)) is None:
                ready = selector.select(max(0.0, until - time.monotonic()))
                data = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
                with self._log.open("ab") as log:
                    log.write(data)
                assert data, f"{pattern!r} did not come within {patience:g} s; last:\n{self._last()}"
                self._seen = _ESCAPES.sub(b"", self._seen + data)
        self._seen = self._seen[found.end() :]
        return found

    def type(self, text: str) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def log_in(self, answers: Mapping[str, str] | None = None) -> None:
        """Wait for the machine to boot, and log in as root.

        :param answers: to what it asks before: the passphrase of a disk.
        """
        for question, answer in (answers or {}).items():
            self.expect(question, _BOOT)
            self.type(answer)
        self.expect(r"login: ", _BOOT)
        self.type("root")
        self.expect(r"Password: ", _BOOT)
        self.type(PASSWORD)
        self.expect(r"[#$] $", _BOOT)
        # No echo, no colours, no prompt: what comes is what the commands say.
        self.type("stty -echo; export TERM=dumb; dmesg --console-off; exec env PS1= PS2= /bin/sh")
        self.type("echo rea''dy")
        self.expect("^ready\n")

    def run(
        self, command: str, answers: Sequence[tuple[str, str]] = (), *, fails: bool = False, patience: float = _COMMAND
    ) -> str:
        """Run a command in the machine's shell, which keeps its variables and functions; return what it said.

        :param answers: questions that it asks, and the answers.
        :param fails: whether it may fail.
        """
        packed = base64.b64encode(command.encode()).decode()
        self.type("said=")
        for at in range(0, len(packed), 900):  # a terminal takes lines of 4095 bytes at most
            self.type(f"said=${{said}}{packed[at : at + 900]}")
        self.type('eval "$(echo "$said" | base64 -d)"; echo "<<$?"">>"')
        heard = ""
        for question, answer in answers:
            found = self.expect(f"(?s)^(.*?)({question})")
            heard += found[0].decode(errors="replace")
            self.type(answer)
        found = self.expect(r"(?s)^(.*?)<<(\d+)>>\n", patience)
        heard += found[1].decode(errors="replace")
        assert fails or found[2] == b"0", f"{command}\nfailed with exit code {int(found[2])}:\n{heard}"
        return heard

    def power_off(self) -> None:
        """Shut the machine down in order."""
        self.type("systemctl poweroff")
        with self._log.open("ab") as log:
            log.write(self._process.communicate(timeout=_BOOT)[0])

    def _last(self) -> str:
        return self._seen[-3000:].decode(errors="replace")


@contextmanager
def running(
    disks: Sequence[Disk],
    log: Path,
    uefi: Path | None = None,
    kernel: Path | None = None,
    initrd: Path | None = None,
    *,
    network: bool = False,
) -> Iterator[Console]:
    """Run a machine; it is ended whatever happens.

    :param log: all that comes over the serial console.
    :param uefi: the file with its UEFI variables, which is made if it is not there; None for a BIOS.
    :param network: it has one, in which this machine's loopback is 10.0.2.2.
    :param kernel: boots this with the first disk as its root, instead of what the disks hold: a rescue system.
    """
    # fmt: off
    command = [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024",
        "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
        "-nic", "user,model=virtio-net-pci" if network else "none",
        "-device", "virtio-scsi-pci",
    ]
    # fmt: on
    for number, disk in enumerate(disks):
        scratch = "on" if disk.scratch else "off"
        command += ["-drive", f"file={disk.file},format=raw,if=none,id=d{number},snapshot={scratch},cache=unsafe"]
        command += ["-device", f"{'scsi-hd' if disk.bus == 'scsi' else 'virtio-blk-pci'},drive=d{number}"]
    if uefi is not None:
        if not uefi.exists():
            uefi.write_bytes((OVMF / "OVMF_VARS_4M.fd").read_bytes())
        command += ["-machine", "q35"]
        command += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF / 'OVMF_CODE_4M.fd'}"]
        command += ["-drive", f"if=pflash,format=raw,file={uefi}"]
    if kernel is not None:
        command += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", "root=/dev/vda rw console=ttyS0 quiet"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield Console(process, log)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
