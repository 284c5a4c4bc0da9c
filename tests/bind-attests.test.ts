// The answer to bind carries the attestation result (spec/api.md, "Bind, challenge, answer"): one quote and two round trips fewer at each connection.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { verifyAttestationResult } from '@edgekeep/core/attest/ear';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { attestResponse, bindResponse } from '@edgekeep/wire/api/attest';
import { policyView } from '@edgekeep/wire/api/policy';
import { z } from 'zod';
import { accepted, assertRefused } from './support/answer.ts';
import { DeviceLink, zeroNonce } from './support/device-link.ts';
import { policyForAnyTier, SoftwareWorld } from './support/software-world.ts';
import { TestAgent } from './support/test-agent.ts';

let fleet: SoftwareWorld;
before(async () => {
  fleet = await SoftwareWorld.open();
});
after(() => fleet?.[Symbol.asyncDispose]());

/** A connection that is not bound yet. */
const connect = () => DeviceLink.open(fleet.world.hub, fleet.device.credential);

async function resultOfBinding(link: DeviceLink): Promise<string> {
  const { attestationResult } = accepted(await fleet.device.bind(link), bindResponse);
  assert.ok(attestationResult !== undefined);
  return attestationResult;
}

async function verdictOf(token: string) {
  const { attestationKeys } = await fleet.world.trust();
  const [key] = attestationKeys;
  assert.ok(key);
  const window = { nowSeconds: fleet.world.clock.now() / 1_000, maxAgeSeconds: 60, maxSkewSeconds: 5 };
  const verdict = verifyAttestationResult(token, key.publicKey, window);
  assert.ok(verdict.kind === 'verified');
  return verdict.result;
}

/** Requests on the device listener so far, by route. */
async function requests(): Promise<ReadonlyMap<string, number>> {
  const text = Buffer.from(await fleet.world.operator.getBytes('/metrics')).toString();
  const counts = text.matchAll(/^edgekeep_request_seconds_count\{([^}]*listener="device"[^}]*)\} (\d+)$/gm);
  const sums = new Map<string, number>();
  for (const [, labels = '', count] of counts) {
    const route = /route="([^"]*)"/.exec(labels)?.[1] ?? '';
    sums.set(route, (sums.get(route) ?? 0) + Number(count));
  }
  return sums;
}

test('the result is the verifier’s word about the evidence of this very connection', async () => {
  await using link = await connect();
  const result = await verdictOf(await resultOfBinding(link));
  assert.equal(result.subject, fleet.device.id);
  assert.deepEqual(Buffer.from(result.nonce), Buffer.from(qualifyingData('bind', zeroNonce, link.exporter)));
  const asked = accepted(await fleet.device.attest(link), attestResponse);
  const { status, vector, pcrDigest } = await verdictOf(asked.attestationResult);
  assert.deepEqual([result.status, result.vector, result.pcrDigest], [status, vector, pcrDigest]);
});

test('no two connections get a result of one name, so none can be shown for the other', async () => {
  const nonces: string[] = [];
  for (let times = 0; times < 2; times += 1) {
    await using link = await connect();
    const { nonce } = await verdictOf(await resultOfBinding(link));
    nonces.push(Buffer.from(nonce).toString('hex'));
  }
  assert.equal(new Set(nonces).size, 2);
});

test('an agent of the version before reads the answer, and is answered when it attests in a request of its own', async () => {
  const before = z.object({ deviceId: z.string(), state: z.string() });
  await using link = await connect();
  const answer = await fleet.device.bind(link);
  assert.deepEqual(Object.keys(accepted(answer, before)), ['deviceId', 'state']);
  accepted(await fleet.device.attest(link), attestResponse);
});

test('where the policy permits no attestation the connection is bound and no result comes with it', async () => {
  const { operator } = fleet.world;
  const forbid = '@id("nobody-attests") forbid (principal, action == Edgekeep::Action::"attest", resource);';
  await operator.send('PUT', '/v1/policy', { text: `${policyForAnyTier}${forbid}` }, policyView);
  try {
    await using link = await connect();
    assert.equal(accepted(await fleet.device.bind(link), bindResponse).attestationResult, undefined);
    assertRefused(await fleet.device.attest(link), { status: 403, code: 'access-refused' });
    assert.equal((await link.ask('GET', '/v1/checkpoint?from=0')).status, 200);
  } finally {
    await operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  }
});

test('an agent asks for nothing but its binding to know what the hub makes of its boot, at its first connection and at later ones', async (t) => {
  const agent = await TestAgent.prepare(fleet.world, 'thrifty');
  t.after(() => agent[Symbol.asyncDispose]());
  for (let times = 0; times < 2; times += 1) {
    const before = await requests();
    const story = await agent.start();
    await story.next('attested');
    const now = await requests();
    const more = (route: string) => (now.get(route) ?? 0) - (before.get(route) ?? 0);
    assert.deepEqual([more('/v1/bind'), more('/v1/challenges'), more('/v1/attest')], [1, 0, 0]);
    await agent.stop();
  }
});
