// One place for a device that has only HMAC tokens (spec/presence.md, "Two places"): the address of the last accepted token.
import { notePlace } from '../registry/device-notes.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/schema.ts';
import { networkOf } from '../address/network-of.ts';
import { reportTwoPlaces, type TwoPlacesRule } from './two-places.ts';

/** Two tokens that crossed in the network prove nothing. */
const graceMs = 2_000;

export interface TokenPlaceRule {
  readonly tokensInOnePlace: boolean;
  readonly silentSeconds: number;
  readonly twoPlaces: TwoPlacesRule;
}

/**
 * Judges the address of a valid token, and notes it. `taken` is the answer that the caller gives after the transaction, which keeps the
 * note; `held` means that the device is now disabled.
 */
export async function arriveByToken(
  trx: WriteTransaction,
  device: Pick<DeviceRecord, 'id' | 'tier' | 'bound_address' | 'bound_at'>,
  { address, nowMs }: { readonly address: string; readonly nowMs: number },
  rule: TokenPlaceRule,
): Promise<'let-in' | 'taken' | 'held'> {
  const { id, tier, bound_address: known, bound_at: since } = device;
  const isKnown = known === null || since === null || networkOf(known) === networkOf(address);
  const isHeard = since !== null && nowMs - since < rule.silentSeconds * 1_000;
  if (rule.tokensInOnePlace && !isKnown && isHeard) {
    await trx
      .insertInto('token_rival')
      .values({ device_id: id, address, at: nowMs })
      // Keeps the first claim's deadline, so that an attacker who retries cannot postpone detection.
      .onConflict((c) => c.column('device_id').doUpdateSet({ address }))
      .execute();
    return 'taken';
  }
  const rival = await trx.selectFrom('token_rival').selectAll().where('device_id', '=', id).executeTakeFirst();
  const isShown = rival !== undefined && isKnown && since !== null && nowMs - rival.at >= graceMs;
  if (rival !== undefined && (isShown || !isKnown))
    await trx.deleteFrom('token_rival').where('device_id', '=', id).execute();
  await notePlace(trx, id, { address, nowMs });
  if (!isShown || known === null) return 'let-in';
  const first = { address: known, since, serial: '' };
  const second = { address: rival.address, serial: '' };
  await reportTwoPlaces(trx, { deviceId: id, tier, first, second, times: 1, nowMs }, rule.twoPlaces);
  return rule.twoPlaces === 'hold-both' ? 'held' : 'let-in';
}
