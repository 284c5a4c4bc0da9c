// Where the store of a data folder is, by its settings: the one function that says so.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf } from '@edgekeep/core/message-of';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { HubError } from '../common/error.ts';
import { parseStoreUrl, storePasswordVariable } from '@edgekeep/core/canonical/store-url';
import type { StorePlace } from './engine/place.ts';
import { commitLookupMs } from './engine/postgres-place.ts';

interface StoreSettings {
  readonly store: { readonly url: string; readonly passwordFile: string | null; readonly caFile: string | null };
}

/** Relative paths start at the folder. Throws `settings-invalid`. */
export function placeOfStore(folder: string, { store }: StoreSettings): StorePlace {
  const { url, passwordFile, caFile } = store;
  const address = parseStoreUrl(url);
  if (address.kind === 'refused') throw new HubError('settings-invalid', `store.url: ${address.why}`);
  if (address.kind === 'sqlite') return join(folder, 'hub.sqlite');
  const password = process.env[storePasswordVariable];
  return {
    ...address,
    lookupMs: commitLookupMs,
    ...(passwordFile === null
      ? password !== undefined && { password }
      : { passwordFile: resolve(folder, passwordFile) }),
    ...(caFile !== null && { authorities: readAuthorities(resolve(folder, caFile)) }),
  };
}

/** Somebody who may change the file decides which server gets the password and answers the hub's queries. */
function readAuthorities(path: string): string {
  const refused = (why: string, cause?: unknown) =>
    new HubError('settings-invalid', `store.caFile: ${path}: ${why}`, { cause });
  try {
    const text = readFileSync(path, 'utf8');
    const why = othersMayWrite(path);
    if (why !== undefined)
      throw refused(`${why}. It and its folders must be yours or root's, and writable by nobody else`);
    if (!text.includes('-----BEGIN CERTIFICATE-----'))
      throw refused('it has no certificate: expected those of the CAs of the server, PEM');
    return text;
  } catch (error) {
    if (error instanceof HubError) throw error;
    throw refused(messageOf(error), error);
  }
}
