import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { AUDIT_ENTRY_BYTES_MAX, parseAuditEntry } from '@edgekeep/core/audit/entry';
import { alertQuery } from '@edgekeep/wire/api/alert';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { type AlertLine, AlertLines } from './alert-lines.ts';
import { countOpenAlerts, listAlerts } from './alert-list.ts';
import { openAlertsOf } from './testing-alerts.ts';
import {
  acknowledgeAlert,
  type Alert,
  closeAlert,
  getAlert,
  type Raised,
  raiseAlert,
  settleAlert,
  weighAlert,
} from './alerts.ts';

let folder = '';
let database: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-alerts-'));
  database = await Database.open(await storePlace(folder));
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const clone: Alert = {
  kind: 'clone',
  severity: 'high',
  subject: { deviceId: 'press-7' },
  title: 'a clone',
  data: { addresses: ['10.0.0.1'] },
  nowMs: 1_000,
};

const raise = async (change: Partial<Alert> = {}): Promise<Raised> =>
  database.write((trx) => raiseAlert(trx, { ...clone, ...change }));

async function entries() {
  const rows = await database.read.selectFrom('audit_entry').select('entry').orderBy('log_index').execute();
  return rows.map(({ entry }) => parseAuditEntry(entry));
}

test('the same alert again is counted on the open one, and logged once', async () => {
  const { id } = await raise();
  for (let at = 1; at <= 50; at += 1) {
    const again = await raise({ nowMs: 1_000 + at, data: { addresses: [`10.0.0.${at}`], last: at } });
    assert.deepEqual(again, { id, opened: false });
  }
  const row = await getAlert(database.read, id);
  assert.deepEqual([row.count, row.first_seen, row.last_seen, row.state], [51, 1_000, 1_050, 'open']);
  const data: { addresses: string[]; last: number } = JSON.parse(row.data);
  assert.equal(data.addresses.length, 16);
  assert.deepEqual([data.addresses[0], data.addresses[15], data.last], ['10.0.0.1', '10.0.0.16', 50]);
  assert.deepEqual(
    (await entries()).map(({ kind, subject }) => [kind, subject]),
    [['alert-raised', 'device:press-7']],
  );
});

test('a state that is weighed again is written when it says something else or is graver, and is counted once', async () => {
  const about = { kind: 'key-list', subject: { part: 'authorities' } } as const;
  const weigh = (nowMs: number, state: Partial<Pick<Alert, 'severity' | 'title'>> = {}) =>
    weighAlert(database, { ...about, nowMs }, { severity: 'medium', title: 'long '.repeat(200), data: {}, ...state });
  const open = async () => {
    const rows = await database.read.selectFrom('alert').selectAll().where('state', '<>', 'closed').execute();
    return rows.map((row) => [row.severity, row.count, row.last_seen]);
  };
  await weighAlert(database, { ...about, nowMs: 1 }, { settled: 'it never began' });
  assert.deepEqual(await open(), []);
  for (const at of [1, 2, 3]) await weigh(at);
  assert.deepEqual(await open(), [['medium', 1, 1]]);
  await weigh(4, { severity: 'high' });
  await weigh(5);
  assert.deepEqual(await open(), [['high', 2, 4]]);
  await weigh(6, { title: 'another' });
  assert.deepEqual(await open(), [['high', 3, 6]]);
  await weighAlert(database, { ...about, nowMs: 7 }, { settled: 'it is over' });
  assert.deepEqual(await open(), []);
});

// SECURITY.md: HUB-108
test('no text of an outsider keeps an alert from being raised: half a character at the cut, U+0000, a lone surrogate', async () => {
  for (const [at, text] of [`${'x'.repeat(299)}\u{1f600}`, 'a\0b', 'a\ud83d'].entries()) {
    const { id } = await raise({ detail: `text ${at}`, title: text, data: { text, list: [text] } });
    await raise({ detail: `text ${at}`, title: text, data: { text, list: [text, `${text}!`] } });
    const { title, data, count } = await getAlert(database.read, id);
    assert.equal(count, 2);
    assert.ok(title.length <= 300 && title.isWellFormed() && !title.includes('\0'), title);
    assert.ok(!/\\ud83d|\\u0000/.test(data), data);
    await weighAlert(
      database,
      { kind: 'clone', subject: clone.subject, detail: `text ${at}`, nowMs: 2_000 },
      { severity: 'high', title: text, data: {} },
    );
    assert.equal((await getAlert(database.read, id)).count, 2);
  }
});

test('another device, kind or detail is another alert', async () => {
  const ids = [
    await raise(),
    await raise({ subject: { deviceId: 'press-8' } }),
    await raise({ kind: 'certificate-fork' }),
    await raise({ detail: 'serial 1' }),
    await raise({ subject: { part: 'log:x' } }),
  ].map(({ id }) => id);
  assert.equal(new Set(ids).size, 5);
});

test('an alert is undone with the change that caused it', async () => {
  await assert.rejects(
    database.write(async (trx) => {
      await raiseAlert(trx, clone);
      throw new Error('no');
    }),
  );
  assert.deepEqual(await openAlertsOf(database.read, 'press-7'), []);
  assert.deepEqual(await entries(), []);
});

test('its number is the number of its audit entry', async () => {
  await raise({ subject: { part: 'log:x' } });
  const { id } = await raise();
  assert.equal((await entries())[id]?.kind, 'alert-raised');
  assert.equal((await entries())[id]?.subject, 'device:press-7');
});

test('an acknowledged alert stays, and a graver one of its cause opens it again', async () => {
  const { id } = await raise();
  await acknowledgeAlert(database, { id, actor: 'operator:ada', note: 'looking', nowMs: 2_000 });
  assert.equal((await openAlertsOf(database.read, 'press-7'))[0]?.state, 'acknowledged');
  await raise({ nowMs: 2_500 });
  assert.equal((await getAlert(database.read, id)).state, 'acknowledged');
  await raise({ severity: 'low', nowMs: 2_600 });
  assert.deepEqual([(await getAlert(database.read, id)).severity], ['high']);
  await raise({ severity: 'critical', nowMs: 3_000 });
  const row = await getAlert(database.read, id);
  assert.deepEqual([row.state, row.severity, row.state_by, row.note], ['open', 'critical', null, null]);
});

test('a closed alert stays closed, and the same again gets its own number', async () => {
  const { id } = await raise();
  await closeAlert(database, { id, actor: 'operator:ada', note: 'found', nowMs: 2_000 });
  await closeAlert(database, { id, actor: 'operator:eve', note: 'found by me', nowMs: 2_001 });
  assert.deepEqual(await openAlertsOf(database.read, 'press-7'), []);
  await assert.rejects(acknowledgeAlert(database, { id, actor: 'operator:ada', note: null, nowMs: 3_000 }), {
    code: 'conflict',
  });
  const again = await raise({ nowMs: 4_000 });
  assert.ok(again.opened && again.id !== id);
  assert.deepEqual((await getAlert(database.read, id)).state_by, 'operator:ada');
  assert.deepEqual(
    (await entries()).map(({ kind, actor }) => [kind, actor]),
    [
      ['alert-raised', 'hub'],
      ['alert-closed', 'operator:ada'],
      ['alert-raised', 'hub'],
    ],
  );
});

test('the hub closes what it sees to be over, once', async () => {
  const { id } = await raise({ detail: 'serial 1' });
  const over = { ...clone, nowMs: 2_000, note: 'renewed' };
  assert.equal(await database.write((trx) => settleAlert(trx, over)), false);
  assert.equal(await database.write((trx) => settleAlert(trx, { ...over, detail: 'serial 1' })), true);
  assert.equal(await database.write((trx) => settleAlert(trx, { ...over, detail: 'serial 1' })), false);
  assert.equal((await getAlert(database.read, id)).state_by, 'hub');
});

test('readers accept the audit entry of an alert with any text of an attacker', async () => {
  const long = '\u0001"\u{1f4a3}'.repeat(10_000);
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`m${at}`, Array(40).fill(`${at}${long}`)]));
  const { id } = await raise({ title: long, data: many });
  await raise({ title: long, data: { ...many, more: long } });
  const row = await getAlert(database.read, id);
  assert.ok(row.data.length < AUDIT_ENTRY_BYTES_MAX && row.title.length <= 300);
  assert.ok('omitted' in JSON.parse(row.data));
});

test('closed alerts are cleared after 400 days, standing ones never', async () => {
  const old = await raise();
  await closeAlert(database, { id: old.id, actor: 'operator:ada', note: 'found', nowMs: 2_000 });
  const standing = await raise({ detail: 'stays' });
  const later = 2_001 + 400 * 86_400_000;
  await raise({ detail: 'new', nowMs: later });
  await assert.rejects(getAlert(database.read, old.id), { code: 'not-found' });
  assert.equal((await getAlert(database.read, standing.id)).state, 'open');
});

test('the list is paged from the newest on and filtered; closed alerts are left out unless asked for', async () => {
  for (const detail of ['a', 'b', 'c', 'd']) await raise({ detail });
  const [first] = (await listAlerts(database.read, alertQuery.parse({}))).alerts;
  await closeAlert(database, { id: first?.id ?? -1, actor: 'operator:ada', note: 'found', nowMs: 2_000 });
  const page = await listAlerts(database.read, alertQuery.parse({ limit: '2' }));
  const rest = await listAlerts(database.read, alertQuery.parse({ limit: '2', before: String(page.next) }));
  assert.deepEqual(
    [...page.alerts, ...rest.alerts].map(({ id }) => id),
    [2, 1, 0],
  );
  assert.equal((await listAlerts(database.read, alertQuery.parse({ state: 'closed' }))).alerts.length, 1);
  assert.equal(
    (await listAlerts(database.read, alertQuery.parse({ state: 'any', device: 'press-8' }))).alerts.length,
    0,
  );
  const counts = await countOpenAlerts(database.read);
  assert.deepEqual(
    counts.map((each) => ({ ...each })),
    [{ kind: 'clone', severity: 'high', count: 3 }],
  );
});

test('each alert that is opened from the start on is one line, a repetition none', async () => {
  await raise({ detail: 'before' });
  const lines: AlertLine[] = [];
  const watch = await AlertLines.start(database.read, (line) => lines.push(line));
  await raise({ detail: 'before' });
  await raise();
  await raise();
  await Promise.all([watch.poll(), watch.poll()]);
  assert.deepEqual(
    lines.map(({ id, title }) => [id, title]),
    [[1, 'a clone']],
  );
});
