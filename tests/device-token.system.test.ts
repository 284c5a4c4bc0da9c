// Devices that sign HMAC tokens, with the Python code used in the field: accepted once, inside the window, under a valid secret.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { encodeDeviceToken } from '@edgekeep/core/identity/device-token';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { tokenReportResponse, tokenDeviceResponse, tokenRollResponse } from '@edgekeep/wire/api/token-device';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';

// As devices in the field have it, from the published guide (seed A of the specification).
const fieldCode = `import hmac
import hashlib
import time
def create_device_token(device_id, secret_key):
    timestamp = str(int(time.time()))
    message = f"{device_id}:{timestamp}"
    signature = hmac.new(
        secret_key.encode(),
        message.encode(),
        hashlib.sha256
    ).hexdigest()
    return f"{device_id}:{timestamp}:{signature}"
import sys
print(create_device_token(sys.argv[1], sys.stdin.read().strip()))
`;

const refusal = { status: 401, code: 'token-refused' };
let world: HubWorld;
let secret = '';

before(async () => {
  world = await HubWorld.open();
  ({ secret } = await world.operator.send('POST', '/v1/token-devices', { id: 'meter-1' }, tokenDeviceResponse));
});
after(() => world?.[Symbol.asyncDispose]());

const nowSeconds = () => Math.floor(world.clock.now() / 1_000);

function report(token: string | undefined): Promise<Answer> {
  const { host, port } = world.hub.deviceAddress;
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Device ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      host,
      port,
      path: '/v1/token/report',
      headers,
      ca: world.hub.rootPem,
      servername: 'localhost',
    };
    const outgoing = request(options, (response) => {
      buffer(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    outgoing.once('error', reject);
    outgoing.end('{}');
  });
}

test(
  'the token that the published Python function makes is accepted unchanged, once',
  { skip: await skipWithout('python3') },
  async () => {
    const script = join(world.folder, 'token.py');
    writeFileSync(script, fieldCode);
    const token = execFileSync('python3', [script, 'meter-1'], { input: secret, encoding: 'utf8' }).trim();
    assert.equal(accepted(await report(token), tokenReportResponse).deviceId, 'meter-1');
    assertRefused(await report(token), refusal);
  },
);

test('a token that was used is refused after a restart of the hub', async () => {
  const token = encodeDeviceToken('meter-1', nowSeconds() + 20, secret);
  assert.equal((await report(token)).status, 200);
  await world.restart();
  assertRefused(await report(token), refusal);
});

test('a token outside the window, of another secret, of another device or in another form is refused', async () => {
  const now = nowSeconds();
  const tokens = [
    encodeDeviceToken('meter-1', now - 400, secret),
    encodeDeviceToken('meter-1', now + 400, secret),
    encodeDeviceToken('meter-1', now + 31, 'another secret'),
    encodeDeviceToken('meter-2', now, secret),
    encodeDeviceToken('meter-1', now, secret).toUpperCase(),
    'meter-1',
  ];
  for (const token of tokens) {
    world.clock.advanceSeconds(1);
    assertRefused(await report(token), refusal);
  }
  assertRefused(await report(undefined), { status: 401, code: 'token-required' });
});

test('of two requests that race with one token exactly one is served', async () => {
  world.clock.advanceSeconds(10);
  const token = encodeDeviceToken('meter-1', nowSeconds(), secret);
  const statuses = (await Promise.all([report(token), report(token), report(token)])).map(({ status }) => status);
  assert.deepEqual(
    statuses.toSorted((a, b) => a - b),
    [200, 401, 401],
  );
});

test('after a roll-over both secrets are valid until the overlap ends, and never three', async () => {
  const roll = async (overlapSeconds: number) =>
    (await world.operator.send('POST', '/v1/token-devices/meter-1/roll', { overlapSeconds }, tokenRollResponse)).secret;
  const next = async (key: string) => {
    world.clock.advanceSeconds(5);
    return (await report(encodeDeviceToken('meter-1', nowSeconds(), key))).status;
  };
  const second = await roll(3_600);
  assert.deepEqual([await next(secret), await next(second)], [200, 200]);
  const third = await roll(3_600);
  assert.deepEqual([await next(secret), await next(second), await next(third)], [401, 200, 200]);
  world.clock.advanceSeconds(3_600);
  assert.deepEqual([await next(second), await next(third)], [401, 200]);
  secret = third;
});

test('a quarantined token device is refused', async () => {
  await world.setState('meter-1', 'quarantine');
  world.clock.advanceSeconds(5);
  assertRefused(await report(encodeDeviceToken('meter-1', nowSeconds(), secret)), refusal);
});

test('a flood of guesses under one id is limited, and other devices are served meanwhile', async () => {
  const other = await world.operator.send('POST', '/v1/token-devices', { id: 'meter-3' }, tokenDeviceResponse);
  const guesses = Array.from({ length: 30 }, (_, at) =>
    report(encodeDeviceToken('meter-1', nowSeconds(), `guess ${at}`)),
  );
  const statuses = (await Promise.all(guesses)).map(({ status }) => status);
  assert.ok(statuses.includes(429) && !statuses.includes(200), statuses.join(' '));
  assert.equal((await report(encodeDeviceToken('meter-3', nowSeconds(), other.secret))).status, 200);
});

test('a hub whose clock is set back accepts no token again, and new ones once its clock has caught up', async () => {
  const { secret: own } = await world.operator.send(
    'POST',
    '/v1/token-devices',
    { id: 'meter-9' },
    tokenDeviceResponse,
  );
  const token = () => encodeDeviceToken('meter-9', nowSeconds(), own);
  const first = token();
  accepted(await report(first), tokenReportResponse);
  // Much later it is over and cleared.
  world.clock.advanceSeconds(4_000);
  accepted(await report(token()), tokenReportResponse);
  world.clock.advanceSeconds(-4_000);
  assertRefused(await report(first), refusal);
  world.clock.advanceSeconds(3);
  assertRefused(await report(token()), refusal);
  world.clock.advanceSeconds(4_000);
  accepted(await report(token()), tokenReportResponse);
});
