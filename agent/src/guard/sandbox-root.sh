# usage: sh sandbox-root.sh FOLDER PATH… -- COMMAND…
# Runs COMMAND with a file system that holds the PATHs only, read-only, and an empty folder. FOLDER is any folder: it is covered inside the mount
# namespace that this is called in, so nothing of it is seen outside and all of it ends with the process. Follows spec/guard.md section 6.
set -eu
# The user inside must be able to walk these folders, however strict the caller's umask is.
umask 022
root=$1
shift
mount -t tmpfs -o size=1m,mode=0755,nosuid,nodev edgekeep-guard "$root"
mkdir "$root/empty"
while [ "$1" != -- ]; do
  if [ -L "$1" ]; then
    # /lib and its like are links on most systems, and so are workspace packages.
    mkdir -p "$root${1%/*}"
    cp -P "$1" "$root$1"
  else
    if [ -d "$1" ]; then
      mkdir -p "$root$1"
    else
      mkdir -p "$root${1%/*}"
      : >"$root$1"
    fi
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro,nosuid,nodev "$root$1"
  fi
  shift
done
shift
mount -o remount,bind,ro,nosuid,nodev "$root"
exec chroot "$root" "$@"
