// Whether a TPM can enroll: a hub takes only an endorsement key that the TPM's maker certified. Found here, before the hub is asked.
import { isOfAnotherKey } from '@edgekeep/core/identity/endorsement-appraisal';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import type { RootOfTrustIdentity } from '@edgekeep/hardware/root-of-trust';
import { AgentError } from '../error.ts';

/** Throws `endorsement-certificate-missing` or `endorsement-key-differs`. Only a device that enrolls needs the certificate. */
export function assertEndorsed(identity: RootOfTrustIdentity): void {
  if (identity.tier !== 'tpm') return;
  const { manufacturer, endorsementKey } = identity;
  const { kind, certificate, publicArea } = endorsementKey;
  if (certificate === undefined) {
    throw new AgentError(
      'endorsement-certificate-missing',
      `this TPM (${manufacturer}) holds no certificate for its ${kind} endorsement key: set rootOfTrust.endorsementKey to one that has a certificate, or write the maker's certificate into the TPM (docs/agent-causes.md)`,
    );
  }
  if (!isOfAnotherKey(certificate, publicKeyOf(parsePublic(publicArea)))) return;
  throw new AgentError(
    'endorsement-key-differs',
    `the certificate in this TPM (${manufacturer}) is of another key than its ${kind} endorsement key: its endorsement seed was changed, or another TPM's certificate was written into it. Get the maker's certificate of this key, or replace the TPM`,
  );
}
