// Every route of the operator API with mutations of real requests, sent with all rights: a named refusal or an honest answer, never a 5xx.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { encodeReferenceValues } from '@edgekeep/core/attest/reference-values';
import { toBase64url } from '@edgekeep/core/bytes';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { auditList } from '@edgekeep/wire/api/audit';
import { policyView } from '@edgekeep/wire/api/policy';
import { accepted } from '../support/answer.ts';
import { healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { assertNamedAnswer, fuzzInputs } from '../support/fuzzing.ts';
import { publicPem } from '../support/hub-world.ts';
import { mutatedBody } from '../support/mutation.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { anyCharacter } from '@edgekeep/core/testing-text';

const inputs = fuzzInputs(900);
const timeout = 120_000 + inputs * 100;

interface Target {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly body: object;
}

let fleet: SoftwareWorld;
let token: string;
let targets: readonly Target[];

before(async () => {
  fleet = await SoftwareWorld.open();
  const { world } = fleet;
  await world.publishModel('surface', '1.0.0', 'weights');
  await world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0'));
  token = await world.adminToken();
  targets = await recordTargets();
});
after(() => fleet?.[Symbol.asyncDispose]());

async function recordTargets(): Promise<readonly Target[]> {
  const { world } = fleet;
  const file = join(world.folder, 'reference-values.json');
  const signature = Buffer.from(await signModelFiles(file, { signer: world.publisher, ignorePaths: [] })).toString(
    'utf8',
  );
  const document = toBase64url(await readFile(file));
  const { text } = await world.operator.get('/v1/policy', policyView);
  const manifest = toBase64url(encodeReferenceValues(referenceValuesOf(healthyBoot, '2.0')));
  return [
    { method: 'POST', path: '/v1/devices/nobody/quarantine', body: { reason: 'a test' } },
    { method: 'POST', path: '/v1/devices/nobody/retire', body: { reason: 'a test' } },
    { method: 'POST', path: '/v1/enrollment-tokens', body: { deviceId: 'nobody', tier: 'tpm', lifeSeconds: 60 } },
    { method: 'POST', path: '/v1/publishers', body: { name: 'somebody', publicKey: publicPem(world.publisher) } },
    { method: 'POST', path: '/v1/models', body: { manifest, signature, modelKey: toBase64url(new Uint8Array(32)) } },
    { method: 'POST', path: '/v1/models/surface/1.0.0/publish', body: {} },
    { method: 'PUT', path: '/v1/models/surface/1.0.0/files/weights.bin', body: {} },
    { method: 'POST', path: '/v1/reference-values', body: { document, signature } },
    { method: 'PUT', path: '/v1/policy', body: { text } },
    {
      method: 'POST',
      path: '/v1/tokens',
      body: { name: 'test', scopes: ['devices:read', 'audit:read'], roles: ['viewer'], service: true, lifeSeconds: 60 },
    },
    { method: 'POST', path: '/v1/approvals/nothing/approve', body: { digest: '0'.repeat(64) } },
    { method: 'POST', path: '/v1/approvals/nothing/refuse', body: { reason: 'a test' } },
    { method: 'POST', path: '/v1/workloads', body: { name: 'vision', device: 'nobody', description: 'x' } },
    { method: 'POST', path: '/v1/people', body: { name: 'nobody' } },
    { method: 'POST', path: '/v1/people/nobody/disable', body: { reason: 'a test' } },
  ];
}

test('mutated requests are refused by name, or were right all the same', { timeout }, async (t) => {
  for (const { method, path, body } of targets) {
    await t.test(`${method} ${path}`, async () => {
      await fc.assert(
        fc.asyncProperty(mutatedBody(body), async (mutated) => {
          assertNamedAnswer(path, await fleet.world.askOperator(method, path, { token, body: mutated }));
        }),
        { numRuns: Math.ceil(inputs / targets.length), endOnFailure: true },
      );
    });
  }
});

test('paths, queries and tokens that nobody meant are refused by name', { timeout }, async () => {
  const piece = fc.oneof(
    fc
      .string({ maxLength: 40, unit: anyCharacter })
      .map((text) => (text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80')),
    fc.constantFrom('..', '%00', '%zz', '-1', '1e9', '99999999999999999999', '0.5', '[]', 'a'.repeat(3_000)),
  );
  const path = fc.oneof(
    piece.map((each) => `/v1/devices/${each}`),
    fc.tuple(piece, piece).map(([after, limit]) => `/v1/devices?after=${after}&limit=${limit}`),
    fc.tuple(piece, piece).map(([from, limit]) => `/v1/audit?from=${from}&limit=${limit}`),
    piece.map((each) => `/v1/audit/${each}/proof`),
    piece.map((each) => `/v1/leases?from=${each}`),
    piece.map((each) => `/v1/tokens?after=${each}`),
    piece.map((each) => `/v1/tokens/${each}`),
    piece.map((each) => `/v1/approvals/${each}`),
    piece.map((each) => `/v1/receipts/${each}`),
    piece.map((each) => `/log/tile/${each}`),
    piece.map((each) => `/v1/${each}`),
  );
  await fc.assert(
    fc.asyncProperty(path, async (each) =>
      assertNamedAnswer(each, await fleet.world.askOperator('GET', each, { token })),
    ),
    { numRuns: inputs, endOnFailure: true },
  );
});

test('after all of it the policy still constrains, the log reads, and a key is released', async () => {
  const { world, device } = fleet;
  const page = await world.askOperator('GET', '/v1/audit?from=0&limit=1000', { token });
  assert.ok(accepted(page, auditList).entries.length > 0);
  const { text } = await world.operator.get('/v1/policy', policyView);
  assert.match(text, /attestation/);
  await fleet.reconnect();
  assert.equal((await device.bind(fleet.link)).status, 200);
});
