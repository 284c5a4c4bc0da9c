// For tests: a store in a folder of its own, and what its audit log says.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Database } from './database.ts';

export interface TestStore {
  readonly database: Database;
  readonly folder: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Gone with its folder when it is disposed. */
export async function openTestStore(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-store-'));
  const database = await Database.open(join(folder, 'hub.sqlite'));
  return {
    database,
    folder,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
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
