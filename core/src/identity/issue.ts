// Issuing certificates (RFC 5280): a template in, signed DER out. The profiles that Edgekeep issues are in profile.ts.
import { derBitString, derExplicit, derInteger, derSequence, derTime } from '../der.ts';
import { CoreError } from '../error.ts';
import type { Signer } from '../signer.ts';
import type { DistinguishedName } from './distinguished-name.ts';
import { encodeExtensions, type Extension } from './extensions.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';

/** Octets of randomness in a serial number. */
const serialLength = 16;

export interface CertificateTemplate {
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** 16 random octets; `serialFrom` shapes them into a number that is positive and always 16 octets long. */
  readonly serialRandom: Uint8Array;
  /** Unix seconds. */
  readonly notBeforeSeconds: number;
  readonly notAfterSeconds: number;
  readonly extensions: readonly Extension[];
}

/**
 * Issues a certificate: its DER. The signer is the issuer's; nothing here checks that the issuer may issue it (path.ts does, for
 * everybody).
 */
export async function issueCertificate(template: CertificateTemplate, signer: Signer): Promise<Uint8Array> {
  if (template.notAfterSeconds < template.notBeforeSeconds) {
    throw new CoreError('certificate-invalid', 'certificate: it would end before it begins');
  }
  const algorithm = encodeSignatureAlgorithm(signer.algorithm);
  const tbs = derSequence(
    derExplicit(0, derInteger(2)),
    derInteger(serialFrom(template.serialRandom)),
    algorithm,
    template.issuer.der,
    derSequence(derTime(template.notBeforeSeconds), derTime(template.notAfterSeconds)),
    template.subject.der,
    template.spki,
    derExplicit(3, encodeExtensions(template.extensions)),
  );
  const signature = await signer.sign(tbs);
  return derSequence(tbs, algorithm, derBitString(signature));
}

/** Clears the sign bit and sets the next one: always positive, always 16 octets, never a leading zero; 126 bits stay random. */
export function serialFrom(random: Uint8Array): Uint8Array {
  if (random.length !== serialLength) {
    throw new CoreError(
      'certificate-invalid',
      `a serial number needs ${serialLength} random octets, got ${random.length}`,
    );
  }
  const serial = Uint8Array.from(random);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}
