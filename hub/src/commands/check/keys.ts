// Checks the data folder and its keys: they exist, are readable, and nobody else can read them.
import { counted } from '@edgekeep/core/counted';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing, orIfMissing } from '@edgekeep/host/missing-file';
import { initialCertificateFiles } from '../../secrets/initial-certificates.ts';
import { HubError } from '../../common/error.ts';
import { plainKeyNames } from '../../secrets/plain-keys.ts';
import { readSealedFile, sealedFileName } from '../../secrets/sealed-keys.ts';
import type { HubSettings } from '../../settings.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';
import { messageOf } from '@edgekeep/core/message-of';

const others = 0o077;

export async function checkFolder(folder: string): Promise<Finding> {
  const found = await orIfMissing(stat(folder), undefined);
  if (found === undefined || !found.isDirectory())
    return failed('data folder', `no folder ${folder}`, '`edgekeep hub init --data` makes one; is it the right path?');
  const own = process.getuid?.();
  if (own !== undefined && own !== found.uid) {
    const whose = `${folder} belongs to user ${found.uid}, this is user ${own}`;
    return warning('data folder', whose, 'run this check and the hub as the user who owns the folder');
  }
  const mode = (found.mode & 0o777).toString(8);
  if ((found.mode & others) === 0) return ok('data folder', `${folder}, mode ${mode}`);
  return warning('data folder', `${folder} has mode ${mode}`, `chmod 700 ${folder}: other users can read it`);
}

export async function checkKeys(folder: string, settings: HubSettings): Promise<readonly Finding[]> {
  const keys = join(folder, 'keys');
  try {
    const names = await readdir(keys);
    const missing = [initialCertificateFiles.root, initialCertificateFiles.issuing].filter(
      (name) => !names.includes(name),
    );
    const there = missing.length === 0 ? [] : [absent(keys, missing, names.includes(initialCertificateFiles.request))];
    return [...there, await sealedOrPlain(folder, settings), ...(await permissionsOf(keys, names))];
  } catch (error) {
    if (isMissing(error))
      return [failed('keys', `no ${keys}`, 'restore a backup (docs/backup.md), or `edgekeep hub init`')];
    if (!(error instanceof HubError) && !(error instanceof Error && 'code' in error)) throw error;
    return [failed('keys', messageOf(error), 'repair the folder, or restore a backup (docs/backup.md)')];
  }
}

function absent(keys: string, missing: readonly string[], waits: boolean): Finding {
  const found = `no ${missing.map((name) => join(keys, name)).join(', ')}`;
  const next = waits
    ? 'the hub waits for its issuing CA: `edgekeep root sign-issuing`, then `edgekeep hub install-issuing`'
    : 'restore a backup (docs/backup.md)';
  return failed('keys', found, next);
}

async function sealedOrPlain(folder: string, { unlockProgram }: HubSettings): Promise<Finding> {
  const keys = join(folder, 'keys');
  const sealed = await readSealedFile(keys);
  const plain = await plainKeyNames(keys);
  if (sealed === undefined && plain.length === 0)
    return failed('keys', `${keys} holds no private key`, 'restore a backup (docs/backup.md)');
  if (sealed === undefined) {
    const found = `${counted(plain.length, 'key')} as plain files: a copy of the folder has them`;
    return warning('keys', found, `seal them: edgekeep hub rekey --data ${folder} --add passphrase`);
  }
  if (plain.length > 0) {
    const found = `${plain.join(', ')} in the clear beside ${sealedFileName}`;
    return warning('keys', found, 'the next start removes copies, and refuses a key that differs');
  }
  const kinds = sealed.unlockers.map(({ kind }) => kind);
  if (kinds.every((kind) => kind === 'program') && unlockProgram.length === 0)
    return failed('keys', 'only a program can open them, but the setting unlockProgram is empty', 'set unlockProgram');
  return ok('keys', `sealed; opened by ${[...new Set(kinds)].join(', ')}`);
}

async function permissionsOf(keys: string, names: readonly string[]): Promise<readonly Finding[]> {
  const open: string[] = [];
  for (const name of names) {
    // Certificates are public.
    if (
      name === initialCertificateFiles.root ||
      name === initialCertificateFiles.issuing ||
      name === initialCertificateFiles.request ||
      name === initialCertificateFiles.keyList
    )
      continue;
    const { mode } = await stat(join(keys, name));
    if ((mode & others) !== 0) open.push(`${name} (${(mode & 0o777).toString(8)})`);
  }
  if (open.length === 0) return [];
  return [warning('key permissions', open.join(', '), `chmod 600 in ${keys}: other users can read keys`)];
}
