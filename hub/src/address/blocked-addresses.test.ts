import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { BlockedAddresses } from './blocked-addresses.ts';
import { blockAddress, listBlocks, unblockAddress } from './blocks.ts';

const nowMs = 1_800_000_000_000;
const by = { reason: 'scans', actor: 'person:ada/desk', nowMs };
const own = '203.0.113.200';

const block = ({ database }: TestStore, network: string, ownAddress = own) =>
  blockAddress(database, { network, seconds: 60, ownAddress, balancers: { listedIn: () => undefined }, ...by });
const open = ({ database }: TestStore, atMs = nowMs) => BlockedAddresses.open(database, () => atMs);

test('every address of a blocked network is blocked, and no other one', async () => {
  await using store = await openTestStore();
  await block(store, '192.0.2.0/24');
  await block(store, '198.51.100.9');
  await block(store, '2001:db8:1::/48');
  const blocked = await open(store);
  for (const address of ['192.0.2.0', '192.0.2.77', '192.0.2.255', '198.51.100.9', '2001:db8:1:2::3'])
    assert.equal(blocked.has(address), true, address);
  for (const address of ['192.0.1.255', '192.0.3.0', '198.51.100.8', '2001:db8:2::1', '', 'unknown'])
    assert.equal(blocked.has(address), false, address);
});

test('a blocked IPv6 address is the whole of its /64, on every interface', async () => {
  await using store = await openTestStore();
  await block(store, 'fe80::1');
  const blocked = await open(store);
  for (const address of ['fe80::1', 'fe80::9', 'fe80::1%eth0']) assert.equal(blocked.has(address), true, address);
  assert.equal(blocked.has('fe80:0:0:1::1'), false);
});

test('a block ends at its time, and every node reads what was ordered at another one', async () => {
  await using store = await openTestStore();
  let heard = 0;
  const other = await open(store);
  other.onChange(() => (heard += 1));
  await block(store, '192.0.2.1');
  assert.equal(other.has('192.0.2.1'), false);
  await other.reload();
  assert.deepEqual([other.has('192.0.2.1'), heard], [true, 1]);
  assert.equal((await open(store, nowMs + 59_999)).has('192.0.2.1'), true);
  assert.equal((await open(store, nowMs + 60_000)).has('192.0.2.1'), false);
  await unblockAddress(store.database, { network: '192.0.2.1', ...by });
  await other.reload();
  assert.equal(other.has('192.0.2.1'), false);
  assert.equal(await refusalOf(unblockAddress(store.database, { network: '192.0.2.1', ...by })), 'not-found');
});

test('an operator does not block the network that the order comes from', async () => {
  await using store = await openTestStore();
  for (const network of [own, '203.0.113.0/24']) assert.equal(await refusalOf(block(store, network)), 'conflict');
  assert.equal(await refusalOf(block(store, '2001:db8::/32', '2001:db8::5')), 'conflict');
  assert.deepEqual(await listBlocks(store.database.read, { after: '', limit: 10, nowMs }), []);
});

test('a network is blocked once, by its newest order, and each order is an entry', async () => {
  await using store = await openTestStore();
  await block(store, '192.0.2.1');
  await block(store, '192.0.2.1/32');
  const listed = await listBlocks(store.database.read, { after: '', limit: 10, nowMs });
  assert.deepEqual(
    listed.map(({ network }) => network),
    ['192.0.2.1/32'],
  );
  const kinds = (await auditEntries(store.database)).map(({ kind, subject }) => `${kind} ${subject}`);
  assert.deepEqual(kinds, ['address-blocked address:192.0.2.1/32', 'address-blocked address:192.0.2.1/32']);
});
