// Which attestation keys enroll (spec/tpm.md, 3.1): public areas that are, byte for byte but for their key, one of the listed templates.
// Anything else is refused with what differs from what an attestation key must be.
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import {
  attestationKeyAttributes,
  type AttestationKeyProfile,
  attestationKeyProfiles,
} from './attestation-key-profiles.ts';
import { encodePublic, objectAttributes, publicKeyOf, type TpmPublic } from './public-area.ts';

const none = new Uint8Array(0);
/** TPM2_Clear or a restart ends such a key, another key may replace its parent's, or it signs certificates that others wrote. */
const unwanted = ['stClear', 'decrypt', 'x509Sign', 'encryptedDuplication', 'firmwareLimited', 'svnLimited'] as const;

/** The profile that a public area is of; undefined when it is of none. */
export function attestationKeyProfileOf(publicArea: TpmPublic): AttestationKeyProfile | undefined {
  const form = formOf(publicArea);
  if (form === undefined || keyProblem(publicArea) !== undefined) return undefined;
  return attestationKeyProfiles.find(({ template }) => equalBytes(encodePublic(template), form));
}

/** Throws `evidence-invalid`, with what differs, for a key that is of no profile. */
export function assertListedAttestationKey(publicArea: TpmPublic): void {
  if (attestationKeyProfileOf(publicArea) !== undefined) return;
  throw new CoreError('evidence-invalid', `attestation key: ${attestationKeyProblems(publicArea).join('; ')}`);
}

/** Why a key is of no profile, for people; the last resort is that nobody listed it. */
export function attestationKeyProblems(publicArea: TpmPublic): readonly string[] {
  const { kind, nameAlgorithm, attributes, authPolicy } = publicArea;
  if (kind !== 'rsa' && kind !== 'ecc') return [`a ${kind} object signs no quotes`];
  const problems: string[] = [];
  const missing = Object.entries(objectAttributes).filter(
    ([, bit]) => (attestationKeyAttributes & bit) !== 0 && (attributes & bit) === 0,
  );
  if (missing.length > 0) problems.push(`it lacks ${missing.map(([name]) => name).join(', ')}`);
  const found = unwanted.filter((name) => (attributes & objectAttributes[name]) !== 0);
  if (found.length > 0) problems.push(`it has ${found.join(', ')}`);
  if (nameAlgorithm === 'sha1') problems.push('its name is a SHA-1, expected SHA-256 or longer');
  if (authPolicy.length > 0) problems.push('it has an authPolicy of its own, expected none');
  problems.push(...keyProblems(publicArea));
  if (problems.length > 0) return problems;
  const names = attestationKeyProfiles.map(({ name }) => name).join(', ');
  return [`its template is none of those that are listed (${names})`];
}

function keyProblems(publicArea: Extract<TpmPublic, { kind: 'rsa' | 'ecc' }>): readonly string[] {
  const problems: string[] = [];
  if (publicArea.symmetric !== null) problems.push('it has a symmetric cipher');
  if (publicArea.kind === 'rsa') {
    const { keyBits, exponent } = publicArea;
    if (keyBits < RSA_BITS_MIN) problems.push(`RSA of ${keyBits} bits, expected ${RSA_BITS_MIN} or more`);
    if (exponent !== 0 && exponent !== 65_537) problems.push(`the exponent ${exponent}, expected 65537`);
  }
  const { scheme } = publicArea;
  if (scheme === null || scheme.kind === 'rsaes') problems.push('no scheme for signatures');
  else if (scheme.hash === 'sha1') problems.push('it signs a SHA-1');
  const problem = keyProblem(publicArea);
  if (problem !== undefined) problems.push(problem);
  return problems;
}

const RSA_BITS_MIN = 2_048;

// The key itself: a point of its curve, or a modulus that is as long as its area says.
function keyProblem(publicArea: TpmPublic): string | undefined {
  try {
    const { modulusLength } = publicKeyOf(publicArea).asymmetricKeyDetails ?? {};
    if (publicArea.kind !== 'rsa' || modulusLength === publicArea.keyBits) return undefined;
    return `a modulus of ${modulusLength} bits in an area for ${publicArea.keyBits}`;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return error.message;
  }
}

// The public area without its key: what it shares with its template. The exponent 65537 may be written as 0 (Part 2, 12.2.3.5).
function formOf(publicArea: TpmPublic): Uint8Array | undefined {
  switch (publicArea.kind) {
    case 'rsa': {
      const exponent = publicArea.exponent === 65_537 ? 0 : publicArea.exponent;
      return encodePublic({ ...publicArea, exponent, modulus: none });
    }
    case 'ecc':
      return encodePublic({ ...publicArea, x: none, y: none });
    case 'keyedhash':
    case 'symcipher':
      return undefined;
  }
}
