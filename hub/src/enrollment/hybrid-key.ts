// A device names its hybrid key (spec/enrollment.md, "The hybrid key"; the letters are those of the page): when it has enrolled, and whenever the
// hub does not know the key that it has. Its root of trust vouches for the key, and the device opens a secret with it.
import { randomBytes } from 'node:crypto';
import { hybridKeyProofInfo } from '@edgekeep/core/access/hybrid-wrap';
import { hybridKeyQualifyingData } from '@edgekeep/core/attest/hybrid-key-subject';
import { equalBytes } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { CoreError } from '@edgekeep/core/error';
import { hybridSeal, hybridSuite } from '@edgekeep/core/identity/hybrid-hpke';
import type { HpkeSealed } from '@edgekeep/core/identity/hpke';
import { identityKeys } from '@edgekeep/wire/api/device';
import { type Appraiser, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import { identityOf } from '../attest/root-keys.ts';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { setHybridKey } from '../registry/hybrid-keys.ts';
import { getDevice } from '../registry/states.ts';
import type { Database } from '../store/database.ts';
import { appraiseOwn, hubNamesOf, type OwnEvidence, overHubs, sameEnrollment } from './own-evidence.ts';

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

export interface HybridKeyProof extends OwnEvidence {
  readonly secret: Uint8Array;
  readonly exporter: Uint8Array;
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
  proof: HybridKeyProof,
): Promise<string> {
  const { secret: opened, exporter, nowMs } = proof;
  // b. The device opened the secret.
  if (!equalBytes(opened, secret)) {
    const message = 'the secret for the hybrid key was not opened: the device does not have that key';
    throw new HubError('renewal-refused', message, { reasons: [{ code: 'hybrid-key-not-possessed', message }] });
  }
  // c. The registered root of trust vouches for the key, at this hub and on this connection.
  const device = await getDevice(database.read, deviceId);
  const keys = identityKeys(identityOf(device));
  const hubs = await hubNamesOf(database.read, settings.logOrigin);
  const qualifyingData = overHubs(hubs, proof.evidence, (hub) =>
    hybridKeyQualifyingData(proof.nonce, { hub, deviceId, keys, hybridKey: publicKey, exporter }),
  );
  const proven = { qualifyingData, what: 'the hybrid key' };
  const { appraisal } = await appraiseOwn({ database, appraiser }, device, proof, proven);
  // d. In one transaction, with state and identity read again.
  const sha256 = sha256Hex(publicKey);
  await database.write(async (trx) => {
    await sameEnrollment(trx, device);
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
