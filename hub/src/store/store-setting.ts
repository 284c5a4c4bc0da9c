// The setting `store` in the text of hub.json; everything else in it stays.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { personText } from '@edgekeep/core/person-text';
import { replaceFile } from '@edgekeep/host/durable-file';
import { z } from 'zod';
import type { StoreSetting } from './store-mark.ts';

const fileName = 'hub.json';

/** Writes it into the data folder's file, in one step. */
export async function nameStore(folder: string, { url, passwordFile, caFile }: StoreSetting): Promise<void> {
  const path = join(folder, fileName);
  const { store: _, ...others } = settingsIn(await readFile(path), path);
  const files = { ...(passwordFile !== null && { passwordFile }), ...(caFile !== null && { caFile }) };
  await replaceFile(path, encoded(url === 'sqlite' ? others : { ...others, store: { url, ...files } }));
}

/** The file of the data folder for a backup: where a store is belongs to the machine, and a restored hub must not go on with that of another. */
export async function settingsWithoutStore(folder: string): Promise<Uint8Array> {
  const path = join(folder, fileName);
  const bytes = await readFile(path);
  const { store, ...others } = settingsIn(bytes, path);
  return store === undefined ? bytes : utf8(encoded(others));
}

function settingsIn(bytes: Uint8Array, path: string): Readonly<Record<string, unknown>> {
  return parseJson(utf8(personText(bytes, path)), z.looseObject({}), path);
}

function encoded(settings: object): string {
  return `${JSON.stringify(settings, null, 2)}\n`;
}
