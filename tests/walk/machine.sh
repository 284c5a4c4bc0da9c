#!/bin/bash
# A machine of its own for one page: its own mounts, processes and network, the folders that pages name empty, `edgekeep` on the PATH.
# Usage: unshare --mount --net --pid --fork --kill-child --mount-proc machine.sh FOLDER SCRIPT
# FOLDER is scratch space of this machine; SCRIPT is run by bash in FOLDER/home.
set -euo pipefail
folder=$1 script=$2
here=$(dirname "$(readlink -f "$0")")

ip link set lo up

# What is in /var/lib stays; /var/lib/edgekeep is new.
mkdir -p "$folder"/{varlib,home,bin,tmp}
mount --make-rprivate /
for entry in /var/lib/*; do
  if [ -d "$entry" ] && [ ! -L "$entry" ] && [ "$entry" != /var/lib/edgekeep ]; then
    mkdir "$folder/varlib/${entry##*/}"
    mount --rbind "$entry" "$folder/varlib/${entry##*/}"
  fi
done
mount --rbind "$folder/varlib" /var/lib
for place in /run /media /srv /opt /mnt; do
  mount -t tmpfs tmpfs "$place"
done
mkdir /opt/edgekeep
for entry in "$here"/../../*; do
  if [ -d "$entry" ]; then mkdir "/opt/edgekeep/${entry##*/}"; else : > "/opt/edgekeep/${entry##*/}"; fi
  mount --rbind "$entry" "/opt/edgekeep/${entry##*/}"
done
mkdir -p /var/lib/edgekeep /media/usb /media/root /media/root2 /media/carry
printf '127.0.0.1 localhost\n::1 localhost\n127.0.0.1 hub hub.example.net hub.plant.example\n' > "$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts

cp "$here/edgekeep.sh" "$folder/bin/edgekeep"
chmod 755 "$folder/bin/edgekeep"
export PATH="$folder/bin:$PATH" HOME="$folder/home" TMPDIR="$folder/tmp" MACHINE="$folder" WALK=/opt/edgekeep/tests/walk
unset EDGEKEEP_OPERATOR CI
cd "$folder/home"
exec bash "$script"
