// `edgekeep hub init|run` and `edgekeep agent run`: start the other programs of this product.
import type { Arguments, Command, Outcome } from '../command.ts';
import { agentNodeOptions, hubNodeOptions, runProgram } from '../program.ts';

const keyHelp = `--passphrase-fd  read the passphrase from this file descriptor; without it: the systemd credential edgekeep-passphrase, or else the terminal`;

export const hubInit: Command = {
  usage:
    'hub init [--data DIR] [--unlock HOW]… [--root-folder DIR | --issuing-request FILE|FOLDER] [--share-folder DIR] [--passphrase-fd N] [--person NAME] [--name NAME]… [--store URL] [--store-password-file FILE] [--store-ca FILE] [--settings JSON]',
  help: `
Makes keys, settings, store and the first API token in DIR, which must not contain a hub yet. When it fails nothing is left; after a kill the next
run begins anew. The origin of the hub's log and the trust domain of its workloads cannot be changed later: they come from its first name, unless
--settings has others. Without a name it asks at a terminal.

--data           the hub's data folder (default: /var/lib/edgekeep/hub)
--unlock         who can open the hub's keys; may be repeated: passphrase, shares:K/N (any K of N people), program:/PATH ARG… (its output, for example from a TPM),
                 or none (plain files; the default, with a warning); each of them opens the keys
--root-folder    the folder for the root key, for example on a removable disk (default: DIR/root); the hub runs without it. Needed with --unlock
--issuing-request  for an offline root: the hub makes the key of its issuing CA, writes the request for it here (in a folder: with the hub and the day in its name), and waits for edgekeep hub
                 install-issuing (docs/authorities.md)
--share-folder   the folder for share files, one for each person; needed for shares
${keyHelp}
--person         the owner of the first API token (default: admin)
--name           a name or an address by which devices reach this hub; may be repeated: the first one goes into the kits of devices
--store          where the store is: sqlite (the default, in DIR), or an empty database of PostgreSQL: postgres://USER@HOST:5432/DATABASE (docs/postgresql.md)
--store-password-file  a file with that user's password, which only you can read; without it the environment variable EDGEKEEP_STORE_PASSWORD
--store-ca       a file with the CAs that certify the server (default: those of the public web)
--settings       a JSON object of settings that differ from the defaults (docs/settings.md); kept in DIR/hub.json
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    'root-folder': { type: 'string' },
    'issuing-request': { type: 'string' },
    person: { type: 'string' },
    name: { type: 'string', multiple: true },
    settings: { type: 'string' },
    store: { type: 'string' },
    'store-password-file': { type: 'string' },
    'store-ca': { type: 'string' },
    unlock: { type: 'string', multiple: true },
    'share-folder': { type: 'string' },
    'passphrase-fd': { type: 'string' },
  },
  run: (args) =>
    runHub('init', args, [
      'data',
      'root-folder',
      'issuing-request',
      'person',
      'name',
      'settings',
      'store',
      'store-password-file',
      'store-ca',
      'unlock',
      'share-folder',
      'passphrase-fd',
    ]),
};

export const hubInstallIssuing: Command = {
  usage: 'hub install-issuing FILE [--data DIR] [--root-sha256 HEX]',
  help: `
Completes hub init --issuing-request. FILE was written by edgekeep root sign-issuing: the issuing CA and its root. A running hub
gets its next issuing CA by edgekeep authority install.

--data         the hub's data folder (default: /var/lib/edgekeep/hub)
--root-sha256  the root's SHA-256 as noted at the ceremony; another root is refused
`,
  positionals: { min: 1, max: 1 },
  options: { data: { type: 'string' }, 'root-sha256': { type: 'string' } },
  run: (args) => runHub('install-issuing', args, ['data', 'root-sha256']),
};

export const hubRun: Command = {
  usage: 'hub run [--data DIR] [--passphrase-fd N] [--share FILE]… [--wait]',
  help: `
Serves until SIGINT or SIGTERM. Listens on loopback unless DIR/hub.json says otherwise.

--data           the hub's data folder, made by \`edgekeep hub init\` (default: /var/lib/edgekeep/hub)
${keyHelp}
--share          a share file; may be repeated: one for each share that is needed
--wait           when the keys need a person, open no listener and wait for \`edgekeep hub unlock\`; do not ask at a terminal
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    'passphrase-fd': { type: 'string' },
    share: { type: 'string', multiple: true },
    wait: { type: 'boolean' },
  },
  run: (args) => runHub('run', args, ['data', 'passphrase-fd', 'share'], ['wait']),
};

export const hubJoin: Command = {
  usage:
    'hub join (--code-file FILE | --code CODE) [--data DIR] --unlock HOW… [--share-folder DIR] [--passphrase-fd N] [--store URL] [--store-password-file FILE] [--store-ca FILE] [--settings JSON]',
  help: `
Makes this machine a node of a hub on PostgreSQL, with a code of \`edgekeep hub invite\` (docs/nodes.md). DIR must be empty. The code names the hub
and its root; nothing else is carried. After a failure or a kill run it again with the same code.

--code-file      the file with the code
--code           the code itself, which other programs of this machine can see
--data           the data folder of the node (default: /var/lib/edgekeep/hub)
--unlock         who can open the key of this node; may be repeated: passphrase, shares:K/N, or program:/PATH ARG…
--share-folder   the folder for share files; needed for shares
${keyHelp}
--store          where the store is for this machine, if that is not as for the others
--store-password-file  the file with this machine's password of the database
--store-ca       the file with the CAs that certify the database
--settings       a JSON object of settings of this machine, such as the addresses of its listeners
`,
  positionals: { min: 0, max: 0 },
  options: {
    'code-file': { type: 'string' },
    code: { type: 'string' },
    data: { type: 'string' },
    unlock: { type: 'string', multiple: true },
    'share-folder': { type: 'string' },
    'passphrase-fd': { type: 'string' },
    store: { type: 'string' },
    'store-password-file': { type: 'string' },
    'store-ca': { type: 'string' },
    settings: { type: 'string' },
  },
  run: (args) =>
    runHub('join', args, [
      'code-file',
      'code',
      'data',
      'unlock',
      'share-folder',
      'passphrase-fd',
      'store',
      'store-password-file',
      'store-ca',
      'settings',
    ]),
};

export const hubCheck: Command = {
  usage: 'hub check [--data DIR]',
  help: `
Checks a data folder, also while its hub runs, and reports line by line what is ok, a warning or failed, and what to do next: settings, keys and their
permissions, the store and its rows against the log, the trusted roots of hardware makers, certificates that end soon, ports, the unlock program, the disk. Opens no key and changes nothing. The exit code is 1 when
a check failed.

--data      the hub's data folder (default: /var/lib/edgekeep/hub)
`,
  positionals: { min: 0, max: 0 },
  options: { data: { type: 'string' } },
  run: (args) => runHub('check', args, ['data']),
};

export const hubUnlock: Command = {
  usage: 'hub unlock [--data DIR] [--passphrase-fd N] [--share FILE]…',
  help: `
For a hub that was started with \`hub run --wait\`, on its machine and as its user. People with shares enter them one after the other, each with
a separate command; the hub starts after the last one that is needed. Wrong ones are refused, and the hub keeps waiting.

--data           the hub's data folder (default: /var/lib/edgekeep/hub)
--passphrase-fd  read the passphrase from this file descriptor; without it the terminal asks
--share          a share file; may be repeated; without it the terminal asks
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    'passphrase-fd': { type: 'string' },
    share: { type: 'string', multiple: true },
  },
  run: (args) => runHub('unlock', args, ['data', 'passphrase-fd', 'share']),
};

export const hubRekey: Command = {
  usage:
    'hub rekey [--data DIR] [--add HOW]… [--remove ID]… [--passphrase-fd N] [--share FILE]… [--new-passphrase-fd N] [--share-folder DIR]',
  help: `
Adds and removes unlockers, the ways to open the hub's keys; the keys do not change. Seals the keys of a plain hub. Without --add and --remove it lists the unlockers.

--data               the hub's data folder (default: /var/lib/edgekeep/hub); stop the hub first
--add                an unlocker to add; may be repeated: passphrase, shares:K/N, or program (the one of the setting unlockProgram)
--remove             the id of an unlocker to remove; may be repeated; for example passphrase-1. Removing all old ones at once makes a new key-encryption key
${keyHelp}
--share              a share file, to open the keys; may be repeated: one for each share that is needed
--new-passphrase-fd  read a new passphrase from this file descriptor; without it the terminal asks
--share-folder       the folder for new shares
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    add: { type: 'string', multiple: true },
    remove: { type: 'string', multiple: true },
    share: { type: 'string', multiple: true },
    'share-folder': { type: 'string' },
    'passphrase-fd': { type: 'string' },
    'new-passphrase-fd': { type: 'string' },
  },
  run: (args) =>
    runHub('rekey', args, ['data', 'add', 'remove', 'share', 'share-folder', 'passphrase-fd', 'new-passphrase-fd']),
};

export const hubResetPolicy: Command = {
  usage: 'hub reset-policy [--data DIR] [--passphrase-fd N] [--share FILE]…',
  help: `
For a policy that shuts everybody out (spec/access.md, "The way back"). The audit log records that it was done on the hub's machine.

--data           the hub's data folder (default: /var/lib/edgekeep/hub); stop the hub first
${keyHelp}
--share          a share file, to open the keys; may be repeated: one for each share that is needed
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    'passphrase-fd': { type: 'string' },
    share: { type: 'string', multiple: true },
  },
  run: (args) => runHub('reset-policy', args, ['data', 'passphrase-fd', 'share']),
};

export const hubMoveStore: Command = {
  usage:
    'hub move-store --to URL [--data DIR] [--store-password-file FILE] [--store-ca FILE] [--passphrase-fd N] [--share FILE]…',
  help: `
Copies every row into the new store, compares each, and the log and the security state as a start does; then hub.json names the new store. A move that
is killed leaves a hub that starts, and can be repeated. The former store is kept, and no hub starts on it again (docs/design/postgresql.md).

--to             where the store goes: an empty database of PostgreSQL, postgres://USER@HOST:5432/DATABASE, or sqlite, in the data folder
--data           the hub's data folder (default: /var/lib/edgekeep/hub); stop the hub first
--store-password-file  a file with that user's password, which only you can read; without it the environment variable EDGEKEEP_STORE_PASSWORD
--store-ca       a file with the CAs that certify the server (default: those of the public web)
${keyHelp}
--share          a share file, to open the keys; may be repeated: one for each share that is needed
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    to: { type: 'string' },
    'store-password-file': { type: 'string' },
    'store-ca': { type: 'string' },
    'passphrase-fd': { type: 'string' },
    share: { type: 'string', multiple: true },
  },
  run: async (args) => {
    args.required('to');
    return runHub('move-store', args, ['data', 'to', 'store-password-file', 'store-ca', 'passphrase-fd', 'share']);
  },
};

export const hubAcceptClock: Command = {
  usage: 'hub accept-clock [--data DIR]',
  help: `
For a hub whose clock was ahead: it refuses to change anything until its machine's clock is there again (docs/design/hub-time.md). Set the
machine's clock first. What was over at the later time may be valid again. The audit log records both times.

--data      the hub's data folder (default: /var/lib/edgekeep/hub); stop the hub first
`,
  positionals: { min: 0, max: 0 },
  options: { data: { type: 'string' } },
  run: (args) => runHub('accept-clock', args, ['data']),
};

export const hubMoveArtifacts: Command = {
  usage: 'hub move-artifacts s3|folder [--data DIR] [--leave-lost]',
  help: `
Copies the sealed files of all releases, and the evidence behind released keys, into the bucket of the settings artifacts, or back into the data
folder; compares the digest of each, and sets artifacts.kind once all is there. What is there already is not copied again, so that a move that
broke off goes on. Nothing is removed where it was. Stop the hub on all its nodes first (docs/artifacts.md).

--data        the hub's data folder (default: /var/lib/edgekeep/hub)
--leave-lost  ends although something is missing or damaged where it was; without it the hub keeps the place that it has
`,
  positionals: { min: 1, max: 1 },
  options: { data: { type: 'string' }, 'leave-lost': { type: 'boolean' } },
  run: (args) => runHub('move-artifacts', args, ['data'], ['leave-lost']),
};

export const hubBackup: Command = {
  usage: 'hub backup [--data DIR] --out FILE [--blobs] [--plain] [--unsigned] [--passphrase-fd N] [--share FILE]…',
  help: `
Settings, sealed keys, store, log and vendor roots in one file (docs/backup.md). Never an operator file. It is signed by the hub's key for backups,
which the root has certified (edgekeep authority request-keys --replace backup); that key is sealed with the others.

--data           the hub's data folder (default: /var/lib/edgekeep/hub)
--out            the file to write; it must not exist
--blobs          the sealed files of models too
--plain          include the keys of a plain hub, unencrypted
--unsigned       do not sign it
${keyHelp}
--share          a share file, to open the keys; may be repeated: one for each share that is needed
`,
  positionals: { min: 0, max: 0 },
  options: {
    data: { type: 'string' },
    out: { type: 'string' },
    blobs: { type: 'boolean' },
    plain: { type: 'boolean' },
    unsigned: { type: 'boolean' },
    'passphrase-fd': { type: 'string' },
    share: { type: 'string', multiple: true },
  },
  run: async (args) => {
    args.required('out');
    return runHub('backup', args, ['data', 'out', 'passphrase-fd', 'share'], ['blobs', 'plain', 'unsigned']);
  },
};

export const hubRestore: Command = {
  usage: 'hub restore FILE [--data DIR] (--root FILE [--key-list FILE] | --unsigned) [--yes]',
  help: `
Devices notice that the log is older than they remember: read docs/backup.md first.

Shows who signed the backup, and the program that it would execute (the setting unlockProgram), and asks you: a backup may come from anybody.

--data      the folder to make; missing or empty (default: /var/lib/edgekeep/hub)
--root      your own copy of the root, PEM: the backup must be signed by a key for backups that it certified
--key-list  a later key list than the one in the backup, as edgekeep root sign-keys wrote it: a key that was stolen since counts no more
--unsigned  restore a backup that nobody signed, for example one of the version before
--yes       restore a backup that names such a program, without asking
`,
  positionals: { min: 1, max: 1 },
  options: {
    data: { type: 'string' },
    root: { type: 'string' },
    'key-list': { type: 'string' },
    unsigned: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  run: (args) => runHub('restore', args, ['data', 'root', 'key-list'], ['unsigned', 'yes']),
};

async function runHub(
  verb: string,
  args: Arguments,
  names: readonly string[],
  flags: readonly string[] = [],
): Promise<Outcome> {
  const descriptors = ['passphrase-fd', 'new-passphrase-fd'].flatMap((name) => args.all(name)).map(Number);
  const set = flags.filter((name) => args.flag(name)).map((name) => `--${name}`);
  const words = [verb, ...args.positionals, ...given(args, names), ...set, ...json(args)];
  return runProgram('@edgekeep/hub/main', words, hubNodeOptions, descriptors);
}

export const agentRun: Command = {
  usage: 'agent run [--state DIR]',
  help: `
Reads DIR/agent.json (docs/settings.md), enrolls if necessary, attests, and serves models until SIGINT or SIGTERM. At a terminal it reports in
sentences, in color unless NO_COLOR is set; elsewhere, and with --json, each event is a line of JSON (spec/agent.md, "Events").

--state     the agent's state folder (default: /var/lib/edgekeep/agent, with sockets in /run/edgekeep)
`,
  positionals: { min: 0, max: 0 },
  options: { state: { type: 'string' } },
  run: async (args) => runProgram('@edgekeep/agent/main', [...given(args, ['state']), ...json(args)], agentNodeOptions),
};

function given(args: Arguments, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => args.all(name).flatMap((value) => [`--${name}`, value]));
}

const json = (args: Arguments) => (args.flag('json') ? ['--json'] : []);
