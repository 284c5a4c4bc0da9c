// For tests: a store in a separate folder, and the content of its audit log.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Database } from './database.ts';
import type { StorePlace } from './engine/place.ts';
import { databaseOf, dropDatabase, testEngine } from './testing-place.ts';

export interface TestStore {
  readonly database: Database;
  readonly folder: string;
  [Symbol.asyncDispose](): Promise<void>;
}

const fileName = 'hub.sqlite';
/** A new, closed store: copying it takes a fraction of the time of its migrations. */
let fresh: Promise<Uint8Array> | undefined;
/** The same as a database. */
let freshDatabase: Promise<string> | undefined;

/** Disposing it removes its folder. `thread` is the file of its reading thread. */
export async function openTestStore(thread?: URL): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-store-'));
  const place = await copyOfFresh(folder);
  const database = await Database.open(place, 'optional', thread);
  return {
    database,
    folder,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      if (typeof place !== 'string') await dropDatabase(place);
      await rm(folder, { recursive: true });
    },
  };
}

async function copyOfFresh(folder: string): Promise<StorePlace> {
  if (testEngine === 'postgres') {
    freshDatabase ??= makeFreshDatabase();
    return databaseOf(join(folder, fileName), await freshDatabase);
  }
  fresh ??= makeFresh();
  await writeFile(join(folder, fileName), await fresh);
  return join(folder, fileName);
}

async function makeFreshDatabase(): Promise<string> {
  const place = await databaseOf(`fresh-${process.pid}`);
  const database = await Database.open(place);
  await database[Symbol.asyncDispose]();
  return place.database;
}

async function makeFresh(): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-store-'));
  const database = await Database.open(join(folder, fileName));
  await database[Symbol.asyncDispose]();
  const bytes = await readFile(join(folder, fileName));
  await rm(folder, { recursive: true });
  return bytes;
}

const entrySchema = z.object({
  kind: z.string(),
  actor: z.string(),
  subject: z.string(),
  data: z.record(z.string(), z.unknown()),
});

/** The entries of the audit log, oldest first. */
export async function auditEntries({ read }: Pick<Database, 'read'>): Promise<readonly z.infer<typeof entrySchema>[]> {
  const rows = await read.selectFrom('audit_entry').select('entry').orderBy('log_index').execute();
  return rows.map(({ entry }) => entrySchema.parse(JSON.parse(Buffer.from(entry).toString('utf8'))));
}
