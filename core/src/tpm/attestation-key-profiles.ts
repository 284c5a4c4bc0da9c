// The templates of attestation keys that enroll, as data (spec/tpm.md, 3.1): each has a source and vectors.
import { objectAttributes, type RsaPublic, type TpmPublic } from './public-area.ts';
import { attestationKeyTemplate } from './template.ts';

export interface AttestationKeyProfile {
  readonly name: string;
  /** Who makes such keys, and where that is published. */
  readonly source: string;
  readonly template: TpmPublic;
}

const { fixedTpm, fixedParent, sensitiveDataOrigin, userWithAuth, noDictionaryAttack, restricted, sign } =
  objectAttributes;
/** What makes a key sign nothing but what its own TPM made. */
export const attestationKeyAttributes = fixedTpm | fixedParent | sensitiveDataOrigin | restricted | sign;

const none = new Uint8Array(0);
const signer = attestationKeyAttributes | userWithAuth;
const common = { nameAlgorithm: 'sha256', authPolicy: none, symmetric: null } as const;
const rsa = (attributes: number, keyBits: 2048 | 3072 | 4096): RsaPublic => ({
  ...common,
  kind: 'rsa',
  attributes,
  scheme: { kind: 'rsassa', hash: 'sha256' },
  keyBits,
  exponent: 0,
  modulus: none,
});

const google =
  'go-tpm-tools, client/template.go (AKTemplateRSA, AKTemplateECC), and NV 0x01c10001 and 0x01c10003 of Google Cloud';

/** All are primary keys of the endorsement hierarchy: the qualified name in each quote says so. */
export const attestationKeyProfiles: readonly AttestationKeyProfile[] = [
  { name: 'edgekeep', source: 'core/src/tpm/template.ts', template: attestationKeyTemplate },
  {
    name: 'google-cloud-p-256',
    source: google,
    template: { ...attestationKeyTemplate, attributes: signer },
  },
  { name: 'google-cloud-rsa-2048', source: google, template: rsa(signer, 2048) },
  {
    name: 'rsa-2048-no-da',
    source: 'go-attestation, attest/wrapped_tpm20.go (akTemplate), made as a primary',
    template: rsa(signer | noDictionaryAttack, 2048),
  },
  {
    name: 'p-384',
    source: 'the same template one size up; FIPS 186-5',
    template: {
      ...common,
      kind: 'ecc',
      nameAlgorithm: 'sha384',
      attributes: signer | noDictionaryAttack,
      scheme: { kind: 'ecdsa', hash: 'sha384' },
      curve: 'p384',
      x: none,
      y: none,
    },
  },
  {
    name: 'p-521',
    source: 'the same template two sizes up; FIPS 186-5',
    template: {
      ...common,
      kind: 'ecc',
      nameAlgorithm: 'sha512',
      attributes: signer | noDictionaryAttack,
      scheme: { kind: 'ecdsa', hash: 'sha512' },
      curve: 'p521',
      x: none,
      y: none,
    },
  },
  {
    name: 'rsa-3072',
    source: 'the same template one size up; SP 800-57',
    template: rsa(signer | noDictionaryAttack, 3072),
  },
];
