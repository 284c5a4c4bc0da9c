import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { openTestStore } from '../store/testing-store.ts';
import { appendEntry, encodeEvent, encodeUnsaltedEvent } from './append.ts';

const event = { at: 1, kind: 'device-disabled', actor: 'person:ada/desk', subject: 'device:press-1', data: {} };

test('the public leaf hash of an entry cannot be guessed from what the entry says: two of one event differ', () => {
  const [one, other] = [parseAuditEntry(encodeEvent(event)), parseAuditEntry(encodeEvent(event))];
  assert.ok(one.type === 'edgekeep-audit-entry/v2' && other.type === 'edgekeep-audit-entry/v2');
  assert.notEqual(one.salt, other.salt);
  assert.notDeepEqual(leafHash(encodeEvent(event)), leafHash(encodeEvent(event)));
  assert.deepEqual(encodeUnsaltedEvent(event), encodeUnsaltedEvent(event));
});

test('entries are numbered without a gap, and a change that fails leaves no entry and no number', async () => {
  await using store = await openTestStore();
  const append = (fails: boolean) =>
    store.database.write(async (trx) => {
      const index = await appendEntry(trx, event);
      if (fails) throw new TypeError('the change failed');
      return index;
    });
  const outcomes = await Promise.allSettled([append(false), append(true), append(false), append(true), append(false)]);
  const indexes = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'failed'));
  assert.deepEqual(indexes, [0, 'failed', 1, 'failed', 2]);
  const rows = await store.database.read.selectFrom('audit_entry').selectAll().orderBy('log_index').execute();
  assert.deepEqual(
    rows.map((row) => row.log_index),
    [0, 1, 2],
  );
  for (const { entry, leaf_hash: hash } of rows) assert.deepEqual(Buffer.from(hash), Buffer.from(leafHash(entry)));
});
