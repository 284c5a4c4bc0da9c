import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveToken, tokensMadeMs as nowMs } from '../people/testing-people.ts';
import { endTokens } from '../people/token-store.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { createEnrollmentToken, findEnrollmentToken, spendEnrollmentToken } from './one-time-token.ts';
import { revokeEnrollmentToken } from './token-orders.ts';

const press = { deviceId: 'press-1', tier: 'tpm', nowMs };

async function storeWithMaker() {
  const store = await openTestStore();
  const maker = await giveToken(store.database, { person: 'ada', roles: ['operator'] });
  return { ...store, maker };
}
type Store = Awaited<ReturnType<typeof storeWithMaker>>;

async function make(
  { database, maker }: Store,
  change: { deviceId?: string; tier?: string; lifeSeconds?: number } = {},
) {
  const order = { deviceId: undefined, tier: undefined, lifeSeconds: 60, maker, actor: maker.actor, nowMs };
  return (await createEnrollmentToken(database, { ...order, ...change })).token;
}
const find = ({ database }: TestStore, text: string | undefined, device: Partial<typeof press> = {}) =>
  findEnrollmentToken(database.read, text, { ...press, ...device });
const spend = ({ database }: TestStore, sha256: string, deviceId: string, atMs = nowMs) =>
  database.write((trx) => spendEnrollmentToken(trx, sha256, { deviceId, nowMs: atMs }));

test('a token for any device enrolls one, and then none', async () => {
  await using store = await storeWithMaker();
  const text = await make(store);
  const { sha256 } = await find(store, text);
  await spend(store, sha256, 'press-1');
  assert.equal(await refusalOf(find(store, text)), 'enrollment-refused');
  assert.equal(await refusalOf(find(store, text, { deviceId: 'press-2' })), 'enrollment-refused');
});

test('of two devices that show one token at a time, one uses it up', async () => {
  await using store = await storeWithMaker();
  const { sha256 } = await find(store, await make(store));
  const outcomes = await Promise.allSettled([spend(store, sha256, 'press-1'), spend(store, sha256, 'press-2')]);
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const row = await store.database.read.selectFrom('enrolment_token').select('used_by').executeTakeFirstOrThrow();
  assert.equal(row.used_by, outcomes[0].status === 'fulfilled' ? 'press-1' : 'press-2');
});

test('a token counts until its end: when it is shown, and when it is used', async () => {
  await using store = await storeWithMaker();
  const text = await make(store);
  const { sha256 } = await find(store, text, { nowMs: nowMs + 59_999 });
  assert.equal(await refusalOf(find(store, text, { nowMs: nowMs + 60_000 })), 'enrollment-refused');
  assert.equal(await refusalOf(spend(store, sha256, 'press-1', nowMs + 60_000)), 'enrollment-refused');
});

test('a token for one device or one tier lets no other in', async () => {
  await using store = await storeWithMaker();
  const [forPress, forElement] = [
    await make(store, { deviceId: 'press-1' }),
    await make(store, { tier: 'secure-element' }),
  ];
  await find(store, forPress);
  assert.equal(await refusalOf(find(store, forPress, { deviceId: 'press-2' })), 'enrollment-refused');
  await find(store, forElement, { tier: 'secure-element' });
  assert.equal(await refusalOf(find(store, forElement, { tier: 'software' })), 'enrollment-refused');
});

test('no text, and a text that was never a token, are refused like every other', async () => {
  await using store = await storeWithMaker();
  const text = await make(store);
  for (const wrong of [undefined, '', 'ee_', `${text}x`, text.slice(0, -1)])
    assert.equal(await refusalOf(find(store, wrong)), 'enrollment-refused');
});

test('a token ends with the API token that made it', async () => {
  await using store = await storeWithMaker();
  const text = await make(store);
  const { sha256 } = await find(store, text);
  await store.database.write((trx) => endTokens(trx, [store.maker.tokenSha256], nowMs));
  assert.equal(await refusalOf(find(store, text)), 'enrollment-refused');
  assert.equal(await refusalOf(spend(store, sha256, 'press-1')), 'enrollment-refused');
  const row = await store.database.read.selectFrom('enrolment_token').select('used_by').executeTakeFirstOrThrow();
  assert.equal(row.used_by, null);
});

test('a token is stored as a digest, and ends no later than its maker', async () => {
  await using store = await storeWithMaker();
  const text = await make(store, { lifeSeconds: 10 * 86_400 });
  const row = await store.database.read.selectFrom('enrolment_token').selectAll().executeTakeFirstOrThrow();
  assert.equal(JSON.stringify(row).includes(text), false);
  assert.equal(row.expires_at, store.maker.expiresAtMs);
});

test('a token that was revoked lets nobody in', async () => {
  await using store = await storeWithMaker();
  const text = await make(store);
  const { sha256 } = await find(store, text);
  const order = { id: sha256.slice(0, 16), actor: store.maker.actor, nowMs };
  await revokeEnrollmentToken(store.database, order);
  assert.equal(await refusalOf(find(store, text)), 'enrollment-refused');
  assert.equal(await refusalOf(revokeEnrollmentToken(store.database, order)), 'not-found');
});
