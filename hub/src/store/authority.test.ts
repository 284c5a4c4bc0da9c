import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { HubError } from '../common/error.ts';
import { Acting, asHub, establish, rehearse, runActing } from './authority.ts';
import { storePlace } from './testing-place.ts';
import { Database, type WriteTransaction } from './database.ts';

let folder = '';
let database: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-store-'));
  database = await Database.open(await storePlace(folder), 'required');
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const row = { fingerprint: 'a', name: 'n', public_key: 'k', added_at: 1 };
const insert = async (trx: WriteTransaction) => trx.insertInto('publisher').values(row).execute();
const count = async () => (await database.read.selectFrom('publisher').selectAll().execute()).length;
const stands = { name: 'stands', stands: () => Promise.resolve() };

async function applyPolicy(version: number): Promise<void> {
  const policy = { version, digest: 'd', text: '', applied_at: 1, meaning: 'any-action', tests: null } as const;
  await database.writeAsHub((trx) =>
    trx
      .insertInto('policy')
      .values({ ...policy, applied_by: 'hub' })
      .execute(),
  );
}

// SECURITY.md: HUB-12
test('a write outside of every request is refused, unless the hub says that it is its own', async () => {
  await assert.rejects(database.write(insert), { code: 'authority-missing' });
  assert.equal(await count(), 0);
  await asHub(() => database.write(insert));
  assert.equal(await count(), 1);
});

test('a write of a request whose door has established no authority is refused', async () => {
  await assert.rejects(
    runActing(new Acting(), () => database.write(insert)),
    { code: 'authority-missing' },
  );
  assert.equal(await count(), 0);
});

// SECURITY.md: HUB-12
test('an authority that ends after the door and before the transaction writes nothing', async () => {
  let ended = false;
  const write = runActing(new Acting(), () => {
    establish({
      name: 'ends',
      stands: async () => {
        if (ended) throw new HubError('token-refused', 'ended');
      },
    });
    return database.write(insert);
  });
  ended = true;
  await assert.rejects(write, { code: 'token-refused' });
  assert.equal(await count(), 0);
});

test('every authority of a request has to be valid, and the writes of others in the group are not affected', async () => {
  const refused = runActing(new Acting(), () => {
    establish(stands);
    establish({ name: 'refuses', stands: () => Promise.reject(new HubError('device-quarantined', 'no')) });
    return database.write(insert);
  });
  const other = asHub(() =>
    database.write((trx) =>
      trx
        .insertInto('publisher')
        .values({ ...row, name: 'o' })
        .execute(),
    ),
  );
  await assert.rejects(refused, { code: 'device-quarantined' });
  await other;
  assert.equal(await count(), 1);
});

test('a policy that was replaced since it was asked is asked again before the write', async () => {
  await applyPolicy(1);
  const acting = new Acting();
  acting.establish(stands);
  const asked: number[] = [];
  const permit = (version: number): void =>
    acting.permit('topic', {
      version,
      askAgain: async () => {
        asked.push(version);
        permit(2);
      },
    });
  permit(1);
  await applyPolicy(2);
  await runActing(acting, () => database.write(insert));
  assert.deepEqual(asked, [1]);
  assert.equal(await count(), 1);
});

test('a newer policy that refuses ends the write', async () => {
  const acting = new Acting();
  acting.establish(stands);
  const askAgain = () => Promise.reject(new HubError('access-refused', 'no'));
  acting.permit('topic', { version: 1, askAgain });
  await applyPolicy(2);
  await assert.rejects(
    runActing(acting, () => database.write(insert)),
    { code: 'access-refused' },
  );
  assert.equal(await count(), 0);
});

test('what runs after a commit is a part of no request', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  database.onCommit = () => resolve(database.write(insert).catch((error: unknown) => error));
  await asHub(() => database.write(async (trx) => trx.selectFrom('publisher').selectAll().execute()));
  const refused = await promise;
  assert.ok(refused instanceof HubError);
  assert.equal(refused.code, 'authority-missing');
});

test('a rehearsal ends at its first write, which leaves nothing, and what is done besides it is kept', async () => {
  const other = { ...row, name: 'o', fingerprint: 'o' };
  const reached: string[] = [];
  await asHub(async () => {
    const rehearsed = rehearse(async () => {
      await database.write(insert);
      reached.push('after the first write');
    });
    const kept = database.write((trx) => trx.insertInto('publisher').values(other).execute());
    await Promise.all([rehearsed, kept]);
  });
  assert.deepEqual(reached, []);
  const rows = await database.read.selectFrom('publisher').select('name').execute();
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['o'],
  );
});

test('a rehearsal throws what refuses the write, by authority, by policy or by what is in the store', async () => {
  const refusal = (acting: Acting, work: (trx: WriteTransaction) => Promise<unknown>) =>
    runActing(acting, () => rehearse(() => database.write(work)));
  const refusing = new Acting();
  refusing.establish({ name: 'refuses', stands: () => Promise.reject(new HubError('token-refused', 'no')) });
  await assert.rejects(refusal(refusing, insert), { code: 'token-refused' });
  const unasked = new Acting();
  unasked.establish(stands);
  unasked.permit('topic', { version: 1, askAgain: () => Promise.reject(new HubError('access-refused', 'no')) });
  await applyPolicy(2);
  await assert.rejects(refusal(unasked, insert), { code: 'access-refused' });
  const conflict = () => Promise.reject(new HubError('conflict', 'no'));
  await assert.rejects(
    asHub(() => rehearse(() => database.write(conflict))),
    { code: 'conflict' },
  );
  assert.equal(await count(), 0);
});

test('nothing within a rehearsal writes: not what the hub does for itself, nor a write whose end was caught', async () => {
  await asHub(() =>
    rehearse(async () => {
      await database.writeAsHub(insert).catch(() => undefined);
      await database.write(insert).catch(() => undefined);
      await asHub(() => database.write(insert)).catch(() => undefined);
    }),
  );
  assert.equal(await count(), 0);
});
