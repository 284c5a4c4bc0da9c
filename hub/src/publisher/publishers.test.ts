import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { listPublishers, trustPublisher } from './publishers.ts';
import { testPublisher, trustTestPublisher } from './testing-publisher.ts';

const trust = ({ database }: TestStore, publicKey: string) =>
  trustPublisher(database, { name: 'works', publicKey, actor: 'person:ada/desk', nowMs: 1 });
const pem = (keys: { publicKey: { export(options: { type: 'spki'; format: 'pem' }): string | Buffer } }) =>
  keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();

test('a publisher is trusted once, with one entry, however often the order comes', async () => {
  await using store = await openTestStore();
  const fingerprint = await trustTestPublisher(store.database);
  await trustTestPublisher(store.database);
  const [publisher, ...more] = await listPublishers(store.database);
  assert.deepEqual([publisher?.fingerprint, more.length], [fingerprint, 0]);
  assert.ok(publisher?.publicKey.equals(testPublisher.publicKey));
  assert.deepEqual(
    (await auditEntries(store.database)).map(({ kind }) => kind),
    ['publisher-trusted'],
  );
});

test('a private key is refused where a public one belongs, before anything is stored', async () => {
  await using store = await openTestStore();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const type of ['pkcs8', 'sec1'] as const) {
    const text = privateKey.export({ type, format: 'pem' }).toString();
    await assert.rejects(trust(store, text), { code: 'request-invalid', message: /private key/ });
  }
  assert.deepEqual(await listPublishers(store.database), []);
});

test('a key that signs no models is refused, and so is text that is not a key', async () => {
  await using store = await openTestStore();
  for (const text of [pem(generateKeyPairSync('ed25519')), '', 'ssh-ed25519 AAAA', '-----BEGIN PUBLIC KEY-----'])
    assert.equal(await refusalOf(trust(store, text)), 'request-invalid', text);
});
