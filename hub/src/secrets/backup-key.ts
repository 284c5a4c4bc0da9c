// The key that signs backups, from the store and the key store of a data folder: one that the root certified for it.
import { keyIdOf } from '@edgekeep/core/authority/key-list';
import { existsSync } from 'node:fs';
import { readHubSettings } from '../settings.ts';
import { openReader } from '../store/engine/place.ts';
import { rowSqlOf } from '../store/engine/row-sql.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import type { Tables } from '../store/schema.ts';
import type { BackupSigner } from './backup-signature.ts';
import { hubKeyName, readSigner } from './hub-keys.ts';
import type { KeyStore } from './key-store.ts';

interface FoundKey {
  readonly id: string;
  readonly file: Uint8Array;
}

/** The id of the key in use, and the newest list; undefined for a hub whose root certified none. */
export async function findBackupKey(folder: string): Promise<FoundKey | undefined> {
  const place = placeOfStore(folder, await readHubSettings(folder));
  if (typeof place === 'string' && !existsSync(place)) return undefined;
  await using db = await openReader<Tables>(place);
  if (!(await rowSqlOf(db).hasTable(db, 'hub_key'))) return undefined;
  const key = await db
    .selectFrom('hub_key')
    .select('id')
    .where('purpose', '=', 'backup')
    .where('status', '=', 'active')
    .executeTakeFirst();
  const list = await db.selectFrom('key_list').select('file').orderBy('number', 'desc').limit(1).executeTakeFirst();
  return key === undefined || list === undefined ? undefined : { id: key.id, file: list.file };
}

/** The same with its private key; undefined where this key store has it not. */
export async function backupSigner(folder: string, keyStore: KeyStore): Promise<BackupSigner | undefined> {
  const found = await findBackupKey(folder);
  if (found === undefined) return undefined;
  const signer = await readSigner(keyStore, hubKeyName(found.id));
  return signer !== undefined && keyIdOf(signer) === found.id ? { signer, keyList: found.file } : undefined;
}
