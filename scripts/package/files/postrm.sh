#!/bin/sh
# Keys, leases and the log stay, also when the package is purged: their owner removes them, and then the user, whose number nobody else may get
# while files belong to it.
set -e
data=/var/lib/edgekeep/@PART@
case $1 in
remove | purge) rm -rf /var/cache/edgekeep/@PART@ ;;
esac
if [ "$1" = purge ]; then
  for folder in $data /var/lib/edgekeep /var/cache/edgekeep /etc/edgekeep; do
    if [ -d $folder ]; then rmdir --ignore-fail-on-non-empty $folder; fi
  done
  if [ -d $data ]; then
    echo "edgekeep-@PART@: $data has keys and is kept. To remove it: rm -r $data && userdel @USER@" >&2
  else
    userdel @USER@ 2>/dev/null || true
  fi
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
