// The end of a publisher (spec/model-signature.md, "The end of a publisher"): what it published before goes on to count, nothing that comes later does.
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';

export interface PublisherEndOrder {
  readonly fingerprint: string;
  /** Unix milliseconds, not in the past; left out: now. */
  readonly endsAtMs?: number | undefined;
  /** Why, for people. */
  readonly note: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** Returns the end. A later order may only move it ahead. Throws `not-found`, `conflict`, and `request-invalid` for an end in the past. */
export async function endPublisher(database: Database, order: PublisherEndOrder): Promise<number> {
  const { fingerprint, note, actor, nowMs } = order;
  const endsAt = order.endsAtMs ?? nowMs;
  if (endsAt < nowMs) {
    const message =
      'an end is now or later: withdraw what was published since then (`model`, `reference`, `ima-policy`)';
    throw new HubError('request-invalid', message);
  }
  await database.write(async (trx) => {
    const publisher = await trx
      .selectFrom('publisher')
      .leftJoin('publisher_end', 'publisher_end.fingerprint', 'publisher.fingerprint')
      .select(['name', 'ends_at'])
      .where('publisher.fingerprint', '=', fingerprint)
      .executeTakeFirst();
    if (publisher === undefined)
      throw new HubError('not-found', `no publisher ${fingerprint}: \`edgekeep publisher list\` shows all`);
    const { name, ends_at: before } = publisher;
    if (before !== null && before <= endsAt)
      throw new HubError('conflict', `the publisher ${name} ends on ${new Date(before).toISOString()} already`);
    const row = { ends_at: endsAt, note, ordered_at: nowMs };
    await trx
      .insertInto('publisher_end')
      .values({ fingerprint, ...row })
      .onConflict((c) => c.column('fingerprint').doUpdateSet(row))
      .execute();
    const data = { name, endsAt, note };
    await appendEntry(trx, { at: nowMs, kind: 'publisher-ended', actor, subject: fingerprint, data });
  });
  return endsAt;
}
