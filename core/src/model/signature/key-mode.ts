// OMS method `key`: the bundle names a public key by a hint, the SHA-256 of the key's PEM text; the reader supplies the trusted keys.
import { sha256Hex } from '../../digest.ts';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { parseUtf8 } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { encodePublicKeyPem } from '../../identity/public-key.ts';
import { signatureAlgorithmOf } from '../../signer.ts';
import { refused, type SignatureRefused } from './reason.ts';

/** SHA-256, hex, of the SubjectPublicKeyInfo as PEM text (64 columns, final newline): OMS 1.1 names keys this way, not by their DER. */
export function keyFingerprint(key: KeyObject): string {
  return sha256Hex(pemOf(key));
}

/** How a bundle points to its key: by hint, or, before OMS 1.1, by the key itself. */
export interface KeyIdentifier {
  readonly hint: string | undefined;
  readonly rawBytes: Uint8Array | undefined;
}

/** The trusted keys that may have signed: the named one, or all of them when the bundle names none. */
export function selectKeys(
  identifier: KeyIdentifier,
  trusted: readonly KeyObject[],
): { readonly kind: 'keys'; readonly keys: readonly KeyObject[] } | SignatureRefused {
  for (const key of trusted) assertSigningKey(key);
  const named = identifier.hint ?? rawKeyFingerprint(identifier.rawBytes);
  const keys = named === undefined ? trusted : trusted.filter((key) => keyFingerprint(key) === named);
  if (keys.length > 0) return { kind: 'keys', keys };
  const expected = trusted.map(keyFingerprint).join(', ') || 'no key at all';
  return refused('wrong-key', `the bundle names key ${JSON.stringify(named ?? '')}, trusted are: ${expected}`);
}

/** OMS signs bundles with ECDSA on P-256, P-384 or P-521; throws `key-invalid` for every other key. */
export function assertSigningKey(key: KeyObject): void {
  if (signatureAlgorithmOf(key) === 'ed25519') {
    throw new CoreError(
      'key-invalid',
      'OMS bundles are signed with P-256, P-384 or P-521; Ed25519 makes detached signatures',
    );
  }
}

// The old field held the PEM text, although the protobuf says DER; both are read.
function rawKeyFingerprint(rawBytes: Uint8Array | undefined): string | undefined {
  if (rawBytes === undefined) return undefined;
  const der = Buffer.from(rawBytes);
  try {
    const isPem = der.subarray(0, 11).toString('latin1') === '-----BEGIN ';
    const text = isPem ? parseUtf8(rawBytes, 'publicKey.rawBytes') : undefined;
    return keyFingerprint(createPublicKey(text ?? { key: der, format: 'der', type: 'spki' }));
  } catch (cause) {
    throw new CoreError('signature-bundle-invalid', 'publicKey.rawBytes: neither a PEM nor a DER public key', {
      cause,
    });
  }
}

function pemOf(key: KeyObject): string {
  return encodePublicKeyPem(key);
}
