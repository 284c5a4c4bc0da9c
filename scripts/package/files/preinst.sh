#!/bin/sh
set -e
if [ "$1" = upgrade ] && dpkg --compare-versions "$2" gt '@VERSION@'; then
  echo "edgekeep-@PART@ @VERSION@ is older than $2, which is installed and may have converted what is in /var/lib/edgekeep/@PART@: an older version does not read that.
Nothing was changed. To go back: remove the package (the data is kept), install this one, and restore a backup of that time." >&2
  exit 1
fi
