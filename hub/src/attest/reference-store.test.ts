import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedKey, testPcrs, uefiBoot } from '@edgekeep/core/attest/testing';
import { signerFromKey } from '@edgekeep/core/signer';
import { signDocument, testPublisher, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { ReferenceStore, referencesState } from './reference-store.ts';
import { testReferences } from './testing-device.ts';

const by = { actor: 'person:ada/desk', nowMs: 1_800_000_000_000 };
const document = testReferences('1.0.0');

const publish = async ({ database }: TestStore, signature: string, bytes = document) =>
  new ReferenceStore(database, testPcrs).publish({ document: bytes, signature, ...by });

test('reference values that a trusted publisher signed are published once, with an entry that has their digest', async () => {
  await using store = await openTestStore();
  const fingerprint = await trustTestPublisher(store.database);
  const row = await publish(store, await signDocument(document));
  assert.deepEqual([row.name, row.version, row.publisher], ['line', '1.0.0', fingerprint]);
  const entry = (await auditEntries(store.database)).at(-1);
  assert.deepEqual([entry?.kind, entry?.subject], ['reference-values-published', 'line@1.0.0']);
  assert.equal(await refusalOf(publish(store, await signDocument(document))), 'conflict');
});

test('nothing is published before a publisher is trusted, and nothing that another one signed', async () => {
  await using store = await openTestStore();
  assert.equal(await refusalOf(publish(store, await signDocument(document))), 'publisher-untrusted');
  await trustTestPublisher(store.database);
  const stranger = await signDocument(document, signerFromKey(fixedKey(77)));
  assert.equal(await refusalOf(publish(store, stranger)), 'reference-values-refused: wrong-key');
});

test('a signature over another document publishes nothing', async () => {
  await using store = await openTestStore();
  await trustTestPublisher(store.database);
  const other = await signDocument(testReferences('1.0.1'));
  assert.equal(await refusalOf(publish(store, other)), 'reference-values-refused: digest-mismatch');
  const changed = other.replace(/"sig": ?"[^"]{8}/, '"sig":"AAAAAAAA');
  assert.notEqual(changed, other);
  assert.match(await refusalOf(publish(store, changed)), /^reference-values-refused: signature-invalid$/);
  assert.deepEqual(await new ReferenceStore(store.database, testPcrs).list(), []);
});

test('reference values on PCRs that no quote covers are refused', async () => {
  await using store = await openTestStore();
  await trustTestPublisher(store.database);
  const narrow = new ReferenceStore(store.database, [2, 3]);
  const only = testReferences(
    '1.0.0',
    uefiBoot.filter(({ pcr }) => pcr === 14),
  );
  const order = { document: only, signature: await signDocument(only), ...by };
  await assert.rejects(narrow.publish(order), { code: 'reference-values-invalid' });
});

test('withdrawn reference values are compared with no boot, at this node and at every other', async () => {
  await using store = await openTestStore();
  await trustTestPublisher(store.database);
  await publish(store, await signDocument(document));
  const newer = testReferences('2.0.0');
  await publish(store, await signDocument(newer, testPublisher), newer);
  const [one, other] = [new ReferenceStore(store.database, testPcrs), new ReferenceStore(store.database, testPcrs)];
  const versions = async (node: ReferenceStore) => (await node.active()).sets.map(({ version }) => version).toSorted();
  assert.deepEqual(
    [await versions(one), await versions(other)],
    [
      ['1.0.0', '2.0.0'],
      ['1.0.0', '2.0.0'],
    ],
  );
  const before = await referencesState(store.database.read);
  await one.withdraw({ name: 'line', version: '1.0.0', ...by });
  assert.deepEqual([await versions(one), await versions(other)], [['2.0.0'], ['2.0.0']]);
  assert.notEqual(await referencesState(store.database.read), before);
  assert.equal(await refusalOf(one.withdraw({ name: 'line', version: '1.0.0', ...by })), 'not-found');
});
