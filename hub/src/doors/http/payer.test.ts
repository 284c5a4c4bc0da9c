import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyRoom, PayerClass, type PayerLimits } from './payer.ts';
import { openTestingListener } from './testing-server.ts';

function classWith(limits: Partial<PayerLimits>) {
  const time = { nowMs: 0 };
  const usual = { requestsPerSecond: 1_000, workPerSecond: 100, bytesPerSecond: 1_000, turns: 1, bodies: 1 };
  return { time, payers: new PayerClass({ ...usual, ...limits }, 1, new BodyRoom(10_000), () => time.nowMs) };
}

// SECURITY.md: HUB-42
test('a payer whose requests took its work waits until it has earned some again, and no other payer does', () => {
  const { payers, time } = classWith({ workPerSecond: 100 });
  payers.spendRequest('a');
  // The whole burst, and 500 more.
  payers.chargeWork('a', 1_500);
  assert.throws(() => payers.spendRequest('a'), { code: 'rate-limited', retryAfterSeconds: 5.01 });
  payers.spendRequest('b');
  time.nowMs = 5_000;
  assert.throws(() => payers.spendRequest('a'), { code: 'rate-limited' });
  time.nowMs = 5_010;
  payers.spendRequest('a');
  assert.equal(payers.refused.work, 2);
  assert.equal(payers.workedMs, 1_500);
});

test('a class without a budget of work counts it and refuses nobody for it', () => {
  const { payers } = classWith({ workPerSecond: undefined });
  payers.chargeWork('a', 1e9);
  payers.spendRequest('a');
  assert.equal(payers.workedMs, 1e9);
});

test('each refusal names its limit and when to come back', () => {
  const { payers } = classWith({ requestsPerSecond: 1, bytesPerSecond: 100 });
  for (let sent = 0; sent < 10; sent += 1) payers.spendRequest('a');
  assert.throws(() => payers.spendRequest('a'), { code: 'rate-limited', retryAfterSeconds: 1 });
  using _ = payers.openBody('a', 400);
  assert.throws(() => payers.openBody('a', 1), { code: 'rate-limited' });
  assert.throws(() => payers.openBody('b', 20_000), { code: 'rate-limited' });
  using other = payers.openBody('c', 400);
  assert.throws(() => other.grow(600), { code: 'rate-limited', retryAfterSeconds: 2 });
  assert.deepEqual(payers.refused, { requests: 1, work: 0, bytes: 1, bodies: 1, memory: 1 });
});

test('an answer to a payer who has to wait says for how long', async () => {
  await using listener = await openTestingListener(
    (app) => app.get('/', { onRequest: async ({ payer }) => payer.class.spendRequest(payer.key) }, async () => 'done'),
    { requestsPerSecond: 0.25 },
  );
  const client = await listener.connect();
  for (let sent = 0; sent < 4; sent += 1) client.socket.write('GET / HTTP/1.1\r\nhost: hub\r\n\r\n');
  assert.deepEqual(await client.answers(4), ['200', '200', '429 rate-limited', '429 rate-limited']);
  assert.match(client.text, /429 [\s\S]*retry-after: [1-4]\r\n/i);
});
