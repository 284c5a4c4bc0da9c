import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { HubError } from '../common/error.ts';
import { openTestStore } from '../store/testing-store.ts';
import { isUnknownMaker, UnknownMakers } from './unknown-makers.ts';

const nowMs = 1_800_000_000_000;
const knock = { deviceId: 'press-1', address: '192.0.2.1', certificate: undefined };

test('a flood of knocks is one alert, written at its first knock and at the end of its minute', async () => {
  await using store = await openTestStore();
  let writes = 0;
  const counting = {
    writeAsHub: <T>(work: Parameters<typeof store.database.writeAsHub<T>>[0]) => {
      writes += 1;
      return store.database.writeAsHub(work);
    },
  };
  await using makers = new UnknownMakers(counting, () => nowMs);
  for (let number = 0; number < 5_000; number += 1)
    makers.note({ ...knock, deviceId: `press-${number}`, address: `192.0.2.${number % 250}` });
  assert.equal(writes, 1);
  await makers.flush();
  assert.equal(writes, 2);
  const [alert, ...more] = await store.database.read.selectFrom('alert').selectAll().execute();
  assert.deepEqual([more, alert?.kind, alert?.count], [[], 'unknown-maker', 5_000]);
  const { devices, addresses, makers: names } = JSON.parse(alert?.data ?? '{}');
  assert.deepEqual([devices.length, addresses.length, names], [16, 16, ['no certificate']]);
});

test('what a device sends is cut, printable, and may be no certificate at all', async () => {
  await using store = await openTestStore();
  await using makers = new UnknownMakers(store.database, () => nowMs);
  const period = { notBeforeSeconds: 0, notAfterSeconds: 4e9 };
  const { certificate } = await testRoot(period, `Maker\n\u001b[31m${'x'.repeat(500)}`);
  makers.note({ ...knock, certificate: toBase64url(certificate.der) });
  makers.note({ ...knock, certificate: 'AAAA' });
  await makers.flush();
  const { title, data } = await store.database.read.selectFrom('alert').selectAll().executeTakeFirstOrThrow();
  const { makers: names } = JSON.parse(data);
  assert.equal(names.length, 2);
  assert.ok(
    names.every((name: string) => name.length <= 121 && !/\p{Cc}/u.test(name)),
    data,
  );
  assert.ok(title.length <= 300 && !/\p{Cc}/u.test(title));
});

test('only a path that ends at no trusted maker counts', () => {
  const refused = (code: string) => new HubError('enrollment-refused', 'no', { reasons: [{ code, message: 'no' }] });
  const refusals = ['endorsement-refused', 'endorsement-certificate-missing', 'endorsement-key-differs'];
  for (const code of [...refusals, 'dice-path-refused', 'idevid-authority-unknown'])
    assert.ok(isUnknownMaker(refused(code)), code);
  for (const code of ['device-id-taken', 'root-of-trust-blocked', 'dice-layer-order'])
    assert.ok(!isUnknownMaker(refused(code)), code);
  assert.ok(!isUnknownMaker(new Error('dice-path-refused')));
});
