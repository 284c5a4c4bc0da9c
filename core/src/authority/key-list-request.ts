// What a hub asks its root to sign (spec/key-list.md, "The request"): the next list without its dates. Each key that has no end signs the request,
// so that a list never names a key that nobody here has.
import { verify } from 'node:crypto';
import { z } from 'zod';
import { concat, parseBase64url, toBase64url, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseCanonicalJson } from '../json.ts';
import { hashOf, signatureAlgorithmOf, type Signer } from '../signer.ts';
import {
  assertKeys,
  KEY_LIST_BYTES_MAX,
  type KeyListContent,
  keyIdOf,
  KEYS_MAX,
  listedKeyJson,
  listedKeyOf,
  listedKeySchema,
} from './key-list.ts';

const context = utf8('edgekeep-key-list-request/v1\n');

const schema = z.strictObject({
  type: z.literal('edgekeep-key-list-request/v1'),
  hub: z.string().max(4_096),
  number: z.int().min(1),
  keys: z.array(listedKeySchema).min(1).max(KEYS_MAX),
  /** base64url, in the order of the keys; null for a key that has an end. */
  proofs: z.array(z.string().max(16_384).nullable()).max(KEYS_MAX),
});

/** `signers` has every key that has no end. Throws `key-list-invalid` without one of them. */
export async function encodeKeyListRequest(content: KeyListContent, signers: readonly Signer[]): Promise<Uint8Array> {
  assertKeys(content.keys);
  const message = messageOf(content);
  const ids = signers.map(keyIdOf);
  const proofs = await Promise.all(
    content.keys.map(async (key) => {
      if (key.untilSeconds !== undefined) return null;
      const signer = signers[ids.indexOf(keyIdOf(key))];
      if (signer === undefined) throw invalid(`the ${key.purpose} key ${keyIdOf(key)} is not here`);
      return toBase64url(await signer.sign(message));
    }),
  );
  return encodeCanonicalJson({ ...documentOf(content), proofs });
}

/** Reads a request and verifies every proof. Throws `key-list-invalid` or `key-invalid`. */
export function parseKeyListRequest(bytes: Uint8Array): KeyListContent {
  if (bytes.length > KEY_LIST_BYTES_MAX) throw invalid(`${bytes.length} bytes, at most ${KEY_LIST_BYTES_MAX} are read`);
  const {
    hub,
    number,
    keys: listed,
    proofs,
  } = parseCanonicalJson(bytes, schema, 'key list request', 'key-list-invalid');
  const keys = listed.map(listedKeyOf);
  assertKeys(keys);
  const content = { hub, number, keys };
  const message = messageOf(content);
  if (proofs.length !== keys.length) throw invalid('expected one proof for each key');
  for (const [at, key] of keys.entries()) {
    const proof = proofs[at] ?? null;
    if (proof === null) {
      if (key.untilSeconds === undefined) throw invalid(`the ${key.purpose} key ${keyIdOf(key)} has no proof`);
      continue;
    }
    const hash = hashOf(signatureAlgorithmOf(key.publicKey));
    if (!verify(hash, message, key.publicKey, parseBase64url(proof, 'proof')))
      throw invalid(`the ${key.purpose} key ${keyIdOf(key)} did not sign this request`);
  }
  return content;
}

function messageOf(content: KeyListContent): Uint8Array {
  return concat(context, encodeCanonicalJson(documentOf(content)));
}

function documentOf({ hub, number, keys }: KeyListContent) {
  return { type: 'edgekeep-key-list-request/v1', hub, number, keys: keys.map(listedKeyJson) };
}

function invalid(problem: string): CoreError {
  return new CoreError('key-list-invalid', `key list request: ${problem}`);
}
