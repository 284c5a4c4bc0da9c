// For tests: a manufacturer with a root and an issuing authority in memory, whose IDevIDs can have any fault.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { CoreError } from '../error.ts';
import { type Signer, signerFromKey } from '../signer.ts';
import { type Certificate, parseCertificate, parseForeignCertificate } from './certificate.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { type Idevid, type IdevidSubject, idevidProfile, manufacturerProfile, readIdevid } from './idevid.ts';
import { type CertificateTemplate, issueCertificate } from './issue.ts';
import { encodeSpki } from './public-key.ts';

/** 2026-01-01: before every clock of a test. */
export const manufacturedSeconds = 1_767_225_600;
export const testHardwareType = '1.3.6.1.4.1.32473.1';

export interface TestManufacturer {
  readonly root: Certificate;
  readonly issuing: Certificate;
  readonly issuingSigner: Signer;
  /** DER: the IDevID, then the issuing authority. `change` may break the template before it is signed. */
  issue(
    spki: Uint8Array,
    subject: Partial<IdevidSubject>,
    change?: (template: CertificateTemplate) => CertificateTemplate,
  ): Promise<readonly [Uint8Array, Uint8Array]>;
}

export async function testManufacturer(name = 'Example Works'): Promise<TestManufacturer> {
  const [rootKey, issuingKey] = [newSigner(), newSigner()];
  const rootTemplate = manufacturerProfile(inputOf(encodeSpki(rootKey.publicKey)), commonNameOnly(`${name} root`));
  const root = parseCertificate(await issueCertificate(rootTemplate, rootKey));
  const input = inputOf(encodeSpki(issuingKey.publicKey));
  const issuingTemplate = manufacturerProfile(input, commonNameOnly(`${name} line 1`), root);
  const issuing = parseCertificate(await issueCertificate(issuingTemplate, rootKey));
  return {
    root,
    issuing,
    issuingSigner: issuingKey,
    async issue(spki, subject, change = (template) => template) {
      const whole = { serialNumber: 'SN-1', hardwareType: testHardwareType, organization: name, ...subject };
      const template = change(idevidProfile(inputOf(spki), issuing, whole));
      return [await issueCertificate(template, issuingKey), issuing.der];
    },
  };
}

export function newSigner(namedCurve: 'P-256' | 'P-384' = 'P-256'): Signer {
  return signerFromKey(generateKeyPairSync('ec', { namedCurve }).privateKey);
}

function inputOf(spki: Uint8Array) {
  return { spki, serialRandom: randomBytes(16), notBeforeSeconds: manufacturedSeconds };
}

/** Parses and reads; throws `certificate-invalid` for a certificate that is no IDevID. */
export function parseIdevid(der: Uint8Array): Idevid {
  const read = readIdevid(parseForeignCertificate(der));
  if (read.kind === 'read') return read.idevid;
  throw new CoreError('certificate-invalid', `IDevID: ${read.reasons.map(({ message }) => message).join('; ')}`);
}
