// The way back from a wrong latest time (docs/design/hub-time.md): a person with access to the hub's data folder makes the machine's time the
// latest one, and the log records both.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { Database } from '../store/database.ts';
import { openReader } from '../store/engine/place.ts';
import { isMigrated } from '../store/migrate.ts';
import type { Tables } from '../store/schema.ts';
import { latestTimeIn, storeLatest } from '../store/hub-time.ts';

export interface AcceptedClock {
  /** The latest time before, unix milliseconds. */
  readonly from: number;
  readonly to: number;
}

/** For the store of a stopped hub. Throws `conflict` for a store of another version: without the hub's keys nobody can compare its rows first. */
export async function acceptClock(folder: string, nowMs: number): Promise<AcceptedClock> {
  const file = join(folder, 'hub.sqlite');
  if (!existsSync(file)) throw new HubError('request-invalid', `${folder} holds no hub`);
  await assertMigrated(file);
  await using database = await Database.open(file);
  return database.write(async (trx) => {
    const from = await latestTimeIn(trx);
    await storeLatest(trx, nowMs);
    const kind = 'hub-clock-accepted';
    await appendEntry(trx, { at: nowMs, kind, actor: 'hub-machine', subject: 'hub-clock', data: { from, to: nowMs } });
    return { from, to: nowMs };
  });
}

async function assertMigrated(file: string): Promise<void> {
  await using reader = await openReader<Tables>(file);
  if (await isMigrated(reader)) return;
  const message = `${file} was written by another version, and only a start of the hub compares its rows and upgrades it`;
  throw new HubError(
    'conflict',
    `${message}: run \`edgekeep hub accept-clock\` of that version, or start the hub first`,
  );
}

export function acceptedClockText({ from, to }: AcceptedClock): string {
  const [before, now] = [from, to].map((ms) => new Date(ms).toISOString());
  return `the hub's time continues at ${now}, it was ${before}: what was over by then may be valid again\n`;
}
