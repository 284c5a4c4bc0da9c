// What the evidence of a device that asks for a certificate must cover (spec/evidence.md, "Certifying a key"). An agent of the version before
// covers nonce and key only; it is served for one version (docs/upgrading.md), and counted.
import {
  type CertifyPurpose,
  certifyQualifyingData,
  type CertifySubject,
  certifyVersion,
} from '@edgekeep/core/attest/certify-subject';
import { claimedQualifyingData } from '@edgekeep/core/attest/claimed-data';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { equalBytes } from '@edgekeep/core/bytes';
import { type DeviceIdentity, identityKeys } from '@edgekeep/wire/api/device';
import type { Kysely } from 'kysely';
import { readLogs } from '../audit/hand-over.ts';
import { noteFormerName } from '../common/former-names.ts';
import type { Tables } from '../store/schema.ts';

export interface CertifyRequest extends Pick<
  CertifySubject,
  'deviceId' | 'witnessKey' | 'operationalSpki' | 'exporter'
> {
  readonly version: typeof certifyVersion | undefined;
  readonly identity: DeviceIdentity;
  readonly nonce: Uint8Array;
}

/**
 * The qualifying data of evidence for `purpose`. The hub has the names of its logs: a device that was made before a hand-over has the first one, a
 * later device a later one. The evidence picks among them, and its appraisal compares.
 */
export function qualifiedFor(
  purpose: CertifyPurpose,
  hubs: readonly [string, ...string[]],
  { version, identity, nonce, ...request }: CertifyRequest,
  evidence: Evidence,
): Uint8Array {
  if (version === undefined) {
    noteFormerName({ former: 'edgekeep-certify/v1', present: certifyVersion });
    return qualifyingData('certify', nonce, request.operationalSpki);
  }
  const keys = identityKeys(identity);
  const [first, ...later] = hubs;
  const over = (hub: string) => certifyQualifyingData(purpose, nonce, { ...request, hub, keys });
  const claimed = later.length === 0 ? undefined : claimedQualifyingData(evidence);
  return later.map(over).find((each) => claimed !== undefined && equalBytes(each, claimed)) ?? over(first);
}

/** The names of this hub's logs, the first one first. */
export async function hubNamesOf(db: Kysely<Tables>, logOrigin: string): Promise<readonly [string, ...string[]]> {
  const later = (await readLogs(db)).map(({ origin }) => origin).filter((origin) => origin !== logOrigin);
  return [logOrigin, ...new Set(later)];
}
