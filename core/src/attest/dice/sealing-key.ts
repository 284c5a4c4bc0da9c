// The key that model keys for a DICE device are sealed to (spec/dice.md, "The sealing key"). It is derived from the alias key, and so from
// the CDI: other firmware has another key and cannot open anything sealed to this one.
import type { KeyObject } from 'node:crypto';
import { parseBase64url } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { deriveP256Key } from '../../identity/derived-key.ts';

const sealingKeyInfo = 'edgekeep dice sealing key v1';

/** The P-256 HPKE private key of an alias key (P-256, P-384, P-521 or Ed25519). Throws `key-invalid` for any other key. */
export function sealingKeyOf(aliasKey: KeyObject): KeyObject {
  const { d } = aliasKey.export({ format: 'jwk' });
  const kind = aliasKey.asymmetricKeyType;
  if (d === undefined || (kind !== 'ec' && kind !== 'ed25519')) {
    throw new CoreError('key-invalid', `expected an EC or Ed25519 private key, found ${kind}`);
  }
  const secret = parseBase64url(d, 'alias key');
  try {
    return deriveP256Key(secret, sealingKeyInfo);
  } finally {
    secret.fill(0);
  }
}
