// An attacker with a blocked key returns with the same key in another encoding (docs/design/canonical-keys.md).
import assert from 'node:assert/strict';
import { createHash, ECDH } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseBase64url, parseHex, toBase64url, toHex } from '@edgekeep/core/bytes';
import { encodePem } from '@edgekeep/core/identity/pem';
import { alertList } from '@edgekeep/wire/api/alert';
import { z } from 'zod';
import { assertRefused } from '../support/answer.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { inStore } from '../support/outside-store.ts';

const headers: Readonly<Record<string, string>> = {
  compressed: '3039301306072a8648ce3d020106082a8648ce3d030107032200',
  hybrid: '3059301306072a8648ce3d020106082a8648ce3d030107034200',
};

/** The same P-256 key with its point in another form. */
function inForm(form: 'compressed' | 'hybrid', spki: Uint8Array): Uint8Array {
  const point = ECDH.convertKey(Buffer.from(spki.subarray(-65)), 'prime256v1', undefined, undefined, form);
  return Buffer.concat([parseHex(headers[form] ?? '', form), Buffer.from(point)]);
}

let world: HubWorld;
let signingKey: Uint8Array;
before(async () => {
  world = await HubWorld.open({});
  const first = await TestDevice.withoutTpm('twin-1', join(world.folder, 'twin'));
  const answer = await first.tryEnroll(world, await world.enrollmentToken({ deviceId: 'twin-1', tier: 'software' }));
  assert.equal(answer.status, 200, Buffer.from(answer.body).toString());
  const identity = await first.identity();
  assert.ok(identity.kind === 'software');
  signingKey = parseBase64url(identity.signingKey, 'signingKey');
});
after(() => world?.[Symbol.asyncDispose]());

async function tryTwin(id: string, spki: Uint8Array) {
  const twin = await TestDevice.withoutTpm(id, join(world.folder, 'twin'));
  return twin.tryEnroll(world, await world.enrollmentToken({ deviceId: id, tier: 'software' }), {
    start: (honest) => ({ ...honest, identity: { ...honest.identity, signingKey: toBase64url(spki) } }),
  });
}

test('a second device with the key of the first is refused', async () => {
  assertRefused(await tryTwin('twin-2', signingKey), {
    status: 403,
    code: 'enrollment-refused',
    reason: 'root-of-trust-taken',
  });
});

for (const form of ['compressed', 'hybrid'] as const) {
  // SECURITY.md: DEV-02
  test(`the same key in ${form} form is refused by name, and no device comes of it`, async () => {
    assertRefused(await tryTwin(`twin-${form}`, inForm(form, signingKey)), {
      status: 400,
      code: 'request-invalid',
      says: new RegExp(`${form} point`),
    });
    await assert.rejects(world.device(`twin-${form}`), { code: 'not-found' });
  });

  test(`a publisher whose key is in ${form} form is refused by name`, async () => {
    const order = { name: 'eve', publicKey: encodePem('PUBLIC KEY', inForm(form, signingKey)) };
    const sent = world.operator.send('POST', '/v1/publishers', order, z.unknown());
    await assert.rejects(sent, { message: new RegExp(`${form} point`) });
  });
}

test('the digest that a block names is the one of the canonical form', async () => {
  const { rootSha256 } = await world.device('twin-1');
  assert.equal(rootSha256, toHex(createHash('sha256').update(signingKey).digest()));
});

test('a hub that starts over a store with one key in two forms starts, and an alert names the holders', async () => {
  await world.stop();
  await inStore(world.place, (store) =>
    store.run('insert into key_double values (?, ?)', 'ab'.repeat(32), 'device twin-1, device twin-9'),
  );
  await world.start();
  const { alerts } = await world.operator.get('/v1/alerts?kind=keys-alike', alertList);
  assert.equal(alerts.length, 1);
  assert.match(alerts[0]?.title ?? '', /device twin-1, device twin-9/);
});
