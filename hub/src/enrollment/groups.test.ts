import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { newSigner, testManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import { groupTerms } from '@edgekeep/wire/api/enrollment-group';
import { createGroup } from '../registry/groups.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import {
  createEnrollmentGroup,
  deleteEnrollmentGroup,
  disableEnrollmentGroup,
  enableEnrollmentGroup,
  type EnrollmentGroupOrder,
  getEnrollmentGroup,
  joinsOf,
  limitEnrollmentGroup,
} from './groups.ts';

const by = { actor: 'person:ada/desk', nowMs: 1 };
const works = await testManufacturer();
const pem = (...ders: readonly Uint8Array[]) => ders.map((der) => encodePem('CERTIFICATE', der)).join('');

function create({ database }: TestStore, change: Partial<EnrollmentGroupOrder> = {}) {
  const order = { name: 'works', kind: 'ca', description: '', groups: [], terms: groupTerms.parse({}), ...by } as const;
  return createEnrollmentGroup(database, { ...order, certificate: pem(works.root.der), ...change });
}

test('a group has one authority: it needs a certificate of one that issues others, and one alone', async () => {
  await using store = await openTestStore();
  const [leaf] = await works.issue(encodeSpki(newSigner().publicKey), {});
  for (const certificate of [pem(leaf), pem(works.root.der, works.issuing.der)])
    assert.equal(await refusalOf(create(store, { certificate })), 'request-invalid');
  const row = await create(store);
  assert.deepEqual(Buffer.from(row.certificate ?? []), Buffer.from(works.root.der));
});

test('one authority has one group, and one name as well', async () => {
  await using store = await openTestStore();
  await create(store);
  assert.equal(await refusalOf(create(store, { name: 'again' })), 'conflict');
  assert.equal(await refusalOf(create(store, { certificate: pem(works.issuing.der) })), 'conflict');
  await create(store, { name: 'line', certificate: pem(works.issuing.der) });
});

test('devices join groups with named members only, and a site that is there', async () => {
  await using store = await openTestStore();
  for (const [name, filter] of [
    ['named', undefined],
    ['by-filter', 'tier==tpm'],
  ] as const)
    await createGroup(store.database, { name, description: '', filter, ...by });
  for (const group of ['by-filter', 'none'])
    assert.equal(await refusalOf(create(store, { groups: [group] })), 'not-found', group);
  assert.equal(await refusalOf(create(store, { terms: groupTerms.parse({ site: 'none' }) })), 'not-found');
  await create(store, { groups: ['named', 'named'] });
  assert.deepEqual(await joinsOf(store.database.read, 'works'), ['named']);
});

test('a group is disabled with a reason, enabled again, limited and deleted, each with one entry', async () => {
  await using store = await openTestStore();
  await create(store);
  const { database } = store;
  const row = () => getEnrollmentGroup(database.read, 'works');
  const disable = () => disableEnrollmentGroup(database, { name: 'works', reason: 'recall', ...by });
  await disable();
  await disable();
  assert.equal((await row()).disabled_reason, 'recall');
  await enableEnrollmentGroup(database, { name: 'works', ...by });
  assert.equal((await row()).disabled_reason, null);
  await limitEnrollmentGroup(database, { name: 'works', maxDevices: 5, ...by });
  assert.equal((await row()).devices_most, 5);
  await deleteEnrollmentGroup(database, { name: 'works', ...by });
  assert.equal(await refusalOf(row()), 'not-found');
  assert.equal(await refusalOf(disable()), 'not-found');
  const kinds = (await auditEntries(database)).map(({ kind }) => kind.split('-').at(-1));
  assert.deepEqual(kinds, ['created', 'disabled', 'enabled', 'limited', 'deleted']);
});
