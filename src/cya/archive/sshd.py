"""The archive's own sshd: its config, host key, clients' keys, and its systemd unit. The system's sshd is not touched.

In ``sshd_dir``, all of it root's::

    sshd_config            0644  the same for any number of clients: they come and go without a restart
    ssh_host_ed25519_key   0600  made once; clients pin it
    keys/NAME              0644  one line: the client's public key. sshd reads it as that user
    cya-sshd.service       0644  the unit
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from cya.archive import programs
from cya.archive.directories import opened
from cya.archive.users import GROUP
from cya.config.archive import ArchiveConfig
from cya.durable import sync_dir, write_file
from cya.errors import ArchiveError, UsageError

CONFIG, HOST_KEY, KEYS, UNIT = "sshd_config", "ssh_host_ed25519_key", "keys", "cya-sshd.service"
_RESTRICT = "restrict "
"""No forwarding and no terminal, whatever sshd_config allows; see sshd(8)."""
PID_FILE = Path("/run/cya-sshd.pid")
PRIVSEP = Path("/run/sshd")
"""Where Debian's sshd puts its unprivileged part; it is compiled in, and shared with the system's sshd."""
CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE")
"""All that sshd needs of root's powers: become the client, in its chroot, and end its session. Debian's sshd gives up
where it may not write into the kernel's audit log."""

_DENIED = "symlink,hardlink,setstat,lsetstat,fsetstat,rmdir,mkdir,copy-data,users-groups-by-id"
"""Requests, as ``sftp-server -Q requests`` lists them."""
_TYPE = re.compile(
    r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com", re.ASCII
)
_SMALLEST_RSA = 2048

_SSHD_CONFIG = """\
# The archive's own sshd, for cya's clients and nothing else. `cya add-client` writes this file anew: do not edit it.
# All settings are global. A Match block would lift them for whomever it does not match.
Port {port}
PidFile {pid_file}
HostKey {dir}/{host_key}
LogLevel VERBOSE
UseDNS no

# Who: members of the group that also have a key file. Without the group, or without the file: nobody.
AllowGroups {group}
PermitRootLogin no
AuthenticationMethods publickey
PubkeyAuthentication yes
AuthorizedKeysFile {dir}/{keys}/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
UsePAM no
RequiredRSASize {rsa}
StrictModes yes
LoginGraceTime 30
MaxAuthTries 6
MaxStartups 20:30:100

# What: files of the client's own root, by SFTP.
ChrootDirectory %h
Subsystem sftp internal-sftp
ForceCommand internal-sftp -u 0077 -P {denied}
DisableForwarding yes
PermitTunnel no
PermitTTY no
PermitUserRC no
PermitUserEnvironment no
MaxSessions 4
Compression no
ClientAliveInterval 60
ClientAliveCountMax 5
"""

_SERVICE = """\
# Written by `cya add-client`; changes belong into: systemctl edit {unit}
[Unit]
Description=SSH server for the clients of cya
Documentation=man:sshd(8)
After=network.target ssh.service

[Service]
Type=exec
ExecStartPre={sshd} -t -f {dir}/sshd_config
ExecStart={sshd} -D -f {dir}/sshd_config
ExecReload={sshd} -t -f {dir}/sshd_config
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={base} /run
{home}PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


def config_text(config: ArchiveConfig) -> str:
    """Return the sshd_config."""
    return _SSHD_CONFIG.format(
        port=config.sshd_port,
        pid_file=PID_FILE,
        dir=config.sshd_dir,
        host_key=HOST_KEY,
        keys=KEYS,
        group=GROUP,
        rsa=_SMALLEST_RSA,
        denied=_DENIED,
    )


def unit_text(config: ArchiveConfig) -> str:
    """Return the systemd unit. It is hidden from homes, unless the archive is kept in one."""
    in_home = any(Path(config.base).is_relative_to(place) for place in ("/home", "/root", "/run/user"))
    return _SERVICE.format(
        unit=UNIT,
        sshd=_sshd(),
        dir=config.sshd_dir,
        base=config.base,
        capabilities=" ".join(CAPABILITIES),
        home="" if in_home else "ProtectHome=yes\n",
    )


def public_key(text: str) -> str:
    """Check a client's public key; return it as a line ``TYPE BASE64 COMMENT``.

    :raises UsageError: when it is not exactly one key, of a type and size that will do, without options.
    """
    if "PRIVATE KEY" in text:
        raise UsageError("--key: this is a private key, which must stay on the client; give the file that ends in .pub")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        raise UsageError(f"--key: expected one line with one public key, found {len(lines)} lines")
    line = " ".join(lines[0].split())
    if not line.isprintable():
        raise UsageError("--key: there are characters in it that cannot be printed; give the client's .pub file")
    if not _TYPE.fullmatch(line.split(" ")[0]):
        raise UsageError(
            "--key: expected a public key such as 'ssh-ed25519 AAAA… name', without options before it, found "
            f"{line[:60]!r}"
        )
    bits = _fingerprint(line).split(" ")[0]
    if line.startswith("ssh-rsa ") and int(bits) < _SMALLEST_RSA:
        raise UsageError(f"--key: an RSA key of {bits} bits is too weak; make a new one: ssh-keygen -t ed25519")
    return line


def _fingerprint(line: str) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="cya-key-", encoding="utf-8") as file:
        file.write(f"{line}\n")
        file.flush()
        try:
            return programs.run("ssh-keygen", "openssh-client", ["-l", "-f", file.name], "--key").strip()
        except ArchiveError as error:
            raise UsageError("--key: ssh-keygen does not take this for a public key; was it cut off?") from error


def write(config: ArchiveConfig) -> bool:
    """Write sshd's directory, make its host key where there is none, and let sshd check its config.

    :returns: whether anything is new that a running sshd has to be told.
    :raises ArchiveError: when the files cannot be written, or sshd does not take them.
    """
    place = Path(config.sshd_dir)
    for directory in (place, place / KEYS):
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chown(directory, 0, 0)
        directory.chmod(0o755)
    new = _make_host_key(place / HOST_KEY)
    with opened(place) as fd:
        for name, text in ((CONFIG, config_text(config)), (UNIT, unit_text(config))):
            new |= not (place / name).is_file() or (place / name).read_text() != text
            write_file(name, text.encode(), dir_fd=fd, mode=0o644)
    PRIVSEP.mkdir(mode=0o755, exist_ok=True)
    programs.run("sshd", "openssh-server", ["-t", "-f", f"{place}/{CONFIG}"], "sshd does not take its config")
    return new


def _make_host_key(key: Path) -> bool:
    """Make the host key unless it is there, whole or not at all."""
    if key.exists():
        os.chown(key, 0, 0)
        key.chmod(0o600)
        return False
    with tempfile.TemporaryDirectory(dir=key.parent, prefix=".new-") as temporary:
        new = Path(temporary) / "key"
        arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "cya archive", "-f", str(new)]
        programs.run("ssh-keygen", "openssh-client", arguments, "cannot make sshd's host key")
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.rename(key)
    sync_dir(str(key.parent))
    return True


def host_key(config: ArchiveConfig) -> str:
    """Return the public host key, ``ssh-ed25519 BASE64``."""
    arguments = ["-y", "-f", f"{config.sshd_dir}/{HOST_KEY}"]
    line = programs.run("ssh-keygen", "openssh-client", arguments, "cannot read sshd's host key")
    return " ".join(line.split()[:2])


def host_fingerprint(config: ArchiveConfig) -> str:
    """Return the host key's fingerprint, ``SHA256:…``, as ssh shows it."""
    return _fingerprint(host_key(config)).split(" ")[1]


def known_hosts_line(config: ArchiveConfig, host: str) -> str:
    """Return the line for a client's ``known_hosts``."""
    shown = host if config.sshd_port == 22 else f"[{host}]:{config.sshd_port}"
    return f"{shown} {host_key(config)}"


def authorize(config: ArchiveConfig, name: str, key: str) -> None:
    """Let a client in with this key, and with no other any more."""
    with opened(Path(config.sshd_dir) / KEYS) as fd:
        write_file(name, f"{_RESTRICT}{key}\n".encode(), dir_fd=fd, mode=0o644)


def authorized(config: ArchiveConfig, name: str) -> str | None:
    """Return the key by which a client is let in; None: there is none."""
    try:
        return Path(config.sshd_dir, KEYS, name).read_text(encoding="utf-8").strip().removeprefix(_RESTRICT)
    except FileNotFoundError:
        return None


def revoke(config: ArchiveConfig, name: str) -> bool:
    """Take a client's key away; return whether there was one."""
    try:
        with opened(Path(config.sshd_dir) / KEYS) as fd:
            os.unlink(name, dir_fd=fd)
            os.fsync(fd)
    except FileNotFoundError:
        return False
    return True


def activate(config: ArchiveConfig, *, new: bool) -> str | None:
    """Have systemd run sshd now and at every boot; return what is left to be run by hand where there is no systemd.

    :param new: whether a running sshd has to read its config again.
    """
    path = f"{config.sshd_dir}/{CONFIG}"
    if Path("/run/systemd/system").is_dir():
        doing = f"cannot start {UNIT}"
        programs.run("systemctl", "systemd", ["enable", f"{config.sshd_dir}/{UNIT}"], doing)
        programs.run("systemctl", "systemd", ["daemon-reload"], doing)
        programs.run("systemctl", "systemd", ["reload-or-restart" if new else "start", UNIT], doing)
        return None
    with suppress(OSError, ValueError):
        os.kill(int(PID_FILE.read_text()), 0)
        return f"kill -HUP $(cat {PID_FILE})" if new else None
    return f"install -d -m 755 {PRIVSEP} && {_sshd()} -f {path}"


def _sshd() -> str:
    return programs.find("sshd", "openssh-server")
