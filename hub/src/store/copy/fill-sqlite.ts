// Makes a new file of SQLite with the rows of a store on PostgreSQL: for a move back, and for a backup.
import { open, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { syncFile } from '@edgekeep/host/durable-file';
import { HubError } from '../../common/error.ts';
import { SqliteEngine } from '../engine/sqlite-engine.ts';
import { migrate } from '../migrate.ts';
import type { Tables } from '../schema.ts';
import type { CopyProgress, CopySource } from './copy-end.ts';
import { compareRows, type ComparedRows } from './compare-rows.ts';
import { copyRows } from './copy-rows.ts';
import { sqliteSource, sqliteTarget } from './sqlite-end.ts';
import { markRow, markShape, type StoreMark } from '../store-mark.ts';
import { shapesOf, type TableShape } from '../table-shape.ts';

export interface SqliteFilling {
  readonly source: CopySource;
  /** Undefined for a backup. */
  readonly mark: StoreMark | undefined;
  readonly progress: CopyProgress;
}

/** The files of a store at this path. */
export const sqliteFiles = (path: string): readonly string[] =>
  ['', '-wal', '-shm', '-journal'].map((end) => `${path}${end}`);

/** Makes the file, which must be absent, and returns the tables that were copied. It is on disk then. */
export async function fillSqlite(
  path: string,
  { source, mark, progress }: SqliteFilling,
): Promise<readonly TableShape[]> {
  await (await open(path, 'wx', 0o600)).close();
  {
    await using engine = new SqliteEngine<Tables>(path, () => undefined);
    await engine.migrate(migrate);
  }
  const shapes = await filled(path, { source, mark, progress });
  await syncFile(path);
  return shapes;
}

// Without a journal and without a sync for each page: a copy that was killed is thrown away.
async function filled(path: string, { source, mark, progress }: SqliteFilling): Promise<readonly TableShape[]> {
  using store = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  store.exec('PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN EXCLUSIVE');
  const shapes = shapesOf(store);
  const target = sqliteTarget(store);
  await copyRows(source, target, { shapes, progress });
  if (mark !== undefined) await target.insert(markShape, markRow(mark));
  const lost = store.prepare('PRAGMA foreign_key_check').get();
  if (lost !== undefined)
    throw new HubError('move-refused', `a row of ${String(lost['table'])} refers to one that is not there`);
  store.exec('COMMIT');
  return shapes;
}

/** Compares a file with the store that it is a copy of. */
export async function compareSqlite(
  path: string,
  source: CopySource,
  watch: { readonly shapes: readonly TableShape[]; readonly progress: CopyProgress },
): Promise<ComparedRows> {
  using store = new DatabaseSync(path, { readOnly: true });
  store.exec('BEGIN');
  return await compareRows(source, sqliteSource(store), watch);
}

/** A snapshot of a store on PostgreSQL as a file, row by row the same. */
export async function snapshotAsSqlite(path: string, source: CopySource): Promise<void> {
  const progress = () => undefined;
  try {
    const shapes = await fillSqlite(path, { source, mark: undefined, progress });
    await compareSqlite(path, source, { shapes, progress });
  } catch (error) {
    for (const file of sqliteFiles(path)) await rm(file, { force: true });
    throw error;
  }
}
