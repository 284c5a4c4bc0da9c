// What imports say about expected devices and blocked roots of trust (spec/registry.md, "Import"): list them, withdraw them, and block or
// unblock a single root of trust.
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { findDevice } from './states.ts';

interface Page {
  readonly after: string;
  readonly limit: number;
}

interface AdmissionOrder {
  readonly actor: string;
  readonly nowMs: number;
}

export interface Expected {
  readonly id: string;
  readonly rootSha256: string | null;
  readonly site: string | null;
  readonly importedAt: number;
  readonly enrolled: boolean;
}

/** By id, those after `after`; with `waiting` only devices that have not enrolled yet. */
export async function listExpected(
  db: Kysely<Tables>,
  { after, limit, waiting }: Page & { readonly waiting: boolean },
): Promise<readonly Expected[]> {
  const rows = await db
    .selectFrom('expected_device')
    .leftJoin('device', 'device.id', 'expected_device.id')
    .select([
      'expected_device.id as id',
      'expected_device.root_sha256 as rootSha256',
      'expected_device.site as site',
      'expected_device.imported_at as importedAt',
      'device.id as deviceId',
    ])
    .where('expected_device.id', '>', after)
    .$if(waiting, (q) => q.where('device.id', 'is', null))
    .orderBy('expected_device.id')
    .limit(limit)
    .execute();
  return rows.map(({ deviceId, ...row }) => ({ ...row, enrolled: deviceId !== null }));
}

/** Withdraws the expectation of a device. A device that has enrolled is unchanged, with its tags and groups. */
export async function removeExpected(
  database: Database,
  order: AdmissionOrder & { readonly id: string },
): Promise<void> {
  const { id, actor, nowMs } = order;
  await database.write(async (trx) => {
    const gone = await trx
      .deleteFrom('expected_device')
      .where('id', '=', id)
      .returning('root_sha256')
      .executeTakeFirst();
    if (gone === undefined)
      throw new HubError('not-found', `${id} is not expected: \`edgekeep expected-device list\` shows all`);
    await trx.deleteFrom('enrolment_listing').where('device_id', '=', id).execute();
    if ((await findDevice(trx, id)) === undefined) {
      await trx.deleteFrom('device_tag').where('device_id', '=', id).execute();
      await trx.deleteFrom('device_group_member').where('device_id', '=', id).execute();
    }
    const data = { rootSha256: gone.root_sha256 };
    await appendEntry(trx, { at: nowMs, kind: 'expected-device-removed', actor, subject: `device:${id}`, data });
  });
}

export interface BlockedRoot {
  readonly rootSha256: string;
  readonly reason: string;
  readonly blockedAt: number;
}

/** By digest, those after `after`. */
export async function listBlockedRoots(db: Kysely<Tables>, { after, limit }: Page): Promise<readonly BlockedRoot[]> {
  return db
    .selectFrom('blocked_root')
    .select(['root_sha256 as rootSha256', 'reason', 'blocked_at as blockedAt'])
    .where('root_sha256', '>', after)
    .orderBy('root_sha256')
    .limit(limit)
    .execute();
}

interface BlockedRootOrder extends AdmissionOrder {
  readonly rootSha256: string;
  readonly reason: string;
}

/** From now on it cannot enroll. Returns the device that has enrolled with it, or with that IDevID; that device is unchanged. */
export async function blockRoot(database: Database, order: BlockedRootOrder): Promise<string | undefined> {
  const { rootSha256, reason, actor, nowMs } = order;
  return database.write(async (trx) => {
    await trx
      .insertInto('blocked_root')
      .values({ root_sha256: rootSha256, reason, blocked_at: nowMs })
      .onConflict((conflict) => conflict.column('root_sha256').doUpdateSet({ reason }))
      .execute();
    const subject = `root-of-trust:${rootSha256}`;
    await appendEntry(trx, { at: nowMs, kind: 'root-of-trust-blocked', actor, subject, data: { reason } });
    const device = await trx.selectFrom('device').select('id').where('root_sha256', '=', rootSha256).executeTakeFirst();
    if (device !== undefined) return device.id;
    const named = await trx
      .selectFrom('device_idevid')
      .select('device_id')
      .where('sha256', '=', rootSha256)
      .executeTakeFirst();
    return named?.device_id;
  });
}

/** It may enroll again if every other rule allows it. */
export async function unblockRoot(database: Database, order: BlockedRootOrder): Promise<void> {
  const { rootSha256, reason, actor, nowMs } = order;
  await database.write(async (trx) => {
    const gone = await trx
      .deleteFrom('blocked_root')
      .where('root_sha256', '=', rootSha256)
      .returning('reason')
      .executeTakeFirst();
    if (gone === undefined)
      throw new HubError('not-found', 'this root of trust is not blocked: `edgekeep root-of-trust list` shows all');
    const subject = `root-of-trust:${rootSha256}`;
    const data = { reason, was: gone.reason };
    await appendEntry(trx, { at: nowMs, kind: 'root-of-trust-unblocked', actor, subject, data });
  });
}
