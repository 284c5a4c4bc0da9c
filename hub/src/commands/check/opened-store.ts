// The store that `hub check` reads: one connection for all of its checks.
import { existsSync } from 'node:fs';
import type { Kysely } from 'kysely';
import { failed, type Finding, ok } from '@edgekeep/host/finding';
import { HubError } from '../../common/error.ts';
import { failureText } from '../../common/world-failure.ts';
import type { HubSettings } from '../../settings.ts';
import { markIn, movedError } from '../../store/store-mark.ts';
import { isOfEngine } from '../../store/engine/failures.ts';
import { openReader, type StorePlace } from '../../store/engine/place.ts';
import { rowSqlOf } from '../../store/engine/row-sql.ts';
import { placeOfStore } from '../../store/place-of-store.ts';
import type { Tables } from '../../store/schema.ts';

export interface OpenedStore extends AsyncDisposable {
  /** Undefined where the store cannot be opened; `findings` say why. */
  readonly db: Kysely<Tables> | undefined;
  /** For people. */
  readonly place: string;
  readonly isFile: boolean;
  readonly findings: readonly Finding[];
}

export async function openStore(folder: string, settings: HubSettings): Promise<OpenedStore> {
  let place: StorePlace;
  try {
    place = placeOfStore(folder, settings);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return closed('the store', failed('store', error.message, 'correct hub.json: docs/settings.md'));
  }
  return typeof place === 'string' ? openFile(place) : openDatabase(place);
}

function closed(place: string, finding: Finding): OpenedStore {
  return { db: undefined, place, isFile: false, findings: [finding], [Symbol.asyncDispose]: async () => undefined };
}

async function openFile(path: string): Promise<OpenedStore> {
  if (!existsSync(path))
    return closed(path, failed('store', `no ${path}`, 'restore a backup (docs/backup.md), or `edgekeep hub init`'));
  return opened(path, path, []);
}

async function openDatabase(place: Exclude<StorePlace, string>): Promise<OpenedStore> {
  const { postgresText } = await import('../../store/engine/postgres-place.ts');
  const { serverText } = await import('../../store/engine/postgres-server.ts');
  const text = postgresText(place);
  try {
    const server = await serverText(place);
    return await opened(text, place, [ok('database', `${text}: ${server}`)]);
  } catch (error) {
    if (!isOfEngine(error) && !(error instanceof HubError)) throw error;
    const found = error instanceof HubError ? error.message : `${text} cannot be reached: ${failureText(error)}`;
    return closed(text, failed('store', found, 'start the server, or correct the setting `store`: docs/postgresql.md'));
  }
}

async function opened(place: string, at: StorePlace, findings: readonly Finding[]): Promise<OpenedStore> {
  const db = await openReader<Tables>(at);
  return { db, place, isFile: typeof at === 'string', findings, [Symbol.asyncDispose]: () => db.destroy() };
}

/** A store that cannot be read, or is from before the tables of a check, is a finding of `checkStore`. */
export async function orNone(
  db: Kysely<Tables> | undefined,
  check: (db: Kysely<Tables>) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  if (db === undefined) return [];
  try {
    return await check(db);
  } catch (error) {
    if (isOfEngine(error)) return [];
    throw error;
  }
}

/** Whether a hub may use this store, or was moved elsewhere. */
export async function checkUse(db: Kysely<Tables>): Promise<readonly Finding[]> {
  if (!(await rowSqlOf(db).hasTable(db, 'store_move'))) return [];
  const mark = await markIn(db);
  if (mark === undefined) return [];
  return [failed('store', movedError(mark).message, 'docs/postgresql.md, "Moving a store"')];
}
