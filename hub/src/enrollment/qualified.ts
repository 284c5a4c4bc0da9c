// What the evidence of a device that asks for a certificate must cover (spec/evidence.md, "Certifying a key"). An agent of the version before
// covers nonce and key only; it is served for one version (docs/upgrading.md), and counted.
import {
  type CertifyPurpose,
  certifyQualifyingData,
  type CertifySubject,
  certifyVersion,
} from '@edgekeep/core/attest/certify-subject';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { type DeviceIdentity, identityKeys } from '@edgekeep/wire/api/device';
import { noteFormerName } from '../common/former-names.ts';
import { overHubs } from './own-evidence.ts';

export interface CertifyRequest extends Pick<
  CertifySubject,
  'deviceId' | 'witnessKey' | 'operationalSpki' | 'exporter'
> {
  readonly version: typeof certifyVersion | undefined;
  readonly identity: DeviceIdentity;
  readonly nonce: Uint8Array;
}

/** The qualifying data of evidence for `purpose`, by one of the hub's names. */
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
  return overHubs(hubs, evidence, (hub) => certifyQualifyingData(purpose, nonce, { ...request, hub, keys }));
}
