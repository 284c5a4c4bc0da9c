import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { Attempts } from './attempts.ts';

async function openAttempts(alertAt: number) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-attempts-'));
  const database = await Database.open(await storePlace(folder));
  const counts = new Map<string, number>();
  const attempts = new Attempts(
    database,
    () => 1_000_000,
    alertAt,
    (listener, code) => {
      const name = `${listener} ${code}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    },
  );
  const alerts = async () => {
    await attempts.flush();
    return database.read.selectFrom('alert').select(['subject', 'count', 'data', 'title']).orderBy('subject').execute();
  };
  return {
    attempts,
    counts,
    alerts,
    async [Symbol.asyncDispose]() {
      await attempts[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const attempt = { listener: 'device', address: '192.0.2.7', claimed: 'press-7', code: 'renewal-refused' };

// SECURITY.md: HUB-45
test('every refused attempt is counted, and too many of one network are one alert with address and claimed name', async () => {
  await using opened = await openAttempts(5);
  for (let time = 0; time < 4; time += 1) opened.attempts.note(attempt);
  assert.deepEqual(await opened.alerts(), []);
  for (let time = 0; time < 500; time += 1)
    opened.attempts.note({ ...attempt, claimed: time % 2 === 0 ? 'press-7' : 'press-8' });
  const [alert, ...others] = await opened.alerts();
  assert.deepEqual(others, []);
  assert.equal(alert?.subject, 'address:192.0.2.7');
  assert.equal(alert.count, 500);
  const data: unknown = JSON.parse(alert.data);
  assert.deepEqual(data, {
    addresses: ['192.0.2.7'],
    claimed: ['press-7', 'press-8'],
    codes: ['renewal-refused'],
    listeners: ['device'],
  });
  assert.equal(opened.counts.get('device renewal-refused'), 504);
});

test('addresses of one IPv6 network are one, and a flood from very many networks makes few alerts', async () => {
  await using opened = await openAttempts(2);
  for (let host = 0; host < 2; host += 1) opened.attempts.note({ ...attempt, address: `2001:db8::${host}` });
  assert.deepEqual(
    (await opened.alerts()).map(({ subject }) => subject),
    ['address:2001:db8:0:0'],
  );
  for (let network = 0; network < 1_000; network += 1)
    for (let time = 0; time < 2; time += 1)
      opened.attempts.note({ ...attempt, address: `10.0.${network >> 8}.${network & 255}` });
  const alerts = await opened.alerts();
  assert.equal(alerts.length, 18);
  assert.equal(alerts.find(({ subject }) => subject === 'address:other networks')?.count, 2 * (1_000 - 16));
});
