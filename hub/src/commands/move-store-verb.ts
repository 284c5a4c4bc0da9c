// What `edgekeep hub move-store` takes and says.
import { resolve } from 'node:path';
import { HubError } from '../common/error.ts';
import { parseStoreUrl } from '@edgekeep/core/canonical/store-url';
import type { KeyStore } from '../secrets/key-store.ts';
import type { StoreSetting } from '../store/store-mark.ts';
import { type MovedStore, moveStore } from './move-store.ts';

export interface StoreWords {
  readonly url: string;
  readonly passwordFile: string | undefined;
  readonly caFile: string | undefined;
}

/** The setting `store` from words of a command line. `option` is the one with the URL. Throws `request-invalid`. */
export function storeSettingOf({ url, passwordFile, caFile }: StoreWords, option: string): StoreSetting {
  const address = parseStoreUrl(url);
  if (address.kind === 'refused') throw new HubError('request-invalid', `${option}: ${address.why}`);
  if (address.kind === 'sqlite' && (passwordFile !== undefined || caFile !== undefined))
    throw new HubError(
      'request-invalid',
      `--store-password-file and --store-ca are about the server that ${option} URL names`,
    );
  const file = (path: string | undefined) => (path === undefined ? null : resolve(path));
  return { url, passwordFile: file(passwordFile), caFile: file(caFile) };
}

const PROGRESS_ROWS = 10_000;

/** For a locked folder; progress goes to stderr. */
export async function moveAndTell(folder: string, to: StoreSetting, keyStore: KeyStore): Promise<MovedStore> {
  return moveStore(
    folder,
    {
      to,
      nowMs: Date.now(),
      progress: (table, rows) => {
        if (rows >= PROGRESS_ROWS && rows % PROGRESS_ROWS === 0) process.stderr.write(`${table}: ${rows} rows\n`);
      },
      onStep: (step) => {
        const text = stepTexts.get(step);
        if (text !== undefined) process.stderr.write(`${text}\n`);
      },
    },
    keyStore,
  );
}

const stepTexts: ReadonlyMap<string, string> = new Map([
  ['held', 'copying each table'],
  ['copied', 'comparing each row, the log and the security state'],
  ['compared', 'the copy is the same'],
]);

export function movedText({ from, to, tables, rows, entries }: MovedStore): string {
  const kept = `the former store stays where it is, and no hub starts on it again`;
  return `moved from ${from} to ${to}: ${rows} rows of ${tables} tables, ${entries} entries of the log; ${kept}\n`;
}
