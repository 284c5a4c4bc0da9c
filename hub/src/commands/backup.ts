// What `edgekeep hub backup` and `hub restore` ask of a person and say to them: the key that signs, the root that is trusted, the program that a backup
// names.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { HubError } from '../common/error.ts';
import { backupSigner, findBackupKey } from '../secrets/backup-key.ts';
import type { BackupOrigin, BackupSigner } from '../secrets/backup-signature.ts';
import { openKeyStore } from '../secrets/open-keys.ts';
import type { BackupTrust } from '../secrets/restore.ts';
import { readSealedFile } from '../secrets/sealed-keys.ts';
import { needsNobody, type UnlockSources } from '../secrets/sources.ts';
import { hubKeysOf } from '../node/open.ts';
import { type HubSettings, readHubSettings } from '../settings.ts';
import { placeOfStore } from '../store/place-of-store.ts';

/** Undefined, with a warning, where no key for backups is certified, or the keys are sealed and nothing opens them without a person. */
export async function signerForBackup(folder: string, sources: UnlockSources): Promise<BackupSigner | undefined> {
  const unsigned = (why: string): undefined => {
    process.stderr.write(`warning: the backup is not signed, ${why}; restore takes it with --unsigned only\n`);
  };
  if ((await findBackupKey(folder)) === undefined)
    return unsigned('because no key for it is certified (edgekeep authority request-keys --replace backup)');
  const sealed = await readSealedFile(join(folder, 'keys'));
  if (sealed !== undefined && !process.stdin.isTTY && !(await needsNobody(sealed, sources)))
    return unsigned('because the keys are sealed (--passphrase-fd, --share)');
  const place = placeOfStore(folder, await readHubSettings(folder));
  await using keyStore = await hubKeysOf(folder, place, await openKeyStore(folder, sources), Date.now);
  return (await backupSigner(folder, keyStore)) ?? unsigned('because its key is not among the keys of this hub');
}

/** Throws `backup-refused` without exactly one answer to whose signature is wanted. */
export async function backupTrust(given: {
  readonly root: string | undefined;
  readonly keyList: string | undefined;
  readonly unsigned: boolean;
}): Promise<BackupTrust> {
  const { root, keyList, unsigned } = given;
  if ((root === undefined) !== unsigned || (unsigned && keyList !== undefined))
    throw new HubError(
      'backup-refused',
      'say who must have signed the backup: --root FILE, your own copy of the root; or --unsigned for one that nobody signed',
    );
  if (root === undefined) return 'unsigned';
  const roots = parsePem(await readFile(root, 'utf8'), 'CERTIFICATE').map(parseCertificate);
  return { roots, newest: keyList === undefined ? undefined : await readFile(keyList) };
}

/** Says who signed the backup, and has the program that it names agreed to. */
export async function agreeToRestore(
  settings: HubSettings,
  origin: BackupOrigin | undefined,
  agreed: boolean,
): Promise<void> {
  if (origin !== undefined) {
    const { hub, atMs, listNumber } = origin;
    const made = `${new Date(atMs).toISOString()}, with key list ${listNumber}`;
    process.stderr.write(`signed by the hub ${hub} at ${made}: is it the newest backup of this hub that you have?\n`);
  }
  await agreeToExecute(settings, agreed);
}

// A backup may come from anybody: the program that it names would run as the hub's user and could read the keys.
async function agreeToExecute({ unlockProgram }: HubSettings, agreed: boolean): Promise<void> {
  if (unlockProgram.length === 0) return;
  const shown = unlockProgram.map(asciiWord).join(' ');
  process.stderr.write(
    `this backup names a program that is executed when the hub starts (unlockProgram):\n  ${shown}\n`,
  );
  if (agreed) return;
  if (!process.stdin.isTTY)
    throw new HubError('backup-refused', `the backup executes ${shown}: check it, then use --yes`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if ((await terminal.question('restore it? type yes: ')) === 'yes') return;
  } finally {
    terminal.close();
  }
  throw new HubError('backup-refused', 'not restored');
}

// Control characters and look-alikes could show a different program than the one that is executed.
function asciiWord(word: string): string {
  return JSON.stringify(word).replaceAll(/[^ -~]/gu, (each) => `\\u{${(each.codePointAt(0) ?? 0).toString(16)}}`);
}

/** For a backup with sealed files. Throws `request-invalid` where they are in a bucket. */
export function assertInFolder({ artifacts }: Pick<HubSettings, 'artifacts'>): void {
  if (artifacts.kind === 'folder') return;
  throw new HubError(
    'request-invalid',
    "--blobs: sealed files are in a bucket, which is backed up by its server's means: docs/artifacts.md",
  );
}
