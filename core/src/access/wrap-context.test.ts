// What a wrapped key is bound to, byte for byte, and the payload of a TPM.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { z } from 'zod';
import { parseHex, toHex } from '../bytes.ts';
import { parseJson } from '../json.ts';
import { leaseSchema } from './lease.ts';
import { boundSecret, encodeWrapContext, openBoundSecret, type WrapContext } from './wrap-context.ts';

const vectorSchema = z.strictObject({
  comment: z.string(),
  context: z.discriminatedUnion('purpose', [
    z.strictObject({ purpose: z.literal('model key'), lease: leaseSchema, releasePolicy: z.string().optional() }),
    z.strictObject({ purpose: z.literal('hub unlock') }),
  ]),
  info: z.string(),
  secret: z.string(),
  sealed: z.string(),
});
const folder = new URL('../../../spec/vectors/access/wrap-context/', import.meta.url);

for (const name of ['model-key', 'model-key-release-policy', 'hub-unlock']) {
  test(`the vector ${name} has the info and the payload that its context gives`, async () => {
    const vector = parseJson(await readFile(new URL(`${name}.json`, folder)), vectorSchema, name);
    const { context, info, secret, sealed } = vector;
    assert.equal(toHex(encodeWrapContext(context)), info);
    assert.equal(toHex(boundSecret(parseHex(secret, name), context)), sealed);
    const digest = createHash('sha256').update(parseHex(info, name)).digest('hex');
    assert.equal(sealed, secret + digest);
    assert.equal(toHex(openBoundSecret(parseHex(sealed, name), context) ?? new Uint8Array(0)), secret);
  });
}

const lease = {
  id: '3a6610b9-c601-4ea5-b345-1b24578796b4',
  deviceId: 'press-7',
  model: 'surface',
  version: '1.0.0',
  manifestDigest: 'ab'.repeat(32),
  notBefore: 1_795_235_750,
  renewAfter: 1_795_238_150,
  notAfter: 1_795_239_350,
};
const context: WrapContext = { purpose: 'model key', lease };
const secret = new Uint8Array(32).fill(7);

test('every member of the context is part of it', () => {
  const changed: readonly WrapContext[] = [
    { purpose: 'hub unlock' },
    { ...context, releasePolicy: 'cd'.repeat(32) },
    ...Object.entries(lease).map(([name, value]): WrapContext => {
      const other = typeof value === 'number' ? value + 1 : `${value.slice(1)}0`;
      return { purpose: 'model key', lease: { ...lease, [name]: other } };
    }),
  ];
  for (const other of changed) {
    assert.notDeepEqual(encodeWrapContext(other), encodeWrapContext(context));
    assert.equal(openBoundSecret(boundSecret(secret, context), other), undefined);
  }
});

test('what a TPM unsealed is overwritten, and opens neither cut short nor changed', () => {
  const sealed = boundSecret(secret, context);
  for (let at = 32; at < sealed.length; at += 1) {
    const changed = Uint8Array.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(openBoundSecret(changed, context), undefined);
    assert.ok(changed.every((byte) => byte === 0));
    assert.equal(openBoundSecret(sealed.slice(0, at), context), undefined);
  }
  assert.equal(openBoundSecret(new Uint8Array(0), context), undefined);
  assert.deepEqual(openBoundSecret(sealed, context), secret);
  assert.ok(sealed.every((byte) => byte === 0));
});
