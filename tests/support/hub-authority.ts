// The issuing CA of a hub in a test, as a thief of its key has it: certificates that no profile of ours makes.
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { authorityKeyIdentifier, basicConstraints, type Extension, keyUsage } from '@edgekeep/core/identity/extensions';
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import { toHex } from '@edgekeep/core/bytes';
import { firstIssuingKeyName, issuingKeyName } from '@edgekeep/hub/secrets/hub-keys';
import { type CertificateTemplate, issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import type { ProfileInput } from '@edgekeep/core/identity/profile';
import { encodeSpki, keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import type { HubWorld } from './hub-world.ts';

export interface HubAuthority {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

/** A CA of a hub whose keys are plain files. */
export async function authorityOf({ hubFolder }: HubWorld, wanted: IssuedClass | 'general'): Promise<HubAuthority> {
  const keys = join(hubFolder, 'keys');
  const all = parsePem(await readFile(join(keys, 'issuing.pem'), 'utf8'), 'CERTIFICATE').map(parseCertificate);
  const certificate = all.find((each) => (classOf(each) ?? 'general') === wanted);
  if (certificate === undefined) throw new TypeError(`the hub has no CA of class ${wanted}`);
  const own = issuingKeyName(toHex(keyIdentifierOf(certificate.spki)));
  const name = wanted === 'general' ? firstIssuingKeyName : own;
  return { certificate, signer: signerFromKey(createPrivateKey(await readFile(join(keys, name)))) };
}

/** A certificate by this template, valid now, and its key, as PEM. */
export async function credentialUnder(
  authority: HubAuthority,
  template: (input: ProfileInput, issuer: Certificate) => CertificateTemplate,
): Promise<TlsClientCredential> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - 60,
    notAfterSeconds: nowSeconds + 3_600,
  };
  const der = await issueCertificate(template(input, authority.certificate), authority.signer);
  return {
    certificateChainPem: encodePem('CERTIFICATE', der) + encodePem('CERTIFICATE', authority.certificate.der),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** A template with a common name and these extensions beside those that every end entity has. */
export function plainTemplate(commonName: string, ...more: readonly Extension[]) {
  return (input: ProfileInput, issuer: Certificate): CertificateTemplate => ({
    ...input,
    issuer: issuer.subject,
    subject: commonNameOnly(commonName),
    extensions: [
      basicConstraints(false),
      keyUsage('digitalSignature'),
      ...more,
      authorityKeyIdentifier(issuer.extensions.subjectKeyIdentifier ?? keyIdentifierOf(issuer.spki)),
    ],
  });
}
