#!/bin/sh
# Gives a machine what backups lose: users, ACLs, capabilities, attributes, hard links, flags, holes, times, sockets.
set -eu
useradd --create-home --uid 2001 anna
useradd --create-home --uid 2002 --shell /bin/bash bert
groupadd --gid 3000 staff2
mkdir -p /srv/shared /srv/flags /srv/links/below
cp /bin/true /srv/netadmin
setcap cap_net_admin,cap_net_raw+ep /srv/netadmin
chown anna:staff2 /srv/shared
chmod 2770 /srv/shared
setfacl -m u:bert:rwx,d:u:bert:rwx,d:g:staff2:r-x /srv/shared
echo secret > /srv/shared/file
setfacl -m u:2002:r--,g:3000:--- /srv/shared/file
setfattr -n user.origin -v "a value" /srv/shared/file
setfattr -n trusted.cya -v 0x00ff0a /srv/shared
echo linked > /srv/links/one
ln /srv/links/one /srv/links/two
ln /srv/links/one /srv/links/below/three
chown bert /srv/links/one
ln -s one /srv/links/symbolic
touch -h -d '2001-02-03 04:05:06.789012345 UTC' /srv/links/symbolic /srv/links/one
touch -d '1965-01-01 00:00:00.5 UTC' /srv/shared/file
(umask 026 && mkfifo /srv/links/fifo)  # -m needs /proc
(umask 066 && mknod /srv/links/null c 1 3)
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/srv/links/socket")'
echo note > /srv/flags/nodump
chattr +d /srv/flags/nodump
echo kept > /srv/flags/immutable
chattr +i /srv/flags/immutable
truncate -s 50M /srv/sparse
printf data | dd of=/srv/sparse bs=1 seek=20000000 conv=notrunc status=none
