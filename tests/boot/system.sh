#!/bin/sh
# Makes a whole Debian in a directory, from the mirror that this machine's apt uses.
#
#   system.sh DIRECTORY     as root; some minutes, and 600 MB
set -eu
tree=$1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
packages="linux-image-cloud-amd64 initramfs-tools systemd-sysv udev dbus kmod zstd cpio cron less
    grub2-common grub-pc-bin grub-efi-amd64-bin efibootmgr fdisk e2fsprogs dosfstools lvm2 mdadm cryptsetup
    cryptsetup-initramfs openssh-server iproute2 iputils-ping libcap2-bin acl attr rsync perl
    python3 duplicity gnupg librsync2 tzdata"

# shellcheck disable=SC2016,SC2046  # apt-get's own names; three words
set -- $(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' |
    awk '$3 == "main" { print; exit }')
debootstrap --variant=minbase "$2" "$tree" "$1"
printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d"  # nothing is started in the chroot
chmod 755 "$tree/usr/sbin/policy-rc.d"
mkdir -p "$tree/etc/initramfs-tools/conf.d"
echo 'COMPRESSLEVEL=1' > "$tree/etc/initramfs-tools/conf.d/fast"  # zstd -19 takes many minutes without KVM
# shellcheck disable=SC2016,SC2086  # the inner shell's; a list of words
unshare --mount sh -eu -c '
    mount --make-rprivate /
    tree=$1
    shift
    mount -t proc proc "$tree/proc"
    mount -t sysfs -o ro sysfs "$tree/sys"
    mount --bind /dev "$tree/dev"
    chroot "$tree" apt-get install -y --no-install-recommends "$@"
    chroot "$tree" apt-get clean
' sh "$tree" $packages
rm "$tree/usr/sbin/policy-rc.d"
rm -f "$tree"/etc/resolv.conf "$tree"/var/lib/apt/lists/*_* "$tree"/etc/ssh/ssh_host_*
chroot "$tree" ssh-keygen -A
echo cyatest > "$tree/etc/hostname"
echo root:boot | chroot "$tree" chpasswd
: > "$tree/etc/machine-id"  # made at the first boot
cat > "$tree/etc/default/grub" <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=ttyS0"
END
