// The templates of the keys that this product makes: endorsement keys (TCG EK Credential Profile 2.5, annex B: L-1, L-2 and the high range
// H-3), its own attestation key, and the TCG's key for an IDevID. A primary key follows from its template, so each is the same every time.
import { parseHex, utf8 } from '../bytes.ts';
import type { TpmHash } from './algorithm.ts';
import { type EccPublic, objectAttributes, type TpmPublic } from './public-area.ts';

const {
  fixedTpm,
  fixedParent,
  sensitiveDataOrigin,
  userWithAuth,
  adminWithPolicy,
  restricted,
  decrypt,
  sign,
  noDictionaryAttack,
} = objectAttributes;

const common = fixedTpm | fixedParent | sensitiveDataOrigin;
const none = new Uint8Array(0);

/** PolicyA of the profile: PolicySecret(TPM_RH_ENDORSEMENT), SHA-256. A test recomputes it. */
const policyA = parseHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'PolicyA');
/** PolicyB for SHA-384: PolicyOR(PolicySecret(endorsement), PolicyAuthorizeNV) of the profile's annex B.6.3. */
const policyB384 = parseHex(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  'PolicyB',
);

/** Its branches: PolicyA for SHA-384, and PolicyC, PolicyAuthorizeNV of index 0x01c07f02 (annex B.6.2 and B.6.3). A test recomputes PolicyB. */
const policyBranches384: readonly Uint8Array[] = [
  parseHex(
    '8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53',
    'PolicyA, SHA-384',
  ),
  parseHex(
    'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
    'PolicyC, SHA-384',
  ),
];

/** The endorsement keys this product knows (TCG EK Credential Profile 2.5, B.3, B.4 and B.6). */
export const endorsementKeyKinds = ['rsa-2048', 'p-256', 'p-384'] as const;
export type EndorsementKeyKind = (typeof endorsementKeyKinds)[number];

/**
 * Which one a device is identified by where its maker certified several: P-384 first, whose keys are 192 bits strong and whose blobs are under
 * AES-256 (profile B.6, template H-3); then RSA, as devices enrolled before.
 */
export const endorsementKeyPreference: readonly EndorsementKeyKind[] = ['p-384', 'rsa-2048', 'p-256'];

export interface EndorsementTemplate {
  readonly template: TpmPublic;
  /** NV index of the certificate. */
  readonly certificateIndex: number;
  /** The conventional handle under which firmware or an operating system keeps the key loaded. */
  readonly persistentHandle: number;
  /**
   * Its policy is PolicySecret(endorsement), and where branches are named, PolicyOR over them behind it. Each use takes this policy, also where
   * the empty password would do: a key that is used by a password has a TPM count power cuts as wrong authorizations (spec/tpm.md, section 3).
   */
  readonly policyBranches: readonly Uint8Array[];
  readonly policyHash: TpmHash;
}

export function endorsementTemplate(kind: EndorsementKeyKind): EndorsementTemplate {
  switch (kind) {
    case 'rsa-2048':
      return {
        template: {
          kind: 'rsa',
          nameAlgorithm: 'sha256',
          attributes: common | adminWithPolicy | restricted | decrypt,
          authPolicy: policyA,
          symmetric: { keyBits: 128 },
          scheme: null,
          keyBits: 2048,
          exponent: 0,
          modulus: new Uint8Array(256),
        },
        certificateIndex: 0x01c00002,
        persistentHandle: 0x81010001,
        policyBranches: [],
        policyHash: 'sha256',
      };
    case 'p-256':
      return {
        template: {
          kind: 'ecc',
          nameAlgorithm: 'sha256',
          attributes: common | adminWithPolicy | restricted | decrypt,
          authPolicy: policyA,
          symmetric: { keyBits: 128 },
          scheme: null,
          curve: 'p256',
          x: new Uint8Array(32),
          y: new Uint8Array(32),
        },
        certificateIndex: 0x01c0000a,
        persistentHandle: 0x81010002,
        policyBranches: [],
        policyHash: 'sha256',
      };
    case 'p-384':
      return {
        template: {
          kind: 'ecc',
          nameAlgorithm: 'sha384',
          attributes: common | userWithAuth | adminWithPolicy | restricted | decrypt,
          authPolicy: policyB384,
          symmetric: { keyBits: 256 },
          scheme: null,
          curve: 'p384',
          x: none,
          y: none,
        },
        certificateIndex: 0x01c00016,
        persistentHandle: 0x81010016,
        policyBranches: policyBranches384,
        policyHash: 'sha384',
      };
  }
}

/** First NV index of the chain certificates above the endorsement certificates (profile 2.2.1.5.2), up to 0x01c001ff. */
export const endorsementChainFirst = 0x01c00100;
export const endorsementChainLast = 0x01c001ff;

/** P-256 ECDSA-SHA256, restricted to signing what the TPM itself made: it can vouch for nothing else. */
export const attestationKeyTemplate: EccPublic = {
  kind: 'ecc',
  nameAlgorithm: 'sha256',
  attributes: common | userWithAuth | noDictionaryAttack | restricted | sign,
  authPolicy: none,
  symmetric: null,
  scheme: { kind: 'ecdsa', hash: 'sha256' },
  curve: 'p256',
  x: none,
  y: none,
};

/**
 * The key of an IDevID: template H-2 of the TCG's "TPM 2.0 Keys for Device Identity and Attestation" (7.3.4), P-256. It signs any input, so
 * its signature proves possession and no more. Using it needs the empty password; its policy is for the ADMIN role only.
 */
export const idevidKeyTemplate: EccPublic = {
  kind: 'ecc',
  nameAlgorithm: 'sha256',
  attributes: common | userWithAuth | adminWithPolicy | sign,
  authPolicy: parseHex('ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea', 'IDevID policy'),
  symmetric: null,
  scheme: { kind: 'ecdsa', hash: 'sha256' },
  curve: 'p256',
  // "IDEVID": distinguishes the key from any other primary of the same form.
  x: utf8('IDEVID'),
  y: utf8('IDEVID'),
};

/** NV index for the certificate of `idevidKeyTemplate`: the first of those that other programs use for device identity. */
export const idevidCertificateIndex = 0x01c90000;
