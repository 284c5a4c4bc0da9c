// The store that a move makes, on either engine, and its place until it is in use.
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { syncFolder } from '@edgekeep/host/durable-file';
import { HubError } from '../../common/error.ts';
import type { StorePlace } from '../engine/place.ts';
import { compareRows, type ComparedRows } from './compare-rows.ts';
import type { CopyProgress, CopySource } from './copy-end.ts';
import { compareSqlite, fillSqlite, sqliteFiles } from './fill-sqlite.ts';
import { markAt, type StoreMark } from '../store-mark.ts';
import { shapesOf, type TableShape } from '../table-shape.ts';

interface IncomingRows {
  readonly source: CopySource;
  readonly mark: StoreMark;
  readonly progress: CopyProgress;
}

export interface IncomingStore {
  /** Where it is while it is compared. */
  readonly place: StorePlace;
  receive(order: IncomingRows): Promise<void>;
  compare(source: CopySource, progress: CopyProgress): Promise<ComparedRows>;
  takeItsPlace(): Promise<void>;
}

/** `from` is the store that is copied. Throws `move-refused` where a store is that is neither a copy that never got into use nor one that was left. */
export async function incomingStoreAt(place: StorePlace, from: StorePlace): Promise<IncomingStore> {
  if (typeof place !== 'string') return inPostgres(place, from);
  const mark = await markAt(place);
  if (existsSync(place) && mark === undefined)
    throw new HubError('move-refused', `${place} holds a store already: move it away first`);
  return inFile(place, mark);
}

async function inPostgres(place: Exclude<StorePlace, string>, from: StorePlace): Promise<IncomingStore> {
  if (typeof from !== 'string') throw new TypeError('rows go from SQLite to PostgreSQL here');
  const { fillPostgres } = await import('./fill-postgres.ts');
  const { snapshotPostgres } = await import('./held-postgres.ts');
  const shapes = shapesIn(from);
  return {
    place,
    receive: (order) => fillPostgres(place, { ...order, shapes }),
    compare: async (source, progress) => {
      await using copy = await snapshotPostgres(place);
      return await compareRows(source, copy.source, { shapes, progress });
    },
    takeItsPlace: async () => undefined,
  };
}

function shapesIn(path: string): readonly TableShape[] {
  using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  return shapesOf(store);
}

/** Made beside its name. A store that was left keeps its content under another one. */
function inFile(path: string, known: StoreMark | undefined): IncomingStore {
  const beside = `${path}.incoming`;
  let shapes: readonly TableShape[] = [];
  return {
    place: beside,
    receive: async (order) => {
      for (const file of sqliteFiles(beside)) await rm(file, { force: true });
      shapes = await fillSqlite(beside, order);
    },
    compare: (source, progress) => compareSqlite(beside, source, { shapes, progress }),
    takeItsPlace: async () => {
      if (known?.state === 'moved') await setAside(path, known.at);
      else for (const file of sqliteFiles(path)) await rm(file, { force: true });
      await rename(beside, path);
      await syncFolder(dirname(path));
    },
  };
}

async function setAside(path: string, atMs: number): Promise<void> {
  {
    // Its last connection brings everything into the one file.
    using store = new DatabaseSync(path);
    store.exec('PRAGMA journal_mode=DELETE');
  }
  await rename(path, `${path}.moved-${new Date(atMs).toISOString().replaceAll(/[:.]/g, '-')}`);
}
