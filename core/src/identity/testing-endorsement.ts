// For tests: certificates of endorsement keys as a maker of TPMs issues them, with faults where a test needs them.
import { randomBytes } from 'node:crypto';
import type { Certificate } from './certificate.ts';
import { commonNameOnly, encodeName } from './distinguished-name.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
} from './extensions.ts';
import { attributeOid, keyPurposeOid } from './oid.ts';
import { keyIdentifierOf } from './public-key.ts';
import { issueTo, type TestAuthority, type TestPeriod } from './testing-roots.ts';

/** What a test changes; `usage` is right for a P-256 key. */
export interface EndorsementChanges {
  readonly basic?: Extension;
  readonly usage?: Extension;
  readonly purpose?: string;
  readonly manufacturer?: string;
}

export function testEndorsement(
  spki: Uint8Array,
  issuer: TestAuthority,
  period: TestPeriod,
  changes: EndorsementChanges = {},
): Promise<Certificate> {
  const { basic = basicConstraints(false), usage = keyUsage('keyAgreement') } = changes;
  const { purpose = keyPurposeOid.tcgEndorsementKey, manufacturer = 'id:49424D00' } = changes;
  const tpm = encodeName([
    { oid: attributeOid.tpmManufacturer, text: manufacturer },
    { oid: attributeOid.tpmModel, text: 'test' },
    { oid: attributeOid.tpmVersion, text: 'id:20191023' },
  ]);
  const template = {
    spki,
    serialRandom: randomBytes(16),
    ...period,
    issuer: issuer.certificate.subject,
    subject: commonNameOnly('EK'),
    extensions: [
      basic,
      usage,
      extendedKeyUsage(purpose),
      subjectAltName([{ kind: 'directory', name: tpm }]),
      authorityKeyIdentifier(keyIdentifierOf(issuer.certificate.spki)),
    ],
  };
  return issueTo(template, issuer.signer);
}
