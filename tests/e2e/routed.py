"""A network of the tests' own: a client behind a router, in network namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.sftp_host import ArchiveHost


@contextmanager
def routed(archive: ArchiveHost) -> Iterator[tuple[list[str], str]]:
    """Have a network with a router between client and archive.

    Yields what runs a command on the client's side, and the archive's address there. The router is ``cyatest-PID``.
    """
    name, net = f"cyt{os.getpid()}", f"10.{os.getpid() % 100 + 100}"
    router, far = f"{name}r", f"{name}c"

    if shutil.which("ip") is None:
        pytest.skip("not installed: ip (Debian's package iproute2)")

    def ip(*words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no networks of one's own here: ip {' '.join(words)}: {done.stderr.strip()}")

    try:
        for each in (router, far):
            ip("netns", "add", each)
            ip("-n", each, "link", "set", "lo", "up")
        ip("link", "add", f"{name}0", "type", "veth", "peer", "name", "cya1", "netns", router)
        ip("-n", router, "link", "add", "cya2", "type", "veth", "peer", "name", "cya3", "netns", far)
        for place, device, address in (
            ([], f"{name}0", f"{net}.1.1/24"),
            (["-n", router], "cya1", f"{net}.1.2/24"),
            (["-n", router], "cya2", f"{net}.2.1/24"),
            (["-n", far], "cya3", f"{net}.2.2/24"),
        ):
            ip(*place, "addr", "add", address, "dev", device)
            ip(*place, "link", "set", device, "up")
        ip("route", "add", f"{net}.2.0/24", "via", f"{net}.1.2")
        ip("-n", far, "route", "add", "default", "via", f"{net}.2.1")
        forward(router, "1")
        yield ["ip", "netns", "exec", far], f"{net}.1.1"
    finally:
        for each in (router, far):
            subprocess.run(["ip", "netns", "del", each], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{name}0"], check=False, capture_output=True)


def forward(router: str, value: str) -> None:
    """Have a router forward packets, or drop them without a word."""
    script = f"mount -t proc proc /proc && echo {value} > /proc/sys/net/ipv4/ip_forward"
    subprocess.run(["ip", "netns", "exec", router, "unshare", "-m", "sh", "-c", script], check=True)
