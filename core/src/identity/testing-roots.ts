// Roots that certify each other, for tests and vectors. Keys are new each time.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { type Signer, signerFromKey } from '../signer.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { type CertificateTemplate, issueCertificate } from './issue.ts';
import type { IssuingScope } from './issuing-scope.ts';
import { issuingAuthorityProfile, rootProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';
import { newWithOldTemplate, oldWithNewTemplate, type RootLinks } from './rollover.ts';

export interface TestAuthority {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

export interface TestPeriod {
  readonly notBeforeSeconds: number;
  readonly notAfterSeconds: number;
}

export async function issueTo(template: CertificateTemplate, signer: Signer): Promise<Certificate> {
  return parseCertificate(await issueCertificate(template, signer));
}

export async function testRoot(period: TestPeriod, name = 'Test root'): Promise<TestAuthority> {
  const signer = newSigner();
  const input = { spki: encodeSpki(signer.publicKey), serialRandom: randomBytes(16), ...period };
  return { certificate: await issueTo(rootProfile(input, commonNameOnly(name)), signer), signer };
}

export async function testIssuing(
  root: TestAuthority,
  period: TestPeriod,
  scope?: IssuingScope,
): Promise<TestAuthority> {
  const signer = newSigner();
  const input = { spki: encodeSpki(signer.publicKey), serialRandom: randomBytes(16), ...period };
  const template = issuingAuthorityProfile(input, root.certificate, commonNameOnly('Test issuing CA'), scope);
  return { certificate: await issueTo(template, root.signer), signer };
}

/** `oldSigner` and `newSigner` are for links that another key signed. */
export async function testLinks(
  oldRoot: TestAuthority,
  newRoot: TestAuthority,
  { oldSigner = oldRoot.signer, newSigner: signer = newRoot.signer } = {},
): Promise<RootLinks> {
  const pair = [oldRoot.certificate, newRoot.certificate] as const;
  return {
    newWithOld: await issueTo(newWithOldTemplate(...pair, randomBytes(16)), oldSigner),
    oldWithNew: await issueTo(oldWithNewTemplate(...pair, randomBytes(16)), signer),
  };
}

function newSigner(): Signer {
  return signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}
