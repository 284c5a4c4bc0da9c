// Every vector of spec/vectors/access/hybrid-wrap, made by hybrid-wrap.mjs beside them with another X-Wing and another HPKE.
import assert from 'node:assert/strict';
import { createECDH, createPrivateKey, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { parseBase64url, parseHex, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hpkeOpen } from '../identity/hpke.ts';
import { parseJson } from '../json.ts';
import { xwingPublicKey } from '../post-quantum/xwing.ts';
import { HYBRID_PSK_LENGTH, openHybridLayer, sealHybridLayer } from './hybrid-wrap.ts';
import { leaseSchema } from './lease.ts';
import { encodeWrapContext, hybridWrapType, type WrapContext } from './wrap-context.ts';
import { wrappedKeySchema } from './wrapped-key.ts';

const vectorSchema = z.strictObject({
  comment: z.string(),
  expect: z.enum(['opens', 'hpke-open', 'refused']),
  context: z.strictObject({
    purpose: z.literal('model key'),
    lease: leaseSchema,
    releasePolicy: z.string().optional(),
  }),
  info: z.string(),
  agreementKey: z.string(),
  hybridSeed: z.string(),
  hybridKey: z.string(),
  psk: z.string(),
  modelKey: z.string(),
  wrappedKey: z.unknown(),
});
type Vector = z.infer<typeof vectorSchema>;

const folder = new URL('../../../spec/vectors/access/hybrid-wrap/', import.meta.url);
const names = readdirSync(folder).map((file) => file.replace('.json', ''));

function privateKeyOf(scalar: Uint8Array): KeyObject {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey();
  const coordinate = (from: number) => point.subarray(from, from + 32).toString('base64url');
  const d = Buffer.from(scalar).toString('base64url');
  return createPrivateKey({
    key: { kty: 'EC', crv: 'P-256', x: coordinate(1), y: coordinate(33), d },
    format: 'jwk',
  });
}

/** Both layers, as a device opens them: the secret that the first one carries, then the model key. */
function open({
  wrappedKey,
  context,
  agreementKey,
  hybridSeed,
}: Vector): { psk: string; modelKey: string } | 'refused' {
  const parsed = wrappedKeySchema.safeParse(wrappedKey).data;
  if (parsed === undefined) return 'refused';
  assert.ok(parsed.kind === 'hpke' && parsed.hybrid !== undefined);
  const psk = hpkeOpen({
    recipientPrivateKey: privateKeyOf(parseHex(agreementKey, 'agreement key')),
    encapsulatedKey: parseBase64url(parsed.encapsulatedKey, 'encapsulated key'),
    ciphertext: parseBase64url(parsed.ciphertext, 'ciphertext'),
    info: encodeWrapContext(context, hybridWrapType),
    aad: new Uint8Array(0),
  });
  const seed = parseHex(hybridSeed, 'seed');
  return { psk: toHex(psk), modelKey: toHex(openHybridLayer(parsed.hybrid, { seed, psk, context })) };
}

function outcomeOf(vector: Vector): unknown {
  try {
    return open(vector);
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
}

for (const name of names) {
  test(`the vector ${name} has its outcome`, () => {
    const vector = parseJson(readFileSync(new URL(`${name}.json`, folder)), vectorSchema, name);
    const { expect, psk, modelKey, context, info, hybridSeed, hybridKey } = vector;
    assert.equal(toHex(encodeWrapContext(context, hybridWrapType)), info);
    assert.equal(toHex(xwingPublicKey(parseHex(hybridSeed, 'seed'))), hybridKey);
    assert.deepEqual(outcomeOf(vector), expect === 'opens' ? { psk, modelKey } : expect, vector.comment);
  });
}

test('there is a vector for each of the three outcomes, and what ours seals for the key of the vectors opens', () => {
  const vectors = names.map((name) => parseJson(readFileSync(new URL(`${name}.json`, folder)), vectorSchema, name));
  assert.deepEqual([...new Set(vectors.map(({ expect }) => expect))].toSorted(), ['hpke-open', 'opens', 'refused']);
  const [vector] = vectors;
  assert.ok(vector !== undefined);
  const context: WrapContext = vector.context;
  const modelKey = parseHex(vector.modelKey, 'model key');
  const psk = new Uint8Array(HYBRID_PSK_LENGTH).fill(9);
  const recipientPublicKey = parseHex(vector.hybridKey, 'hybrid key');
  const layer = sealHybridLayer({ recipientPublicKey, modelKey, psk, context });
  const seed = parseHex(vector.hybridSeed, 'seed');
  assert.equal(toHex(openHybridLayer(layer, { seed, psk, context })), vector.modelKey);
});
