// What a verifier of receipts must trust: public keys and a quorum, `edgekeep-trust/v1` (spec/receipt.md, "Trust file"). A hub serves its
// own; a verifier who does not want to trust the hub keeps an earlier copy.
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { encodeVerifierKey, parseVerifierKey, type VerifierKey } from '../audit/note.ts';
import { POLICY_WITNESSES_MAX, type WitnessPolicy, witnessPolicy } from '../audit/quorum.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodePublicKeyPem, parsePublicKeyPem } from '../identity/public-key.ts';
import { parseJson } from '../json.ts';
import { signatureAlgorithmOf } from '../signer.ts';

export interface Trust {
  /** The audit log's key; its name is the log's origin. */
  readonly logKey: VerifierKey;
  /** Keys that sign attestation results; several while they rotate. */
  readonly attestationKeys: readonly KeyObject[];
  /** Keys that sign models. */
  readonly publisherKeys: readonly KeyObject[];
  /** The fleet's witnesses and how many must have cosigned. */
  readonly policy: WitnessPolicy;
}

/** Room for the vkeys of the largest fleet, of which each device has one of Ed25519 and one of ML-DSA-44. */
export const TRUST_BYTES_MAX = 256 * 1024 * 1024;

// Room for a publisher's classical key with an ML-DSA-87 key, and for a verifier key of ML-DSA-44.
const pem = z.string().max(8192);
const vkey = z.string().max(4096);
const schema = z.strictObject({
  type: z.literal('edgekeep-trust/v1'),
  log: vkey,
  attestationKeys: z.array(pem).min(1).max(16),
  publisherKeys: z.array(pem).min(1).max(256),
  witnesses: z.array(vkey).max(POLICY_WITNESSES_MAX),
  quorum: z.int().nonnegative(),
});

/** Reads a trust file; throws `json-schema`, `key-invalid` or an encoding code. */
export function parseTrust(bytes: Uint8Array): Trust {
  if (bytes.length > TRUST_BYTES_MAX) {
    throw new CoreError('bytes-too-long', `a trust file of ${bytes.length} bytes, at most ${TRUST_BYTES_MAX} are read`);
  }
  const trust = parseJson(bytes, schema, 'trust file');
  const logKey = parseVerifierKey(trust.log);
  if (logKey.type !== 'ed25519')
    throw new CoreError('key-invalid', 'trust file: the log signs with a key of type 0x01');
  return {
    logKey,
    attestationKeys: trust.attestationKeys.map(parsePublicPem),
    publisherKeys: trust.publisherKeys.map(parsePublicPem),
    policy: witnessPolicy(trust.witnesses.map(parseVerifierKey), trust.quorum),
  };
}

/** The file's bytes, indented: people read it. */
export function encodeTrust({ logKey, attestationKeys, publisherKeys, policy }: Trust): Uint8Array {
  const file = {
    type: 'edgekeep-trust/v1',
    log: encodeVerifierKey(logKey),
    attestationKeys: attestationKeys.map(publicPem),
    publisherKeys: publisherKeys.map(publicPem),
    witnesses: policy.witnesses.map(encodeVerifierKey),
    quorum: policy.quorum,
  };
  return utf8(`${JSON.stringify(file, null, 2)}\n`);
}

function publicPem(key: KeyObject): string {
  return encodePublicKeyPem(key);
}

// node:crypto would also accept a private key or a certificate here: a trust file contains neither.
function parsePublicPem(text: string): KeyObject {
  if (!text.startsWith('-----BEGIN PUBLIC KEY-----')) {
    throw new CoreError('key-invalid', 'trust file: expected a PEM block PUBLIC KEY');
  }
  try {
    const key = parsePublicKeyPem(text);
    signatureAlgorithmOf(key);
    return key;
  } catch (cause) {
    throw new CoreError('key-invalid', 'trust file: not a P-256, P-384, P-521 or Ed25519 public key', { cause });
  }
}
