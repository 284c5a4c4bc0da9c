// The keys of a secure element that its manufacturer certified beside the IDevID (spec/secure-element.md, "Whose keys"): two certificates
// for the same serial number and hardware, by the same authority. An IDevID alone says nothing of any other key.
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';
import { type ElementKeyUsage, type Idevid, readNamedHardware } from './idevid.ts';
import { encodeP256Point } from './p256-point.ts';
import { parseSpki } from './public-key.ts';
import { validatePath } from './path.ts';

/** The keys that a secure element enrolls with. */
export interface ElementKeys {
  /** DER SubjectPublicKeyInfo of the key that signs evidence. */
  readonly signing: Uint8Array;
  /** Uncompressed point of the key that model keys are sealed to. */
  readonly agreement: Uint8Array;
}

export interface CertifiedBeside {
  readonly idevid: Idevid;
  /** The authority that issued the IDevID. */
  readonly issuer: Certificate;
  /** What the device sent with its IDevID. */
  readonly sent: readonly Certificate[];
  readonly atSeconds: number;
}

/** Which key nobody at the manufacturer certified beside the IDevID; undefined when both are. */
export function uncertifiedKey(keys: ElementKeys, beside: CertifiedBeside): 'signing' | 'agreement' | undefined {
  const isIdevid = equalBytes(beside.idevid.certificate.spki, keys.signing);
  if (!isIdevid && !isCertified(beside, (spki) => equalBytes(spki, keys.signing), 'digitalSignature')) return 'signing';
  const agrees = (spki: Uint8Array) => isPointOf(spki, keys.agreement);
  return isCertified(beside, agrees, 'keyAgreement') ? undefined : 'agreement';
}

function isCertified(
  { idevid, issuer, sent, atSeconds }: CertifiedBeside,
  isKey: (spki: Uint8Array) => boolean,
  usage: ElementKeyUsage,
): boolean {
  return sent.some((certificate) => {
    const { extensions, spki } = certificate;
    if (!isKey(spki) || extensions.keyUsage?.includes(usage) !== true) return false;
    if (extensions.keyUsage.includes('keyCertSign') || extensions.basicConstraints?.authority === true) return false;
    const named = readNamedHardware(certificate);
    if (named === undefined || named.serialNumber !== idevid.serialNumber) return false;
    if (named.hardwareType !== idevid.hardwareType || named.hardwareSerial !== idevid.hardwareSerial) return false;
    const path = { leaf: certificate, intermediates: [], anchors: [issuer], atSeconds, purpose: 'any' } as const;
    return validatePath(path).kind === 'valid';
  });
}

function isPointOf(spki: Uint8Array, point: Uint8Array): boolean {
  try {
    return equalBytes(encodeP256Point(parseSpki(spki)), point);
  } catch (error) {
    // A key on another curve is not the one.
    if (!(error instanceof CoreError)) throw error;
    return false;
  }
}
