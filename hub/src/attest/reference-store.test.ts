import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedKey, uefiBoot } from '@edgekeep/core/attest/testing';
import { signerFromKey } from '@edgekeep/core/signer';
import { signDocument, testPublisher, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { ReferenceStore } from './reference-store.ts';
import { testReferences, testAttestation } from './testing-device.ts';

const by = { actor: 'person:ada/desk', nowMs: 1_800_000_000_000 };
const clock = () => by.nowMs;
const document = testReferences('1.0.0');

const publish = async ({ database }: TestStore, signature: string, bytes = document) =>
  new ReferenceStore(database, testAttestation, clock).publish({ document: bytes, signature, ...by });

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
  assert.deepEqual(await new ReferenceStore(store.database, testAttestation, clock).list(), []);
});

test('reference values on PCRs that no quote covers are refused', async () => {
  await using store = await openTestStore();
  await trustTestPublisher(store.database);
  const narrow = new ReferenceStore(store.database, { ...testAttestation, pcrs: [2, 3] }, clock);
  const only = testReferences(
    '1.0.0',
    uefiBoot.filter(({ pcr }) => pcr === 14),
  );
  const order = { document: only, signature: await signDocument(only), ...by };
  assert.equal(await refusalOf(narrow.publish(order)), 'reference-values-refused: pcr-not-quoted');
});

test('withdrawn reference values are compared with no boot, at this node and at every other', async () => {
  await using store = await openTestStore();
  await trustTestPublisher(store.database);
  await publish(store, await signDocument(document));
  const newer = testReferences('2.0.0');
  await publish(store, await signDocument(newer, testPublisher), newer);
  const [one, other] = [
    new ReferenceStore(store.database, testAttestation, clock),
    new ReferenceStore(store.database, testAttestation, clock),
  ];
  const versions = async (node: ReferenceStore) => (await node.published()).map(({ set }) => set.version).toSorted();
  assert.deepEqual(
    [await versions(one), await versions(other)],
    [
      ['1.0.0', '2.0.0'],
      ['1.0.0', '2.0.0'],
    ],
  );
  await one.withdraw({ name: 'line', version: '1.0.0', ...by });
  assert.deepEqual([await versions(one), await versions(other)], [['2.0.0'], ['2.0.0']]);
  assert.equal(await refusalOf(one.withdraw({ name: 'line', version: '1.0.0', ...by })), 'not-found');
});

test('what a set does not cover is said when it is published', async () => {
  await using store = await openTestStore();
  await trustTestPublisher(store.database);
  const part = testReferences(
    '2.0.0',
    uefiBoot.filter(({ pcr }) => pcr !== 7),
  );
  await publish(store, await signDocument(part), part);
  const references = new ReferenceStore(store.database, testAttestation, clock);
  assert.deepEqual(references.notCovered(part), ['PCR 7 (the Secure Boot policy)']);
  assert.deepEqual(references.notCovered(document), []);
  const listed = {
    ...testAttestation,
    attestation: { ...testAttestation.attestation, bootCoverage: 'listed' },
  } as const;
  assert.deepEqual(new ReferenceStore(store.database, listed, clock).notCovered(part), []);
});

test('a set of the version before that does not cover the boot is not published any more, and a stored one raises an alert', async () => {
  await using store = await openTestStore();
  const publisher = await trustTestPublisher(store.database);
  const former = Buffer.from(
    Buffer.from(
      testReferences(
        '1.0.0',
        uefiBoot.filter(({ pcr }) => pcr === 14),
      ),
    )
      .toString()
      .replace('edgekeep-reference-values/v3', 'edgekeep-reference-values/v1'),
  );
  const signature = await signDocument(former);
  assert.equal(await refusalOf(publish(store, signature, former)), 'reference-values-refused: boot-not-covered');
  const row = { name: 'line', version: '1.0.0', document: former, signature, publisher, withdrawn_at: null };
  await store.database.write((trx) =>
    trx
      .insertInto('reference_values')
      .values({ ...row, published_at: 1 })
      .execute(),
  );
  const references = new ReferenceStore(store.database, testAttestation, clock);
  const weigh = async () => {
    await references.weighFormerSets(2);
    const rows = await store.database.read.selectFrom('alert').select(['kind', 'state']).execute();
    return rows.map(({ kind, state }) => `${kind} ${state}`);
  };
  assert.deepEqual(await weigh(), ['boots-not-compared open']);
  await references.withdraw({ name: 'line', version: '1.0.0', ...by });
  assert.deepEqual(await weigh(), ['boots-not-compared closed']);
});
