// A device names its hybrid key (spec/enrollment.md, "The hybrid key"; the letters are those of the page): when it has enrolled, and whenever the
// hub does not know the key that it has. Its root of trust vouches for the key, and the device opens a secret with it.
import { randomBytes } from 'node:crypto';
import { hybridKeyProofInfo } from '@edgekeep/core/access/hybrid-wrap';
import { hybridKeyQualifyingData } from '@edgekeep/core/attest/hybrid-key-subject';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { equalBytes } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { CoreError } from '@edgekeep/core/error';
import { hybridSeal, hybridSuite } from '@edgekeep/core/identity/hybrid-hpke';
import type { HpkeSealed } from '@edgekeep/core/identity/hpke';
import { identityKeys } from '@edgekeep/wire/api/device';
import {
  type Appraiser,
  isAuthentic,
  recordAppraisal,
  recordSetBack,
  untilReferencesStay,
} from '../attest/appraiser.ts';
import { identityOf } from '../attest/root-keys.ts';
import type { ImaPieces } from '../attest/ima-pieces.ts';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { incarnationOf } from '../registry/device-row.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { setHybridKey } from '../registry/hybrid-keys.ts';
import { getDevice } from '../registry/states.ts';
import type { Database } from '../store/database.ts';

const secretLength = 32;

export interface HybridKeyDependencies {
  readonly database: Database;
  readonly appraiser: Appraiser;
  readonly settings: { readonly logOrigin: string };
}

/** What the hub keeps on the connection between the two steps. */
export interface PendingHybridKey {
  readonly publicKey: Uint8Array;
  readonly secret: Uint8Array;
}

/** a. A secret that only the owner of the key can open. Throws `request-invalid` for bytes that are no key. */
export function startHybridKey(
  deviceId: string,
  publicKey: Uint8Array,
): { readonly pending: PendingHybridKey; readonly sealed: HpkeSealed } {
  const secret = randomBytes(secretLength);
  const info = hybridKeyProofInfo(deviceId);
  try {
    const sealed = hybridSeal({ recipientPublicKey: publicKey, info, plaintext: secret });
    return { pending: { publicKey, secret }, sealed };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new HubError('request-invalid', `the hybrid key: ${error.message}`, { cause: error });
  }
}

export interface HybridKeyProof {
  readonly secret: Uint8Array;
  readonly evidence: Evidence;
  readonly nonce: Uint8Array;
  readonly askedMs: number;
  readonly exporter: Uint8Array;
  readonly pieces: ImaPieces;
  readonly nowMs: number;
}

/** Registers the key, with its entry; answers its SHA-256. Throws `renewal-refused` with the reason of the rule that does not hold. */
export async function completeHybridKey(
  dependencies: HybridKeyDependencies,
  deviceId: string,
  pending: PendingHybridKey,
  proof: HybridKeyProof,
): Promise<string> {
  return untilReferencesStay(() => completeOnce(dependencies, deviceId, pending, proof));
}

async function completeOnce(
  { database, appraiser, settings }: HybridKeyDependencies,
  deviceId: string,
  { publicKey, secret }: PendingHybridKey,
  { secret: opened, evidence, nonce, askedMs, exporter, pieces, nowMs }: HybridKeyProof,
): Promise<string> {
  // b. The device opened the secret.
  if (!equalBytes(opened, secret)) {
    const message = 'the secret for the hybrid key was not opened: the device does not have that key';
    throw new HubError('renewal-refused', message, { reasons: [{ code: 'hybrid-key-not-possessed', message }] });
  }
  // c. The registered root of trust vouches for the key, at this hub and on this connection.
  const device = await getDevice(database.read, deviceId);
  const keys = identityKeys(identityOf(device));
  const subject = { hub: settings.logOrigin, deviceId, keys, hybridKey: publicKey, exporter };
  const expected = { qualifyingData: hybridKeyQualifyingData(nonce, subject), nonce, askedMs, nowMs, pieces };
  const { appraisal, attestationResult } = await appraiser.appraise(device, evidence, expected);
  if (!isAuthentic(appraisal)) {
    const { reasons } = appraisal;
    await recordSetBack(database, deviceId, appraisal, nowMs);
    throw new HubError('renewal-refused', 'the evidence does not prove the hybrid key', { reasons, attestationResult });
  }
  assertNotCutOff(device);
  // d. In one transaction, with state and identity read again.
  const sha256 = sha256Hex(publicKey);
  await database.write(async (trx) => {
    const now = await getDevice(trx, deviceId);
    if (incarnationOf(now) !== incarnationOf(device))
      throw new HubError('conflict', `${deviceId} has enrolled again in the meantime`);
    const before = await setHybridKey(trx, { deviceId, publicKey, nowMs });
    assertNotCutOff(await recordAppraisal(trx, deviceId, appraisal, nowMs));
    if (before !== undefined && equalBytes(before, publicKey)) return;
    const replaced = before === undefined ? {} : { replaces: sha256Hex(before) };
    await appendEntry(trx, {
      at: nowMs,
      kind: 'hybrid-key-registered',
      actor: `device:${deviceId}`,
      subject: `device:${deviceId}`,
      data: { suite: hybridSuite, sha256, ...replaced },
    });
  });
  return sha256;
}
