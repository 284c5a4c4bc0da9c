// Verbs of the command line: `hub`, `secrets`, `agent`.
import type { Verbs } from '../verb.ts';

export const hubVerbs: Verbs = {
  'hub init': {
    summary: 'make a new hub',
    example:
      'hub init --data /var/lib/edgekeep/hub --unlock passphrase --root-folder /media/usb/root --name hub.plant.example',
    load: () => import('./programs.ts').then((m) => m.hubInit),
  },
  'hub install-issuing': {
    summary: 'give a new hub the certificate that its offline root signed',
    example: 'hub install-issuing issuing.pem --data /var/lib/edgekeep/hub',
    load: () => import('./programs.ts').then((m) => m.hubInstallIssuing),
  },
  'hub run': {
    summary: 'run a hub in the foreground',
    example: 'hub run --data /var/lib/edgekeep/hub',
    load: () => import('./programs.ts').then((m) => m.hubRun),
  },
  'hub check': {
    summary: 'find what would keep a hub from starting or working',
    example: 'hub check --data /var/lib/edgekeep/hub',
    load: () => import('./programs.ts').then((m) => m.hubCheck),
  },
  'hub unlock': {
    summary: 'open the keys of a hub that waits for them',
    example: 'hub unlock --data /var/lib/edgekeep/hub --share /media/usb/share-2-of-5.txt',
    load: () => import('./programs.ts').then((m) => m.hubUnlock),
  },
  'hub rekey': {
    summary: "change who can open a hub's keys, while it is stopped",
    example:
      'hub rekey --data /var/lib/edgekeep/hub --add shares:3/5 --share-folder /media/usb/shares --remove passphrase-1',
    load: () => import('./programs.ts').then((m) => m.hubRekey),
  },
  'hub backup': {
    summary: 'write a backup of a hub, also while it runs',
    example: 'hub backup --data /var/lib/edgekeep/hub --out /backup/hub.edgekeep',
    load: () => import('./programs.ts').then((m) => m.hubBackup),
  },
  'hub reset-policy': {
    summary: 'put the default access policy in force, while the hub is stopped',
    example: 'hub reset-policy --data /var/lib/edgekeep/hub',
    load: () => import('./programs.ts').then((m) => m.hubResetPolicy),
  },
  'hub move-store': {
    summary: 'move the store of a stopped hub to PostgreSQL, or back to SQLite',
    example:
      'hub move-store --data /var/lib/edgekeep/hub --to postgres://edgekeep@db.plant.example/hub --store-password-file /etc/edgekeep/store-password',
    load: () => import('./programs.ts').then((m) => m.hubMoveStore),
  },
  'hub accept-clock': {
    summary: "make the machine's time the latest that a hub has seen, while it is stopped",
    example: 'hub accept-clock --data /var/lib/edgekeep/hub',
    load: () => import('./programs.ts').then((m) => m.hubAcceptClock),
  },
  'hub move-artifacts': {
    summary: 'copy sealed files and evidence of a stopped hub into its bucket, or back',
    example: 'hub move-artifacts s3 --data /var/lib/edgekeep/hub',
    load: () => import('./programs.ts').then((m) => m.hubMoveArtifacts),
  },
  'hub claim': {
    summary: 'turn the first operator file of a hub into your own',
    example:
      'hub claim --operator /var/lib/edgekeep/hub/operator.json --name ada --out ~/.config/edgekeep/operator.json',
    load: () => import('./claim.ts').then((m) => m.command),
  },
  'hub restore': {
    summary: "make a hub's data folder from a backup",
    example: 'hub restore /backup/hub.edgekeep --data /var/lib/edgekeep/hub --root /media/usb/root.pem',
    load: () => import('./programs.ts').then((m) => m.hubRestore),
  },
  'hub jobs': {
    summary: 'list the recurring jobs of a hub and their status',
    example: 'hub jobs',
    load: () => import('./jobs.ts').then((m) => m.command),
  },
  'hub invite': {
    summary: 'let another machine join a hub as a node',
    example: 'hub invite graz-2 --out graz-2.code',
    load: () => import('./nodes.ts').then((m) => m.invite),
  },
  'hub join': {
    summary: 'make this machine a node of a hub',
    example: 'hub join --code-file graz-2.code --unlock passphrase',
    load: () => import('./programs.ts').then((m) => m.hubJoin),
  },
  'hub nodes list': {
    summary: 'list the nodes of a hub',
    example: 'hub nodes list',
    load: () => import('./nodes.ts').then((m) => m.list),
  },
  'hub nodes remove': {
    summary: 'remove a node of a hub',
    example: 'hub nodes remove graz-2 --reason replaced',
    load: () => import('./nodes.ts').then((m) => m.remove),
  },
  'hub roll-platform-key': {
    summary: 'give the hub a new platform key',
    example: 'hub roll-platform-key --wait',
    load: () => import('./roll-platform-key.ts').then((m) => m.command),
  },
  'secrets pkcs11-seal': {
    summary: 'make a secret that only a PKCS#11 token returns',
    example:
      'secrets pkcs11-seal /etc/edgekeep/unlock.json --module /usr/lib/vendor/module.so --token hub --pin-file /etc/edgekeep/token-pin',
    load: () => import('./pkcs11-secret.ts').then((m) => m.pkcs11Seal),
  },
  'secrets pkcs11-unseal': {
    summary: 'print the 32 bytes that the token returns, for a hub to read',
    example: 'secrets pkcs11-unseal /etc/edgekeep/unlock.json | wc -c',
    load: () => import('./pkcs11-secret.ts').then((m) => m.pkcs11Unseal),
  },
  'secrets tpm-seal': {
    summary: "make a secret that only this machine's TPM returns",
    example: 'secrets tpm-seal /etc/edgekeep/unlock.json',
    load: () => import('./tpm-secret.ts').then((m) => m.tpmSeal),
  },
  'secrets tpm-unseal': {
    summary: 'print the 32 bytes that the TPM returns, for a hub to read',
    example: 'secrets tpm-unseal /etc/edgekeep/unlock.json | wc -c',
    load: () => import('./tpm-secret.ts').then((m) => m.tpmUnseal),
  },
  'agent run': {
    summary: 'run the device agent in the foreground',
    example: 'agent run --state /var/lib/edgekeep/agent',
    load: () => import('./programs.ts').then((m) => m.agentRun),
  },
};
