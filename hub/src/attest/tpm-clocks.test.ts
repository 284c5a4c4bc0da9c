// What the hub keeps of counters and clock of a TPM from quote to quote, and what it does with one that was set back (spec/tpm-clock.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { isAuthentic, recordAppraisal, recordSetBack, untilReferencesStay } from './appraiser.ts';
import { ReferenceStore } from './reference-store.ts';
import { testAppraiser } from './testing-appraiser.ts';
import { testAttestation, type TestBoot, testTpmDevice } from './testing-device.ts';

const startMs = 1_800_000_000_000;
const qualifyingData = new Uint8Array(32).fill(1);
const press = testTpmDevice('press-1', 1);

interface Quoted extends Partial<TestBoot> {
  readonly atSeconds?: number;
  readonly askedSeconds?: number;
  readonly enrolls?: boolean;
}

async function hubOver({ database }: TestStore) {
  const references = new ReferenceStore(database, testAttestation, () => startMs);
  let epoch = 'first';
  const appraiser = testAppraiser(database, references, { epoch: () => epoch });
  await database.write((trx) => trx.insertInto('device').values(press.row).execute());
  const row = (): Promise<DeviceRow> =>
    database.read.selectFrom('device').selectAll().where('id', '=', press.id).executeTakeFirstOrThrow();
  const appraise = async ({ atSeconds = 0, askedSeconds = atSeconds, enrolls = false, ...boot }: Quoted) => {
    const nowMs = startMs + atSeconds * 1_000;
    const expected = { qualifyingData, nonce: qualifyingData, nowMs, askedMs: startMs + askedSeconds * 1_000, enrolls };
    const { appraisal } = await appraiser.appraise(await row(), press.evidence({ qualifyingData, ...boot }), expected);
    return { appraisal, nowMs };
  };
  const quote = (quoted: Quoted) =>
    untilReferencesStay(async () => {
      const { appraisal, nowMs } = await appraise(quoted);
      await database.write((trx) => recordAppraisal(trx, press.id, appraisal, nowMs));
      return appraisal;
    });
  const alerts = async () =>
    (await database.read.selectFrom('alert').selectAll().orderBy('id').execute()).map(
      ({ kind, state, title }) => `${kind} ${state}: ${title}`,
    );
  const setClock = () => (epoch = 'second');
  return { appraise, quote, alerts, row, setClock };
}

const second = 1_000n;

// SECURITY.md: DEV-63
test('a clock that goes back is refused by name, with an alert and an entry, and what was known stays', async () => {
  await using store = await openTestStore();
  const { quote, alerts, row } = await hubOver(store);
  await quote({ clock: 100n * second });
  await quote({ clock: 200n * second, atSeconds: 100 });
  const { state } = await row();
  const refused = await quote({ clock: 150n * second, atSeconds: 110 });
  assert.deepEqual([refused.status, refused.reasons.map(({ code }) => code)], ['contraindicated', ['clock-decreased']]);
  assert.equal(isAuthentic(refused), false);
  assert.equal((await row()).state, state);
  assert.match(
    (await alerts()).join('\n'),
    /^clone open: the TPM of press-1 was set back, copied or cleared: .*150000 ms/,
  );
  const entries = await auditEntries(store.database);
  assert.match(JSON.stringify(entries.filter(({ kind }) => kind === 'attestation-refused')), /clock-decreased/);
  // The refused quote is not the newest one.
  assert.equal((await quote({ clock: 205n * second, atSeconds: 115 })).reasons[0]?.code, 'reference-values-missing');
});

test('a restart count that goes back is refused as an earlier boot', async () => {
  await using store = await openTestStore();
  const { quote } = await hubOver(store);
  await quote({ restartCount: 2, clock: 100n * second });
  const refused = await quote({ restartCount: 1, clock: 200n * second, atSeconds: 100 });
  assert.deepEqual(
    refused.reasons.map(({ code }) => code),
    ['reset-count-decreased'],
  );
});

// SECURITY.md: DEV-63
test('after a loss of power an unsafe clock may repeat what was not saved; the device is affirmed as before, and the result says it', async () => {
  await using store = await openTestStore();
  const { quote, alerts, row } = await hubOver(store);
  await quote({ resetCount: 7, clock: 10_000n * second });
  const again = await quote({ resetCount: 8, clock: 9_000n * second, safe: false, atSeconds: 600 });
  assert.notEqual(again.status, 'contraindicated');
  assert.match((await row()).appraisal ?? '', /"clockSafe":false/);
  assert.equal((await quote({ resetCount: 8, clock: 8_999n * second, atSeconds: 700 })).status, 'contraindicated');
  assert.equal((await alerts()).length, 1);
});

// SECURITY.md: DEV-63
test('a safe clock that went back over a reset raises an alert, for one boot, and refuses nobody', async () => {
  await using store = await openTestStore();
  const { quote, alerts } = await hubOver(store);
  await quote({ resetCount: 7, clock: 10_000n * second });
  const states: string[] = [];
  for (const [resetCount, clockSeconds, atSeconds] of [
    [8, 20n, 600],
    [8, 30n, 610],
    [9, 40n, 620],
  ] as const) {
    const { status } = await quote({ resetCount, clock: clockSeconds * second, atSeconds });
    assert.notEqual(status, 'contraindicated');
    states.push((await alerts()).join(' '));
  }
  assert.match(states[0] ?? '', /^tpm-clock open: .* went back from 10000 s to 20 s over a reset/);
  assert.match(states[1] ?? '', /^tpm-clock open: /);
  assert.match(states[2] ?? '', /^tpm-clock closed: /);
});

// SECURITY.md: DEV-63
test('quotes of two processes that overtake each other raise no alarm, and the older one does not become the newest', async () => {
  await using store = await openTestStore();
  const { quote, appraise, alerts } = await hubOver(store);
  await quote({ clock: 100n * second });
  const slow = { clock: 110n * second, askedSeconds: 10, atSeconds: 14 };
  await quote({ clock: 112n * second, askedSeconds: 11, atSeconds: 12 });
  assert.notEqual((await quote(slow)).status, 'contraindicated');
  assert.deepEqual(await alerts(), []);
  const { appraisal } = await appraise({ clock: 111n * second, atSeconds: 20 });
  assert.equal(appraisal.reasons[0]?.code, 'clock-decreased');
});

// SECURITY.md: DEV-63
test('a quote that was compared before a newer one was recorded is compared again when it is recorded', async () => {
  await using store = await openTestStore();
  const { quote, appraise } = await hubOver(store);
  await quote({ clock: 100n * second });
  const early = await appraise({ clock: 110n * second, atSeconds: 20 });
  await quote({ clock: 120n * second, atSeconds: 19 });
  const { database } = store;
  const recorded = database.write((trx) => recordAppraisal(trx, press.id, early.appraisal, early.nowMs));
  await assert.rejects(recorded, { code: 'conflict' });
  assert.equal((await quote({ clock: 110n * second, atSeconds: 20 })).status, 'contraindicated');
});

// SECURITY.md: DEV-63
test('a quote of the boot before, which was asked for before the device restarted, is refused without an alarm; a later one has one', async () => {
  await using store = await openTestStore();
  const { quote, alerts } = await hubOver(store);
  await quote({ resetCount: 8, clock: 100n * second, atSeconds: 60 });
  const late = { resetCount: 7, clock: 90n * second };
  assert.equal((await quote({ ...late, askedSeconds: 50, atSeconds: 61 })).status, 'contraindicated');
  assert.deepEqual(await alerts(), []);
  assert.equal((await quote({ ...late, askedSeconds: 62, atSeconds: 63 })).status, 'contraindicated');
  assert.equal((await alerts()).length, 1);
});

test('a quote whose log is not what was measured is recorded as before, and is no newer quote', async () => {
  await using store = await openTestStore();
  const { quote, row } = await hubOver(store);
  await quote({ clock: 100n * second });
  const refused = await quote({ clock: 110n * second, claimed: [], atSeconds: 10 });
  assert.deepEqual([refused.status, isAuthentic(refused), (await row()).state], ['contraindicated', true, 'suspect']);
  assert.notEqual((await quote({ clock: 105n * second, atSeconds: 11 })).status, 'contraindicated');
});

test('a refused proof of a key leaves the same entry and alert', async () => {
  await using store = await openTestStore();
  const { quote, appraise, alerts } = await hubOver(store);
  await quote({ clock: 200n * second });
  const { appraisal, nowMs } = await appraise({ clock: 100n * second, atSeconds: 10 });
  await recordSetBack(store.database, press.id, appraisal, nowMs);
  assert.equal((await alerts()).length, 1);
  assert.ok((await auditEntries(store.database)).some(({ kind }) => kind === 'attestation-refused'));
});

// SECURITY.md: DEV-64
test('a clock that is slowed raises an alert, once, also in steps that are each too small to notice; it ends when it fits again', async () => {
  await using store = await openTestStore();
  const { quote, alerts } = await hubOver(store);
  const hour = 3_600;
  for (let quarter = 0; quarter <= 40; quarter += 1) {
    const clock = BigInt(Math.round(quarter * 900 * 0.7) * 1_000);
    const { status } = await quote({ clock, atSeconds: quarter * 900 });
    assert.notEqual(status, 'contraindicated');
  }
  const raised = await alerts();
  assert.equal(raised.length, 1);
  assert.match(
    raised[0] ?? '',
    /^tpm-clock open: the clock of the TPM of press-1 is slow: it advanced by \d+ s, expected at least/,
  );
  await quote({ resetCount: 8, clock: 26_000n * second, atSeconds: 11 * hour });
  assert.match((await alerts())[0] ?? '', /^tpm-clock closed/);
});

// SECURITY.md: DEV-64
test('a device that was off for a month has no slow clock, and one whose hub was set has none either', async () => {
  await using store = await openTestStore();
  const { quote, alerts, setClock } = await hubOver(store);
  await quote({ resetCount: 7, clock: 100n * second });
  await quote({ resetCount: 8, clock: 160n * second, atSeconds: 30 * 86_400 });
  setClock();
  await quote({ resetCount: 8, clock: 170n * second, atSeconds: 60 * 86_400 });
  await quote({ resetCount: 8, clock: 180n * second, atSeconds: 60 * 86_400 + 10 });
  assert.deepEqual(await alerts(), []);
});

test('a device that enrolls begins a new record', async () => {
  await using store = await openTestStore();
  const { quote } = await hubOver(store);
  await quote({ clock: 100_000n * second });
  assert.notEqual(
    (await quote({ enrolls: true, resetCount: 1, clock: 5n * second, atSeconds: 10 })).status,
    'contraindicated',
  );
  assert.equal((await quote({ resetCount: 1, clock: 4n * second, atSeconds: 20 })).status, 'contraindicated');
});
