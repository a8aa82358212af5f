"""ACLs, extended attributes, and capabilities."""

from __future__ import annotations

import os
import stat
import struct
import subprocess

from tests.awkward.setting import directory, node, set_acl, set_xattrs, write

LABEL = b"system_u:object_r:etc_t:s0\0"
"""What SELinux would have; it ends in a zero byte there, too."""
_VALUES = {
    b"empty": b"",
    b"text": b"some text",
    b"quotes": b"a \"quoted\" value, 'single' and \\backslash\\012",
    b"lines": b"one\ntwo\r\n\nthree\n",
    b"zero at its end": b"text\0",
    b"looks encoded": b"0sAAAA",
    b"looks like hex": b"0x4142",
    b"not UTF-8": b"\xff\xfe\x80",
    b"binary": bytes(range(256)),
    b"zeros": bytes(100),
    b"hash": b"# file: other\nuser.fake=1",
}
_NAMES = [b"with space", b"new\nline", b"a=b", b"=", b"#hash", b'"', b"\\012", b"\xc3\xbc", b"\xff", b"a.b.c", b"%41"]
_NAMES += [b"x" * 250, b"\t", b"\\", b"carriage\rreturn", b"d\x7f"]
_MANY = ",".join(["u::rw-", *(f"u:{uid}:r--" for uid in range(1000, 1040)), "g::r--", "m::r--", "o::---"])


def make(top: bytes) -> None:
    """Make ``acl``, ``xattrs`` and ``capabilities`` below a directory."""
    _acls(top + b"/acl")
    _xattrs(top + b"/xattrs")
    _capabilities(top + b"/capabilities")


def make_own(top: bytes) -> None:
    """Give a directory attributes. What lies in it was made before: so it has no ACL in spite of the default one."""
    set_acl(top, "u::rwx,u:1001:r-x,g::r-x,m::r-x,o::r-x", default="u::rwx,u:1001:rwx,g::r-x,m::rwx,o::---")
    set_xattrs(top, user_top=b"of the top", trusted_top=b"\0\1", security_selinux=LABEL)


def _acls(top: bytes) -> None:
    directory(top)
    set_acl(write(top + b"/user"), "u::rw-,u:1000:rw-,g::r--,m::rw-,o::r--")
    set_acl(write(top + b"/masked"), "u::rwx,u:1000:rwx,u:1001:-wx,g::rwx,g:2000:rwx,m::r--,o::---")
    set_acl(write(top + b"/masked all"), "u::rwx,u:1000:rwx,g::r-x,m::---,o::---")
    set_acl(write(top + b"/many"), _MANY)
    set_acl(write(top + b"/large numbers"), "u::rw-,u:3000000000:r--,g::r--,g:4294967294:r--,m::r--,o::---")
    set_acl(write(top + b"/setuid", mode=0o6755), "u::rwx,u:1000:r-x,g::r-x,m::rwx,o::r-x")
    set_acl(write(top + b"/no mode", mode=0), "u::---,u:1000:r--,g::---,m::---,o::---")
    for name, kind in ((b"fifo", stat.S_IFIFO), (b"device", stat.S_IFCHR), (b"socket", stat.S_IFSOCK)):
        set_acl(node(top + b"/" + name, kind, device=(1, 3)), "u::rw-,u:1000:rw-,g::r--,m::rw-,o::---")
    nested = directory(top + b"/default")
    set_acl(nested, "u::rwx,g::r-x,g:2000:rwx,m::rwx,o::---", default="u::rwx,u:1000:rwx,g::r-x,m::rwx,o::---")
    for inner in (nested + b"/inherits", nested + b"/inherits/too"):
        os.mkdir(inner, 0o750)
        os.close(os.open(inner + b"/file", os.O_CREAT | os.O_WRONLY, 0o640))
        os.mkfifo(inner + b"/fifo", 0o600)
    other = directory(nested + b"/other")
    set_acl(other, "", default="u::rwx,u:1002:r--,g::---,m::r--,o::---")
    os.removexattr(directory(nested + b"/no default"), "system.posix_acl_default")
    os.removexattr(write(nested + b"/no access"), "system.posix_acl_access")
    set_acl(directory(top + b"/default of base only"), "", default="u::rwx,g::r-x,o::---")
    write(top + b"/default of base only/file")
    set_acl(directory(top + b"/sticky default", 0o3777), "", default="u::rwx,g::rwx,g:2000:rwx,m::rwx,o::---")


def _xattrs(top: bytes) -> None:
    directory(top)
    for name, value in _VALUES.items():
        path = write(top + b"/value " + name)
        for space in (b"user", b"trusted", b"security"):
            os.setxattr(path, space + b".value", value)
    for number, name in enumerate(_NAMES):
        os.setxattr(write(b"%b/name %02d" % (top, number)), b"user." + name, name)
        os.setxattr(b"%b/name %02d" % (top, number), b"trusted." + name[:240], b"")
    set_xattrs(write(top + b"/label"), security_selinux=LABEL, security_other=b"\0")
    set_xattrs(directory(top + b"/directory"), user_a=b"1", trusted_b=b"2", security_selinux=LABEL)
    for target in (b"value text", b"nowhere"):
        os.symlink(target, link := top + b"/link to " + target)
        set_xattrs(link, trusted_link=b'of the "link"\n', security_selinux=LABEL)
    for name, kind in ((b"fifo", stat.S_IFIFO), (b"device", stat.S_IFBLK), (b"socket", stat.S_IFSOCK)):
        set_xattrs(node(top + b"/" + name, kind, device=(7, 200)), trusted_node=name, security_selinux=LABEL)
    for number in range(50):
        os.setxattr(write(top + b"/fifty") if not number else top + b"/fifty", f"user.{number}", b"%d" % number)
    _sixty_kilobytes(write(top + b"/sixty kilobytes"))


def _sixty_kilobytes(path: bytes) -> None:
    """One large value where the file system takes it, and the rest in smaller ones; btrfs takes a page of its tree."""
    try:
        os.setxattr(path, "user.large", bytes(n * n % 251 for n in range(40_000)))
    except OSError:
        for number in range(4):
            os.setxattr(path, f"user.part {number}", bytes(n * n % 241 for n in range(10_000)))
    for number in range(2):
        os.setxattr(path, f"user.medium {number}", bytes(n * n % 239 for n in range(10_000)))


def _capabilities(top: bytes) -> None:
    """``cap_chown`` and the others are of no use to anybody here; what counts is that a later chown removes them."""
    setcap("cap_net_raw+ep", write(top + b"/plain", b"#!", 0o755))
    path = write(top + b"/setuid of somebody", b"#!", 0o755)
    os.chown(path, 1234, 4321)
    os.chmod(path, 0o6755)
    setcap("cap_net_admin,cap_net_raw+eip", path)
    path = write(top + b"/of a group", b"#!", 0o750)
    os.chown(path, 0, 4321)
    setcap("cap_setuid+p", path)
    path = write(top + b"/with all", b"#!", 0o755)
    os.chown(path, 123456, 654321)
    set_acl(path, "u::rwx,u:1000:r-x,g::r-x,m::r-x,o::r-x")
    set_xattrs(path, user_a=b"1", security_selinux=LABEL)
    setcap("cap_sys_time+ei", path)
    path = write(top + b"/of a namespace", b"#!", 0o755)
    # vfs_ns_cap_data, revision 3, effective, of the namespace whose root is 100000 (linux/capability.h).
    os.setxattr(path, "security.capability", struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, 100_000))


def setcap(what: str, path: bytes) -> None:
    """Set capabilities as an administrator does."""
    subprocess.run(["setcap", what, path], check=True)
