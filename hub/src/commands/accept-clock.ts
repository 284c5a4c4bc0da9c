// The way back from a wrong latest time (docs/design/hub-time.md): a person with access to the hub's data folder makes the machine's time the
// latest one, and the log records both.
import { existsSync } from 'node:fs';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { Database } from '../store/database.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { isMigrated } from '../store/migrate.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import type { Tables } from '../store/schema.ts';
import { readHubSettings } from '../settings.ts';
import { latestTimeIn, storeLatest } from '../store/hub-time.ts';

export interface AcceptedClock {
  /** The latest time before, unix milliseconds. */
  readonly from: number;
  readonly to: number;
}

/** For the store of a stopped hub. Throws `conflict` for a store of another version: without the hub's keys nobody can compare its rows first. */
export async function acceptClock(folder: string, nowMs: number): Promise<AcceptedClock> {
  const place = placeOfStore(folder, await readHubSettings(folder));
  if (typeof place === 'string' && !existsSync(place)) throw new HubError('request-invalid', `${folder} holds no hub`);
  await assertMigrated(place);
  await using database = await Database.open(place);
  return database.write(async (trx) => {
    const from = await latestTimeIn(trx);
    await storeLatest(trx, nowMs);
    const kind = 'hub-clock-accepted';
    await appendEntry(trx, { at: nowMs, kind, actor: 'hub-machine', subject: 'hub-clock', data: { from, to: nowMs } });
    return { from, to: nowMs };
  });
}

async function assertMigrated(place: StorePlace): Promise<void> {
  {
    await using reader = await openReader<Tables>(place);
    if (await isMigrated(reader)) return;
  }
  const message = `the store was written by another version, and only a start of the hub compares its rows and upgrades it`;
  throw new HubError(
    'conflict',
    `${message}: run \`edgekeep hub accept-clock\` of that version, or start the hub first`,
  );
}

export function acceptedClockText({ from, to }: AcceptedClock): string {
  const [before, now] = [from, to].map((ms) => new Date(ms).toISOString());
  return `the hub's time continues at ${now}, it was ${before}: what was over by then may be valid again\n`;
}
