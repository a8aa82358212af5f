#!/bin/sh
# Writes what has to be the same before and after into files of a directory: facts.sh DIRECTORY
# As root on the machine itself, or in a chroot.
set -eu
out=$1
mkdir -p "$out"
export LC_ALL=C
cd /
# Not compared: what lives while the machine runs, what is nobody's, and what the boot loader is made of anew.
left_out='-path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./var/tmp -o -path ./mnt
    -o -path ./media -o -path ./var/log -o -path ./var/cache -o -path ./var/lib/systemd -o -path ./var/lib/private
    -o -path ./root/.bash_history -o -path ./.dupext -o -name lost+found
    -o -path ./boot -o -path ./var/lib/initramfs-tools'
# shellcheck disable=SC2086  # a list of words
all() { find . \( $left_out \) -prune -o "$@"; }

dpkg --verify > "$out/dpkg-verify" 2>&1 || true
all -type f -print0 | xargs -0 getcap | sort > "$out/capabilities"
all -print0 | sort -z | xargs -0 getfacl --physical --numeric --skip-base > "$out/acls" 2>/dev/null
all -print0 | sort -z | xargs -0 getfattr --no-dereference --match=- --dump > "$out/attributes" 2>/dev/null
all -type f -links +1 -printf '%D-%i %n %p\n' | sort |
    awk '{ if ($1 != last) { if (names) print count names; names = ""; last = $1 } count = $2; names = names " " $3 }
         END { print count names }' | sort > "$out/hard-links"
# Type, mode, owner, size, time with nanoseconds; of directories no size.
all ! -type d -printf '%y %m %U:%G %n %s %T@ %p -> %l\n' -o -type d -printf '%y %m %U:%G %T@ %p\n' |
    sort -k 7 > "$out/files"
all -type f -print0 | sort -z | xargs -0 md5sum > "$out/contents"
lsattr -d /srv/flags/* > "$out/flags"
python3 - > "$out/sparse" <<'END'
import os

fd = os.open("/srv/sparse", os.O_RDONLY)
data = os.lseek(fd, 0, os.SEEK_DATA)
print(os.fstat(fd).st_size, data, os.lseek(fd, data, os.SEEK_HOLE))
END
getent passwd > "$out/users"
[ -d /run/systemd/system ] || exit 0  # a tree, not a machine
swapon --show=TYPE,LABEL,UUID --noheadings > "$out/swap"
findmnt --real --list --noheadings --output TARGET,FSTYPE,UUID | grep -v ' /tmp' | sort > "$out/mounts"
systemctl list-unit-files --no-legend | sort > "$out/units"
