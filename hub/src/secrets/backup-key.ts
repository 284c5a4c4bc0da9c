// The key that signs backups, from the store and the key store of a data folder: one that the root certified for it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { keyIdOf } from '@edgekeep/core/authority/key-list';
import { z } from 'zod';
import type { BackupSigner } from './backup-signature.ts';
import { hubKeyName, readSigner } from './hub-keys.ts';
import type { KeyStore } from './key-store.ts';

const row = z.object({ id: z.string(), file: z.instanceof(Uint8Array) });

const text = `select hub_key.id, key_list.file from hub_key, key_list
  where hub_key.purpose = 'backup' and hub_key.status = 'active' order by key_list.number desc limit 1`;

/** The id of the key in use, and the newest list; undefined for a hub whose root certified none. */
export function findBackupKey(folder: string): z.infer<typeof row> | undefined {
  const path = join(folder, 'hub.sqlite');
  if (!existsSync(path)) return undefined;
  using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  const has = store.prepare("select 1 from sqlite_schema where name = 'hub_key'").get();
  const found = has === undefined ? undefined : store.prepare(text).get();
  return found === undefined ? undefined : row.parse(found);
}

/** The same with its private key; undefined where this key store has it not. */
export async function backupSigner(folder: string, keyStore: KeyStore): Promise<BackupSigner | undefined> {
  const found = findBackupKey(folder);
  if (found === undefined) return undefined;
  const signer = await readSigner(keyStore, hubKeyName(found.id));
  return signer !== undefined && keyIdOf(signer) === found.id ? { signer, keyList: found.file } : undefined;
}
