// Every route of the device API with mutations of real requests: a named refusal or an honest answer, never a 5xx, a hang or a key.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import * as fc from 'fast-check';
import { toBase64url } from '@edgekeep/core/bytes';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import { skipWithout, simulatorTools } from '@edgekeep/hardware/tpm/testing';
import { closeAll } from '../support/closing.ts';
import { DeviceLink, zeroNonce } from '../support/device-link.ts';
import { assertNamedAnswer, fuzzInputs } from '../support/fuzzing.ts';
import { mutatedBody } from '../support/mutation.ts';
import { newOperationalKey, type TestDevice } from '../support/test-device.ts';
import { model, TpmWorld } from '../support/tpm-world.ts';
import { TestWitness } from '../support/witness.ts';
import { anyCharacter } from '@edgekeep/core/testing-text';

const skip = await skipWithout(...simulatorTools);
const inputs = fuzzInputs(800);

let fleet: TpmWorld;
let device: TestDevice;
let own: FreshLink;
let stranger: FreshLink;
let targets: readonly Target[];

interface Target {
  readonly path: string;
  readonly body: object;
  readonly link: FreshLink;
  /** What an honest device sends before this request. */
  readonly before?: readonly [string, object | undefined];
  /** A mutation may still be a valid request. */
  readonly mayPass?: true;
}

/** A connection that is opened again whenever the hub has closed it. */
class FreshLink {
  readonly #open: () => Promise<DeviceLink>;
  #link: DeviceLink | undefined;

  constructor(open: () => Promise<DeviceLink>) {
    this.#open = open;
  }

  async get(): Promise<DeviceLink> {
    if (this.#link?.connected === true) return this.#link;
    await this.#link?.[Symbol.asyncDispose]();
    this.#link = await this.#open();
    return this.#link;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link?.[Symbol.asyncDispose]();
  }
}

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open({ maxRequestsPerSecond: 100_000 });
  device = await fleet.device('fuzzed');
  own = new FreshLink(() => device.connect(fleet.world.hub));
  stranger = new FreshLink(() => DeviceLink.open(fleet.world.hub));
  targets = await recordTargets();
});
after(async () => {
  await closeAll(fleet, stranger, own);
});

async function recordTargets(): Promise<readonly Target[]> {
  const { world } = fleet;
  const newcomer = await fleet.newDevice('newcomer');
  const identity: DeviceIdentity = await newcomer.identity();
  const token = await world.enrollmentToken();
  const start = { version: certifyVersion, deviceId: 'newcomer', token, identity };
  const { request, spki } = await newOperationalKey('newcomer');
  const nonce = randomBytes(32);
  const proof = await newcomer.certifyProof('enroll', { nonce, spki, exporter: randomBytes(32) });
  const release = await device.evidence('release', nonce, (await own.get()).exporter);
  const certificateRequest = toBase64url(request);
  const witness = new TestWitness(world.hub.logKey, device.witness);
  await witness.follow(await own.get());
  const checkpoint = Buffer.from(await witness.cosigned(1)).toString('utf8');
  const count = { model: 'surface', version: '1.0.0', accepted: 1, fallback: 0, review: 0, failed: 0 };
  const forkProof = JSON.stringify({
    first: checkpoint,
    kind: 'same-size',
    second: checkpoint,
    type: 'edgekeep-fork-proof/v1',
  });
  const challenge = ['/v1/challenges', undefined] as const;
  return [
    { path: '/v1/enroll/challenge', body: start, link: stranger, mayPass: true },
    {
      path: '/v1/enroll/complete',
      body: {
        credentialSecret: toBase64url(nonce),
        certificateRequest,
        evidence: proof.evidence,
        witnessKey: newcomer.witnessKey,
      },
      link: stranger,
      before: ['/v1/enroll/challenge', start],
    },
    { path: '/v1/bind', body: { evidence: await device.evidence('bind', zeroNonce, randomBytes(32)) }, link: own },
    { path: '/v1/attest', body: { evidence: release }, link: own, before: challenge, mayPass: true },
    {
      path: '/v1/releases',
      body: { model: model.name, version: model.version, evidence: release },
      link: own,
      before: challenge,
    },
    { path: '/v1/renew', body: { ...proof, certificateRequest }, link: own, before: challenge },
    { path: '/v1/workloads/vision/certificate', body: { certificateRequest }, link: own },
    { path: '/v1/recover/challenge', body: { deviceId: 'fuzzed' }, link: stranger, mayPass: true },
    {
      path: '/v1/recover/complete',
      body: { ...proof, certificateRequest },
      link: stranger,
      before: ['/v1/recover/challenge', { deviceId: 'fuzzed' }],
    },
    { path: '/v1/cosignatures', body: { checkpoint }, link: own, mayPass: true },
    { path: '/v1/reports', body: { counts: [count], forkProof }, link: own, mayPass: true },
  ];
}

test('mutated requests are refused by name', { skip, timeout: 240_000 + inputs * 100 }, async (t) => {
  for (const target of targets) {
    await t.test(target.path, async () => {
      await fc.assert(
        fc.asyncProperty(mutatedBody(target.body), async (body) => {
          const link = await target.link.get();
          if (target.before !== undefined) await link.ask('POST', ...target.before);
          const answer = await link.send('POST', target.path, body);
          assertNamedAnswer(target.path, answer);
          if (target.mayPass !== true) assert.notEqual(answer.status, 200, `${target.path} accepted a mutation`);
        }),
        { numRuns: Math.ceil(inputs / targets.length), endOnFailure: true },
      );
    });
  }
});

test('paths and queries that nobody meant are refused by name', { skip, timeout: 240_000 + inputs * 100 }, async () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 40, unit: anyCharacter }).map(encodedPiece),
    fc.constantFrom(
      '..',
      '%2e%2e',
      '%00',
      '%2F..%2F',
      '1.0.0',
      '-1',
      '1e9',
      '99999999999999999999',
      '0x1',
      '[]',
      'a'.repeat(3_000),
    ),
  );
  const path = fc.oneof(
    piece.map((each) => `/v1/models/${each}`),
    fc.tuple(piece, piece).map(([version, file]) => `/v1/models/${model.name}/${version}/files/${file}`),
    piece.map((each) => `/v1/models/${model.name}/${model.version}/files/${each}`),
    piece.map((each) => `/v1/checkpoint?from=${each}`),
    fc.tuple(piece, piece).map(([name, value]) => `/v1/checkpoint?${name}=${value}&${name}=${value}`),
    piece.map((each) => `/v1/receipts/${each}`),
    piece.map((each) => `/log/tile/0/${each}`),
    piece.map((each) => `/log/tile/${each}`),
    piece.map((each) => `/${each}`),
  );
  await fc.assert(
    fc.asyncProperty(path, async (each) => assertNamedAnswer(each, await (await own.get()).ask('GET', each))),
    { numRuns: inputs, endOnFailure: true },
  );
});

test('after all of it the hub works, and its log tells of no release', { skip }, async () => {
  assert.deepEqual(await fleet.world.entries('key-released'), []);
  await using again = await device.connect(fleet.world.hub);
  await device.release(again, model.name, model.version);
});

function encodedPiece(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80';
}
