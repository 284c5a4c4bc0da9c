// The alert about the list of a root: it opens before the list ends, is graver afterwards, and a later list closes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import { encodeCrl } from '@edgekeep/core/identity/crl';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { openTestStore } from '../store/testing-store.ts';
import { weighRootLists } from './root-list-alarm.ts';

const daySeconds = 86_400;
const now = 1_800_000_000;
const root = await testRoot({ notBeforeSeconds: now - daySeconds, notAfterSeconds: now + 3_650 * daySeconds });
const { certificate: issuer, signer } = root;
const listUntil = (number: number, nextUpdateSeconds: number) =>
  encodeCrl({ issuer, number, thisUpdateSeconds: now, nextUpdateSeconds, entries: [] }, signer);

// SECURITY.md: HUB-22
test('a root without a list raises nothing; a list that ends soon does, more gravely once it has, until a later one is there', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const weigh = async (atSeconds: number) => {
    await weighRootLists(database, { alarmDays: 60, nowMs: atSeconds * 1_000 });
    const rows = await database.read.selectFrom('alert').select(['state', 'severity', 'title']).execute();
    return rows.map(({ state, severity, title }) => `${state} ${severity}: ${title.replace(/ [0-9a-f]{16} /, ' ')}`);
  };
  const sha256 = toHex(certificateDigest(issuer));
  const row = { sha256, generation: 1, status: 'current', der: issuer.der, added_at: 0 } as const;
  await database.write((trx) => trx.insertInto('root_authority').values(row).execute());
  assert.deepEqual(await weigh(now), []);
  const install = (list: Uint8Array) =>
    database.write((trx) => trx.updateTable('root_authority').set({ list }).execute());
  await install(await listUntil(1, now + 180 * daySeconds));
  assert.deepEqual(await weigh(now), []);
  const remedy = '`edgekeep root sign-crl`, then `edgekeep authority install-crl`';
  assert.deepEqual(await weigh(now + 130 * daySeconds), [
    `open medium: the list of the root ends in 50 days: ${remedy}`,
  ]);
  assert.deepEqual(await weigh(now + 181 * daySeconds), [`open high: the list of the root has ended: ${remedy}`]);
  await install(await listUntil(2, now + 400 * daySeconds));
  assert.match((await weigh(now + 181 * daySeconds)).join(), /^closed high/);
});
