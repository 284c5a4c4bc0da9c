// One place for a device that has only HMAC tokens (spec/presence.md, "Concurrent sessions"): the address of the last accepted token.
import { notePlace } from '../registry/device-notes.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import { reportConcurrentSessions, type ConcurrentSessionsRule } from './concurrent-sessions.ts';

/** Two tokens that crossed in the network prove nothing. */
const graceMs = 2_000;

export interface TokenSessionRule {
  readonly tokensBoundToAddress: boolean;
  readonly silentSeconds: number;
  readonly concurrentSessions: ConcurrentSessionsRule;
}

/**
 * Judges the address of a valid token, and notes it. `taken` is the answer that the caller gives after the transaction, which keeps the
 * note; `held` means that the device is now disabled.
 */
export async function arriveByToken(
  trx: WriteTransaction,
  device: Pick<DeviceRecord, 'id' | 'tier' | 'bound_address' | 'bound_at'>,
  { address, nowMs }: { readonly address: string; readonly nowMs: number },
  rule: TokenSessionRule,
): Promise<'let-in' | 'taken' | 'held'> {
  const { id, tier, bound_address: known, bound_at: since } = device;
  const isKnown = known === null || since === null || networkOf(known) === networkOf(address);
  const isHeard = since !== null && nowMs - since < rule.silentSeconds * 1_000;
  if (rule.tokensBoundToAddress && !isKnown && isHeard) {
    await trx
      .insertInto('token_rival')
      .values({ device_id: id, address, at: nowMs })
      // Keeps the first claim's deadline, so that an attacker who retries cannot postpone detection.
      .onConflict((c) => c.column('device_id').doUpdateSet({ address }))
      .execute();
    return 'taken';
  }
  const conflict = await trx.selectFrom('token_rival').selectAll().where('device_id', '=', id).executeTakeFirst();
  const isShown = conflict !== undefined && isKnown && since !== null && nowMs - conflict.at >= graceMs;
  if (conflict !== undefined && (isShown || !isKnown))
    await trx.deleteFrom('token_rival').where('device_id', '=', id).execute();
  await notePlace(trx, id, { address, nowMs });
  if (!isShown || known === null) return 'let-in';
  const first = { address: known, since, serial: '' };
  const second = { address: conflict.address, serial: '' };
  await reportConcurrentSessions(trx, { deviceId: id, tier, first, second, times: 1, nowMs }, rule.concurrentSessions);
  return rule.concurrentSessions === 'hold-both' ? 'held' : 'let-in';
}
