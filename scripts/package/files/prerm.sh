#!/bin/sh
set -e
if [ "$1" = remove ]; then
  if [ -d /run/systemd/system ]; then systemctl disable --now edgekeep-@PART@.service || true; fi
  update-alternatives --quiet --remove edgekeep /usr/lib/edgekeep/@PART@/bin/edgekeep
fi
