// What the hub knows of a device by its name, for those who verify its evidence themselves: its attestation key, and the hub's keys that sign
// attestation results.
import { isValidAt } from '@edgekeep/core/authority/key-list';
import { parseTrust } from '@edgekeep/core/access/trust';
import { verifyAttestationResult } from '@edgekeep/core/attest/ear';
import { resultNonce } from '@edgekeep/core/attest/result-nonce';
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { deviceDetail } from '@edgekeep/wire/api/device-view';
import type { z } from 'zod';
import type { Operator } from '../operator.ts';
import { HubRefusal } from '../refusal.ts';

const SKEW_SECONDS_MAX = 300;

/** The nonce of an answer, from the result in it; throws for a result that does not count. */
export type NonceOfResult = (token: string) => Uint8Array;

/** TPMT_PUBLIC. Throws the hub's refusal for a device that it does not know, or that has none. */
export async function attestationKeyAt(hub: Operator, deviceId: string): Promise<Uint8Array> {
  return attestationKeyOf(await hub.get(`/v1/devices/${encodeURIComponent(deviceId)}`, deviceDetail));
}

/** Throws `not-found` where there is none. */
export function attestationKeyOf({ id, attestationKey }: z.infer<typeof deviceDetail>): Uint8Array {
  if (attestationKey !== null) return parseBase64url(attestationKey, 'attestationKey');
  const why = `the hub has no attestation key of ${id}: the device has no TPM, or the hub is older than this program`;
  throw new HubRefusal(404, 'not-found', why);
}

/** For the results of one device, by the hub's keys of this moment. */
export async function resultTrustAt(hub: Operator, deviceId: string, maxAgeSeconds: number): Promise<NonceOfResult> {
  const { attestationKeys } = parseTrust(await hub.getBytes('/v1/trust'));
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const window = { nowSeconds, maxAgeSeconds, maxSkewSeconds: SKEW_SECONDS_MAX };
  return (token) => {
    const verdicts = attestationKeys
      .filter((key) => isValidAt(key, nowSeconds) && !key.compromised)
      .map(({ publicKey }) => verifyAttestationResult(token, publicKey, window));
    const good = verdicts.find((verdict) => verdict.kind === 'verified');
    if (good === undefined) {
      const why = verdicts.flatMap((verdict) => (verdict.kind === 'refused' ? verdict.reasons : []));
      throw new CoreError('evidence-invalid', `the hub's result in the answer does not count: ${why.join('; ')}`);
    }
    const { subject } = good.result;
    if (subject === deviceId) return resultNonce(token);
    throw new CoreError('evidence-invalid', `the hub's result in the answer is of ${subject}, not of ${deviceId}`);
  };
}
