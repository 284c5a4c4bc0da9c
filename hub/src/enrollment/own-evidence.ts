// What a registered device proves about itself in one request: a next key, a hybrid key, a state that it lost. Each proof is evidence over a document
// of its own; who signed it, and what refuses it, is the same for all.
import { claimedQualifyingData } from '@edgekeep/core/attest/claimed-data';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { equalBytes } from '@edgekeep/core/bytes';
import type { Kysely } from 'kysely';
import { type Appraiser, isAuthentic, recordSetBack } from '../attest/appraiser.ts';
import type { ImaPieces } from '../attest/ima-pieces.ts';
import { readLogs } from '../audit/hand-over.ts';
import { HubError } from '../common/error.ts';
import { incarnationOf } from '../registry/device-row.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { getDevice } from '../registry/states.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';

export interface OwnEvidence {
  readonly evidence: Evidence;
  readonly nonce: Uint8Array;
  /** When the nonce was issued, milliseconds since 1970 by the hub's clock. */
  readonly askedMs: number;
  readonly nowMs: number;
  /** Of the connection on which it came. */
  readonly pieces: ImaPieces;
}

export interface OwnAppraisal {
  readonly appraisal: Appraisal;
  readonly attestationResult: string;
}

interface Proven {
  /** The 32 bytes that the evidence has to cover. */
  readonly qualifyingData: Uint8Array;
  /** What it proves, for the refusal. */
  readonly what: string;
}

/**
 * Appraises it. Throws `renewal-refused` when the registered root of trust did not sign it, with an entry where its TPM was set back. Only after it
 * proved to be the device's own, throws the refusal for a device that is cut off.
 */
export async function appraiseOwn(
  { database, appraiser }: { readonly database: Pick<Database, 'writeAsHub'>; readonly appraiser: Appraiser },
  device: DeviceRecord,
  { evidence, nonce, askedMs, nowMs, pieces }: OwnEvidence,
  { qualifyingData, what }: Proven,
): Promise<OwnAppraisal> {
  const expected = { qualifyingData, nonce, askedMs, nowMs, pieces };
  const { appraisal, attestationResult } = await appraiser.appraise(device, evidence, expected);
  if (!isAuthentic(appraisal)) {
    await recordSetBack(database, device.id, appraisal, nowMs);
    const { reasons } = appraisal;
    throw new HubError('renewal-refused', `the evidence does not prove ${what}`, { reasons, attestationResult });
  }
  assertNotCutOff(device);
  return { appraisal, attestationResult };
}

/** The device in the transaction that acts. Throws `conflict` when it has enrolled again since it was read for the appraisal. */
export async function sameEnrollment(trx: WriteTransaction, device: DeviceRecord): Promise<DeviceRecord> {
  const now = await getDevice(trx, device.id);
  if (incarnationOf(now) === incarnationOf(device)) return now;
  throw new HubError('conflict', `${device.id} has enrolled again in the meantime`);
}

/** The names of this hub's logs, the first one first. */
export async function hubNamesOf(db: Kysely<Tables>, logOrigin: string): Promise<readonly [string, ...string[]]> {
  const later = (await readLogs(db)).map(({ origin }) => origin).filter((origin) => origin !== logOrigin);
  return [logOrigin, ...new Set(later)];
}

/**
 * The qualifying data by the name of the hub that this device knows: one that was made before a hand-over of the log knows the first, a later one a
 * later. The evidence picks among them, and its appraisal compares.
 */
export function overHubs(
  [first, ...later]: readonly [string, ...string[]],
  evidence: Evidence,
  over: (hub: string) => Uint8Array,
): Uint8Array {
  const claimed = later.length === 0 ? undefined : claimedQualifyingData(evidence);
  return later.map(over).find((each) => claimed !== undefined && equalBytes(each, claimed)) ?? over(first);
}
