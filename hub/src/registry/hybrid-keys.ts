// The hybrid key that each device has registered (spec/enrollment.md, "The hybrid key"): the hub wraps its model keys for that key as well, and in
// no other form from then on, until an operator has it forgotten. Another identity of the device starts without one.
import { equalBytes } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { hybridSuite } from '@edgekeep/core/identity/hybrid-hpke';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { inBatches } from '../store/batches.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';

const keyOf = prepared<{ deviceId: string }, { readonly public_key: Uint8Array }>((db, value) =>
  db.selectFrom('device_hybrid_key').select('public_key').where('device_id', '=', value('deviceId')),
);

/** The public key; undefined for a device that has registered none. */
export async function findHybridKey(db: Kysely<Tables>, deviceId: string): Promise<Uint8Array | undefined> {
  const [row] = await keyOf(db, { deviceId });
  return row && new Uint8Array(row.public_key);
}

/** What a device's hybrid key is, without the key; undefined for a device that has registered none. */
export async function hybridKeyViewOf(
  db: Kysely<Tables>,
  deviceId: string,
): Promise<{ readonly suite: string; readonly sha256: string; readonly registeredAt: number } | undefined> {
  const row = await db
    .selectFrom('device_hybrid_key')
    .select(['public_key', 'registered_at'])
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  return row && { suite: hybridSuite, sha256: sha256Hex(row.public_key), registeredAt: row.registered_at };
}

/** Which of these devices have one. */
export async function hybridKeysAmong(db: Kysely<Tables>, deviceIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await inBatches(deviceIds, (some) =>
    db.selectFrom('device_hybrid_key').select('device_id').where('device_id', 'in', some).execute(),
  );
  return new Set(rows.map(({ device_id: id }) => id));
}

/** Devices that are neither wiped nor retired, by tier and by what their model keys are wrapped under. */
export async function countAgreementKeys(
  db: Kysely<Tables>,
): Promise<readonly { readonly tier: string; readonly kind: string; readonly count: number }[]> {
  const rows = await db
    .selectFrom('device')
    .leftJoin('device_hybrid_key', 'device_hybrid_key.device_id', 'device.id')
    .select(({ fn }) => [
      'tier',
      fn.countAll<number>().as('devices'),
      fn.count<number>('device_hybrid_key.registered_at').as('hybrid'),
    ])
    .where('state', 'not in', ['wiped', 'retired'])
    .groupBy('tier')
    .orderBy('tier')
    .execute();
  return rows.flatMap(({ tier, devices, hybrid }) => [
    { tier, kind: hybridSuite, count: hybrid },
    { tier, kind: 'classical', count: devices - hybrid },
  ]);
}

export interface HybridKeyOrder {
  readonly deviceId: string;
  readonly publicKey: Uint8Array;
  readonly nowMs: number;
}

/** Keeps the key; returns the one before. Throws `renewal-refused` when it is another device's: whose file it is can open its layer. */
export async function setHybridKey(
  trx: WriteTransaction,
  { deviceId, publicKey, nowMs }: HybridKeyOrder,
): Promise<Uint8Array | undefined> {
  const before = await findHybridKey(trx, deviceId);
  if (before !== undefined && equalBytes(before, publicKey)) return before;
  const other = await trx
    .selectFrom('device_hybrid_key')
    .select('device_id')
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  if (other !== undefined) {
    const message = `this hybrid key is the one of ${other.device_id}: a device makes its own`;
    throw new HubError('renewal-refused', message, { reasons: [{ code: 'hybrid-key-taken', message }] });
  }
  await forgetHybridKey(trx, deviceId);
  const row = { device_id: deviceId, public_key: publicKey, registered_at: nowMs };
  await trx.insertInto('device_hybrid_key').values(row).execute();
  return before;
}

/** For a device that returns as a new identity, and on an operator's order. */
export async function forgetHybridKey(trx: WriteTransaction, deviceId: string): Promise<void> {
  await trx.deleteFrom('device_hybrid_key').where('device_id', '=', deviceId).execute();
}
