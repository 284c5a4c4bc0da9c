// The file that installs a device's settings, keys and token: a script for any POSIX shell. Everything from outside is base64 in it, so nothing is
// ever read as a command; the token is no argument of a command.

/** For one device it has its id; for a group each device says its own. */
export interface PackageContents {
  readonly deviceId: string | undefined;
  /** By name. `agent.json` of a group has `devicePlaceholder` for the id. */
  readonly files: readonly (readonly [name: string, text: string])[];
  /** `agent.json` for a machine with a firmware log that the unit copies, if that differs. */
  readonly settingsWithFirmwareLog: string | undefined;
  /** Unix seconds; undefined without a token. */
  readonly expiresAt: number | undefined;
}

export const devicePlaceholder = '@DEVICE@';
const firmwareLog = '/sys/kernel/security/tpm0/binary_bios_measurements';
const LINE_LENGTH = 76;

export function packageScript(contents: PackageContents): string {
  const { deviceId, files, settingsWithFirmwareLog, expiresAt } = contents;
  const [settings, others] = [files.filter(isSettings), files.filter((file) => !isSettings(file))];
  const plain = settings.map(put).join('');
  const withLog = settingsWithFirmwareLog === undefined ? undefined : put(['agent.json', settingsWithFirmwareLog]);
  return `#!/bin/sh
# Installs what the Edgekeep agent ${deviceId === undefined ? 'of a device of the group' : `of ${deviceId}`} needs: settings, pinned keys and its enrollment token. Keep it like a password.
# usage: sh FILE ${deviceId === undefined ? 'DEVICE ' : ''}[--state DIR] [--start]
set -eu
umask 077
device='${deviceId ?? ''}' state=/var/lib/edgekeep/agent start=no
fail() { echo "edgekeep package: $1" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
  --state) [ $# -gt 1 ] || fail '--state needs a folder'; state=$2; shift 2 ;;
  --start) start=yes; shift ;;
  -*) fail "unknown option $1: [--state DIR] [--start]" ;;
  *) ${deviceId === undefined ? 'device=$1' : `fail 'this package is for ${deviceId} alone'`}; shift ;;
  esac
done
case $device in
'' | -* | *[!a-z0-9-]*) fail 'name the device: small letters, digits and hyphens' ;;
esac
${expiry(expiresAt)}owner=
if [ "$state" = /var/lib/edgekeep/agent ]; then
  [ "$(id -u)" = 0 ] || fail 'run it as root'
  owner=edgekeep
  id "$owner" >/dev/null 2>&1 || fail 'install the package edgekeep-agent first'
  [ -d "$state" ] || { install -d -m 755 /var/lib/edgekeep; install -d -m 700 -o "$owner" -g "$owner" "$state"; }
fi
mkdir -p "$state"
[ ! -e "$state/agent.json" ] || fail "$state has an agent already: nothing was changed"
# The agent's user cannot put a link here, in the way of root.
parent=$state
[ -z "$owner" ] || parent=/var/lib/edgekeep
new=$(mktemp -d "$parent/.package.XXXXXX")
trap 'rm -rf "$new"' EXIT
put() { base64 -d >"$new/$1"; }
${others.map(put).join('')}${withLog === undefined ? plain : `if [ -e ${firmwareLog} ]; then\n${withLog}else\n${plain}fi\n`}${deviceId === undefined ? `sed "s/${devicePlaceholder}/$device/" "$new/agent.json" >"$new/agent.json.new"\nmv "$new/agent.json.new" "$new/agent.json"\n` : ''}[ -z "$owner" ] || chown "$owner:$owner" "$new"/*
# A link to a folder would take a file elsewhere.
for file in "$new"/*; do [ ! -d "$state/\${file##*/}" ] || fail "$state/\${file##*/} is a folder: nothing was changed"; done
# The settings come last: with them the agent is configured.
for file in "$new"/*; do [ "\${file##*/}" = agent.json ] || mv -f "$file" "$state/\${file##*/}"; done
mv -f "$new/agent.json" "$state/agent.json"
echo "installed in $state for $device"
${deviceId === undefined ? '' : '# It works once: what remains is a copy of a secret.\nif [ -f "$0" ]; then rm -f -- "$0"; echo "removed $0"; fi\n'}if [ "$start" = yes ]; then
  systemctl enable --now edgekeep-agent
elif [ -n "$owner" ]; then
  echo 'next: systemctl enable --now edgekeep-agent'
else
  echo "next: edgekeep agent run --state $state"
fi
`;
}

const isSettings = ([name]: readonly [string, string]) => name === 'agent.json';

function put([name, text]: readonly [string, string]): string {
  const lines =
    Buffer.from(text)
      .toString('base64')
      .match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return `put ${name} <<'END'\n${lines.join('\n')}\nEND\n`;
}

function expiry(expiresAt: number | undefined): string {
  if (expiresAt === undefined) return '';
  const shown = new Date(expiresAt * 1_000).toISOString().slice(0, 16).replace('T', ' ');
  return `# Its token is usable until ${shown} UTC.\n[ "$(date +%s)" -lt ${expiresAt} ] || fail 'its token ended on ${shown} UTC: make a new package at the hub'\n`;
}
