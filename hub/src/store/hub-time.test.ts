// The time of a hub never goes back (docs/design/hub-time.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendEntry } from '../audit/append.ts';
import { HubTime, latestTimeIn, storeLatest } from './hub-time.ts';
import { openTestStore } from './testing-store.ts';

const startMs = 1_800_000_000_000;

class Machine {
  wallMs = startMs;
  elapsed = 0;
  readonly system = () => this.wallMs;
  readonly elapsedMs = () => this.elapsed;
  readonly maxBehindSeconds = 60;

  pass(seconds: number): void {
    this.wallMs += seconds * 1_000;
    this.elapsed += seconds * 1_000;
  }

  set(seconds: number): void {
    this.wallMs += seconds * 1_000;
  }
}

// SECURITY.md: HUB-69
test('a clock that is set back gives the latest time that was seen, and advances again when it is there', async () => {
  await using store = await openTestStore();
  const machine = new Machine();
  const time = await HubTime.open(store.database.read, machine);
  machine.pass(1_000);
  assert.equal(time.now(), startMs + 1_000_000);
  machine.set(-500);
  assert.equal(time.now(), startMs + 1_000_000);
  machine.pass(501);
  assert.equal(time.now(), startMs + 1_001_000);
});

// SECURITY.md: HUB-69
test('behind by more than the bound, it cannot be relied on, and says why; within the bound it can', async () => {
  await using store = await openTestStore();
  const machine = new Machine();
  const time = await HubTime.open(store.database.read, machine);
  time.now();
  machine.set(-60);
  time.assertRight();
  machine.set(-1);
  assert.equal(time.behindSeconds(), 61);
  assert.throws(() => time.assertRight(), { code: 'clock-behind', message: /61 s behind 2027-01-15T08:00:00.000Z/ });
  machine.set(1);
  time.assertRight();
});

// SECURITY.md: HUB-69
test('the latest time outlives a restart; a store from before begins with its newest audit entry', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const machine = new Machine();
  assert.equal(await latestTimeIn(database.read), 0);
  const entry = { kind: 'test', actor: 'hub', subject: 'test', data: {} };
  await database.write((trx) => appendEntry(trx, { ...entry, at: startMs + 5_000_000 }));
  const upgraded = await HubTime.open(database.read, machine);
  assert.equal(upgraded.now(), startMs + 5_000_000);
  machine.set(9_000);
  await upgraded.keep(database);
  machine.set(-9_000);
  const restarted = await HubTime.open(database.read, machine);
  assert.equal(restarted.now(), startMs + 9_000_000);
  assert.match(restarted.problem() ?? '', /9000 s behind/);
  await database.write((trx) => storeLatest(trx, startMs));
  assert.equal((await HubTime.open(database.read, machine)).problem(), undefined);
});

// SECURITY.md: HUB-69
test('many small steps back, each within the bound, are noticed by their sum', async () => {
  await using store = await openTestStore();
  const machine = new Machine();
  const time = await HubTime.open(store.database.read, machine);
  for (let step = 0; step < 3; step += 1) {
    assert.equal(time.setBack(), undefined);
    machine.pass(30);
    time.now();
    machine.set(-30);
    time.assertRight();
  }
  assert.match(time.setBack() ?? '', /set back by 90 s since this hub started/);
});
