// Clients without permission cost little (spec/api.md, "Admission"): refusals come before bodies, and the flood of one payer takes nothing
// from another.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { alertList } from '@edgekeep/wire/api/alert';
import { z } from 'zod';
import { HubWorld } from '../support/hub-world.ts';
import { newToken, registration } from '../support/people.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open({
    settings: {
      admission: { maxAddressRequestsPerSecond: 2, maxTokenRequestsPerSecond: 5, refusalsForAlert: 15 },
    },
  });
});
after(async () => {
  await world[Symbol.asyncDispose]();
});

type Listener = 'deviceAddress' | 'operatorAddress';

/** Sends the head of a request and none of its body; returns the status and code of the answer. */
async function headOnly(
  listener: Listener,
  path: string,
  { length = 1_000_000, from = '127.0.0.61', token = '' } = {},
): Promise<string> {
  const { host, port } = world.hub[listener];
  const raw = connectTcp({ host, port, localAddress: from });
  const socket = connect({ socket: raw, ca: world.hub.rootPem, servername: 'localhost' });
  try {
    await once(socket, 'secureConnect');
    const authorization = token === '' ? '' : `authorization: Bearer ${token}\r\n`;
    const type = 'content-type: application/json\r\n';
    socket.write(`POST ${path} HTTP/1.1\r\nhost: hub\r\n${authorization}${type}content-length: ${length}\r\n\r\n`);
    let answer = '';
    while (!answer.includes('"code"')) {
      const [chunk]: readonly unknown[] = await once(socket, 'data');
      answer += String(chunk);
    }
    return `${answer.slice(9, 12)} ${/"code":"([^"]+)"/.exec(answer)?.[1] ?? ''}`;
  } finally {
    socket.destroy();
  }
}

// SECURITY.md: HUB-39
test('a stranger gets the refusal before the first byte of a body: too long, no challenge, no certificate', async () => {
  assert.equal(await headOnly('deviceAddress', '/v1/enroll/challenge'), '413 payload-too-large');
  assert.equal(await headOnly('deviceAddress', '/v1/enroll/complete'), '409 challenge-missing');
  assert.equal(await headOnly('deviceAddress', '/v1/recover/complete'), '409 challenge-missing');
  assert.equal(await headOnly('deviceAddress', '/v1/bind'), '401 certificate-required');
  assert.equal(await headOnly('deviceAddress', '/v1/attest'), '401 certificate-required');
});

// SECURITY.md: HUB-39
test('no body is read before a token was seen, nor for a route that it has no scope for', async () => {
  assert.equal(await headOnly('operatorAddress', '/v1/models'), '401 token-required');
  const token = await world.apiToken(['models:read']);
  assert.equal(await headOnly('operatorAddress', '/v1/models', { token }), '403 scope-missing');
});

// SECURITY.md: HUB-42
test('who guesses tokens uses up the budget of the address; a token that was good there before goes on', async () => {
  const token = await world.apiToken(['devices:read']);
  const ask = async (shown: string) => (await world.askOperator('GET', '/v1/devices', { token: shown })).status;
  assert.equal(await ask(token), 200);
  const guesses = await Promise.all(
    Array.from({ length: 30 }, () => ask(`ek_${randomBytes(32).toString('base64url')}`)),
  );
  assert.deepEqual(new Set(guesses), new Set([401, 429]));
  assert.equal(await ask(token), 200);
  const { alerts } = await world.operator.get('/v1/alerts', alertList);
  const alert = alerts.find(({ kind }) => kind === 'refused-attempts');
  assert.equal(alert?.subject, 'address:127.0.0.1');
  world.clock.advanceSeconds(60);
});

// SECURITY.md: HUB-42
test('the tokens that one maker made have one budget together, and a person who goes on beside them has another', async () => {
  const [busy, sibling] = [await world.apiToken(['devices:read']), await world.apiToken(['devices:read'])];
  const ben = newToken();
  await world.operator.send('POST', '/v1/people', { name: 'ben' }, z.unknown());
  await world.operator.send('POST', '/v1/tokens', registration('ben', ben, 'viewer'), z.unknown());
  world.clock.advanceSeconds(60);
  const ask = async (token: string, times: number) =>
    Promise.all(
      Array.from({ length: times }, async () => (await world.askOperator('GET', '/v1/sites', { token })).status),
    );
  // 50 in a burst, and 5 more each second: a payer that has not asked yet is never refused this number.
  assert.deepEqual(new Set(await ask(busy, 80)), new Set([200, 429]));
  const [ofSibling, ofBen] = await Promise.all([ask(sibling, 45), ask(ben.token, 45)]);
  assert.ok(ofSibling.includes(429));
  assert.deepEqual(new Set(ofBen), new Set([200]));
  world.clock.advanceSeconds(60);
});

// SECURITY.md: HUB-42
test('requests that take much work use up the budget of work, long before their number does', async () => {
  await using small = await HubWorld.open({
    settings: { admission: { maxTokenRequestsPerSecond: 100_000, maxTokenMillisecondsPerSecond: 20 } },
  });
  const token = await small.apiToken(['devices:read', 'metrics:read']);
  small.clock.advanceSeconds(60);
  // 200 ms in a burst.
  const ask = async () => (await small.askOperator('GET', '/v1/devices?limit=1000', { token })).status;
  let served = 0;
  while (served < 5_000 && (await ask()) === 200) served += 1;
  assert.ok(served > 0 && served < 5_000, `${served}`);
  small.clock.advanceSeconds(60);
  const metrics = Buffer.from((await small.askOperator('GET', '/metrics', { token })).body).toString();
  assert.match(metrics, /^edgekeep_limited_total\{payer="tokens",limit="work"\} 1$/m);
  assert.match(metrics, /^edgekeep_limited_total\{payer="tokens",limit="requests"\} 0$/m);
  assert.match(metrics, /^edgekeep_work_seconds_total\{payer="tokens"\} 0\.\d+$/m);
});
