// The publisher's release policy: its digest, whom it permits, and which texts are refused.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { parseJson } from '../json.ts';
import { affirmedRelease, releasePolicyDigest, releasePolicyReasons, releasePolicySchema } from './release-policy.ts';

const folder = new URL('../../../spec/vectors/model/release-policy/', import.meta.url);
const validSchema = z.strictObject({
  comment: z.string(),
  policy: releasePolicySchema,
  digest: z.string(),
  devices: z.array(
    z.strictObject({
      tier: z.string(),
      release: z.string().optional(),
      maker: z.string().optional(),
      group: z.string().optional(),
      cosigners: z.int().optional(),
      reasons: z.array(z.string()),
    }),
  ),
});
const invalidSchema = z.strictObject({ comment: z.string(), policies: z.array(z.unknown()).min(1) });

for (const name of readdirSync(new URL('valid/', folder))) {
  const vector = parseJson(readFileSync(new URL(`valid/${name}`, folder)), validSchema, name);
  test(`${name}: ${vector.comment}`, () => {
    const { policy, digest, devices } = vector;
    assert.equal(releasePolicyDigest(policy), digest);
    assert.ok(devices.length > 0);
    for (const { tier, release, maker, group, cosigners, reasons } of devices) {
      const found = releasePolicyReasons(policy, { tier, release, maker, group, cosigners });
      assert.deepEqual(
        found.map(({ code }) => code),
        reasons,
        JSON.stringify({ tier, release, maker, group, cosigners }),
      );
    }
  });
}

for (const name of readdirSync(new URL('invalid/', folder))) {
  const { comment, policies } = parseJson(readFileSync(new URL(`invalid/${name}`, folder)), invalidSchema, name);
  test(`${name} is no policy: ${comment}`, () => {
    for (const policy of policies)
      assert.equal(releasePolicySchema.safeParse(policy).success, false, JSON.stringify(policy));
  });
}

test('only reference values that affirmed the boot are its release', () => {
  const digest = 'ab'.repeat(32);
  const policyId = `press 1.0 sha256:${digest}`;
  assert.equal(affirmedRelease({ status: 'affirming', policyId }), digest);
  for (const status of ['warning', 'contraindicated', 'none'])
    assert.equal(affirmedRelease({ status, policyId }), undefined);
  for (const other of ['press 1.0', 'none', `${policyId} `, `press sha256:${digest.slice(1)}`, `sha256:${digest}x`])
    assert.equal(affirmedRelease({ status: 'affirming', policyId: other }), undefined);
});
