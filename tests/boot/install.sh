#!/bin/sh
# Installs this system onto empty disks of a machine, as an administrator did years ago: install.sh LAYOUT
#
#   bios    one disk with a GPT: a place for GRUB, ext4, swap
#   lvm     one disk with a GPT: a place for GRUB, ext4 for /boot, LVM with room for snapshots
#   stack   two disks, UEFI: RAID 1 for /boot; RAID 1, LUKS, LVM for /, /home and swap; the passphrase is "disk"
set -eux
layout=$1

bios() {
    printf 'label: gpt\nsize=1M, type=21686148-6449-6E6F-744E-656564454649\nsize=1900M, type=L\ntype=S\n' | sfdisk /dev/sda
    udevadm settle
    mkfs.ext4 -q -L system /dev/sda2
    mkswap -L swap /dev/sda3
    mount /dev/sda2 /mnt
    copy
    cat > /mnt/etc/fstab <<END
UUID=$(blkid -o value -s UUID /dev/sda2) / ext4 errors=remount-ro 0 1
UUID=$(blkid -o value -s UUID /dev/sda3) none swap sw 0 0
END
    into_chroot
    chroot /mnt grub-install /dev/sda
    chroot /mnt update-grub
}

lvm() {
    printf 'label: gpt\nsize=1M, type=21686148-6449-6E6F-744E-656564454649\nsize=250M, type=L\ntype=V\n' |
        sfdisk /dev/sda
    udevadm settle
    pvcreate /dev/sda3
    vgcreate vg0 /dev/sda3
    lvcreate --yes -L 1600M -n root vg0
    lvcreate --yes -L 64M -n swap vg0
    lvcreate --yes -L 150M -n home vg0
    file_systems_of_vg0 /dev/sda2
    copy
    cat > /mnt/etc/fstab <<END
/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1
UUID=$(blkid -o value -s UUID /dev/sda2) /boot ext4 defaults 0 2
/dev/mapper/vg0-home /home ext4 defaults 0 2
/dev/mapper/vg0-swap none swap sw 0 0
END
    into_chroot
    chroot /mnt update-initramfs -u -k all  # with LVM
    chroot /mnt grub-install /dev/sda
    chroot /mnt update-grub
}

stack() {
    for disk in sda sdb; do
        printf 'label: gpt\nsize=64M, type=U\nsize=250M, type=R\ntype=R\n' | sfdisk /dev/$disk
    done
    udevadm settle
    mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --homehost=cyatest --name=0 /dev/sda2 /dev/sdb2
    mdadm --create /dev/md1 --run --level=1 --raid-devices=2 --homehost=cyatest --name=1 /dev/sda3 /dev/sdb3
    printf disk | cryptsetup luksFormat --batch-mode --type luks2 --key-file - /dev/md1
    printf disk | cryptsetup open --key-file - /dev/md1 main_crypt
    pvcreate /dev/mapper/main_crypt
    vgcreate vg0 /dev/mapper/main_crypt
    lvcreate --yes -L 1500M -n root vg0
    lvcreate --yes -L 64M -n swap vg0
    lvcreate --yes -L 100M -n home vg0
    mkfs.vfat -F 32 -n EFI /dev/sda1
    file_systems_of_vg0 /dev/md0
    mkdir -p /mnt/boot/efi
    mount /dev/sda1 /mnt/boot/efi
    copy
    cat > /mnt/etc/fstab <<END
/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1
UUID=$(blkid -o value -s UUID /dev/md0) /boot ext4 defaults 0 2
UUID=$(blkid -o value -s UUID /dev/sda1) /boot/efi vfat umask=0077 0 2
/dev/mapper/vg0-home /home ext4 defaults 0 2
/dev/mapper/vg0-swap none swap sw 0 0
END
    echo "main_crypt UUID=$(blkid -o value -s UUID /dev/md1) none luks" > /mnt/etc/crypttab
    printf 'HOMEHOST <system>\nMAILADDR root\n' > /mnt/etc/mdadm/mdadm.conf
    mdadm --detail --scan >> /mnt/etc/mdadm/mdadm.conf
    into_chroot
    chroot /mnt update-initramfs -u -k all  # with what LUKS and RAID need
    chroot /mnt grub-install --target=x86_64-efi --efi-directory=/boot/efi
    chroot /mnt update-grub
}

file_systems_of_vg0() {  # the device of /boot
    mkfs.ext4 -q -L boot "$1"
    mkfs.ext4 -q -L root /dev/vg0/root
    mkfs.ext4 -q -L home /dev/vg0/home
    mkswap -L swap /dev/vg0/swap
    mount /dev/vg0/root /mnt
    mkdir -p /mnt/home /mnt/boot
    mount /dev/vg0/home /mnt/home
    mount "$1" /mnt/boot
}

copy() {
    rsync -aHAXx / /mnt/
    : > /mnt/etc/machine-id
}

into_chroot() {
    for each in dev proc sys run; do mount --rbind --make-rslave /$each /mnt/$each; done
}

$layout
umount --recursive /mnt
