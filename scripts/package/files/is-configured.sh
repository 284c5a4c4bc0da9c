#!/bin/sh
# usage: is-configured hub|agent
# Exit code 1, with what to do, while the service has nothing to run with: its unit asks before it starts.
case $1 in
hub)
  [ -e /var/lib/edgekeep/hub/hub.sqlite ] && exit 0
  for former in /var/lib/edgekeep /var/lib/edgekeep-hub; do
    [ -e $former/hub.sqlite ] && echo "a hub is in $former, where earlier versions had it: move it to /var/lib/edgekeep/hub (docs/upgrading.md)"
  done
  echo 'edgekeep-hub is not started: there is no hub yet. Make one, then start it:
  setpriv --reuid=edgekeep-hub --regid=edgekeep-hub --init-groups edgekeep hub init --unlock passphrase --root-folder DIR
  systemctl enable --now edgekeep-hub
Names and addresses for devices are settings: /usr/share/doc/edgekeep-hub/docs/install.md'
  ;;
agent)
  [ -e /var/lib/edgekeep/agent/agent.json ] && exit 0
  for former in /var/lib/edgekeep /var/lib/edgekeep-agent; do
    [ -e $former/agent.json ] && echo "an agent is in $former, where earlier versions had it: move it to /var/lib/edgekeep/agent (docs/upgrading.md)"
  done
  echo 'edgekeep-agent is not started: this device has no settings yet. At the hub, make a file that installs them; run it here, then start it:
  edgekeep enroll package DEVICE --out DEVICE.sh
  systemctl enable --now edgekeep-agent'
  ;;
esac
exit 1
