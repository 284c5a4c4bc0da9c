#!/bin/sh
# Makes the user and the folders, fills the compile cache, and puts `edgekeep` on the path. Starts nothing new: a service that runs is started again.
set -e
part=@PART@ user=@USER@
tree=/usr/lib/edgekeep/$part
case $1 in
configure)
  if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
    systemd-sysusers edgekeep-$part.conf
    systemd-tmpfiles --create edgekeep-$part.conf || true
  fi
  getent passwd $user >/dev/null || useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin $user
  for folder in /etc/edgekeep /var/lib/edgekeep /var/cache/edgekeep; do [ -d $folder ] || install -d -m 755 $folder; done
  [ -d /var/lib/edgekeep/$part ] || install -d -m 700 -o $user -g $user /var/lib/edgekeep/$part
  # The agent uses the TPM as a member of this group.
  if [ $part = agent ] && getent group tss >/dev/null; then usermod -aG tss $user; fi
  # Root owns the cache, because whoever can write it can write code; Node looks for it under the number of the user that runs.
  cache=/var/cache/edgekeep/$part
  rm -rf $cache
  install -d -m 755 $cache
  NODE_COMPILE_CACHE=$cache $tree/bin/node --disable-sigusr1 $tree/$part/src/main.js --help >/dev/null 2>&1 || true
  NODE_COMPILE_CACHE=$cache $tree/bin/node --disable-sigusr1 $tree/cli/src/main.js --help >/dev/null 2>&1 || true
  for filled in $cache/*-0; do [ -d $filled ] && ln -s ${filled##*/} ${filled%-0}-$(id -u $user); done
  chmod -R a+rX $cache
  update-alternatives --quiet --install /usr/bin/edgekeep edgekeep $tree/bin/edgekeep @PRIORITY@ \
    --slave /usr/share/man/man1/edgekeep.1.gz edgekeep.1.gz $tree/share/edgekeep.1.gz \
    --slave /usr/share/bash-completion/completions/edgekeep edgekeep.bash $tree/share/edgekeep.bash \
    --slave /usr/share/zsh/vendor-completions/_edgekeep edgekeep.zsh $tree/share/_edgekeep \
    --slave /usr/share/fish/vendor_completions.d/edgekeep.fish edgekeep.fish $tree/share/edgekeep.fish
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    [ -z "$2" ] || systemctl try-restart edgekeep-$part.service || true
  fi
  # Says how to go on, while there is nothing to run with.
  $tree/bin/is-configured $part || true
  ;;
esac
