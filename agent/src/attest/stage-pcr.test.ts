import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeEvent, encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { concat, utf8 } from '@edgekeep/core/bytes';
import { extend } from '@edgekeep/core/attest/replay';
import type { AgentEvent } from '../event.ts';
import { chooseStagePcr, foreignStart, learnStagePcr } from './stage-pcr.ts';

const digest = new Uint8Array(32).fill(7);
const logOf = (...events: readonly (readonly [pcr: number, text: string])[]) =>
  concat(
    encodeEventLogHeader(),
    ...events.map(([pcr, text]) => encodeEvent({ pcr, eventType: eventTypes.ipl, digest, event: utf8(text) })),
  );
const empty = logOf();
const tpmWith = (value: Uint8Array) => ({ readPcrs: async () => new Map([[15, value]]) });
const zero = new Uint8Array(32);

async function inFolder(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-stage-pcr-'));
  try {
    await work(join(folder, 'stage-pcr.json'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the PCR of this boot stays, then the settings decide, then the hub, then it is 14', () =>
  inFolder(async (file) => {
    assert.equal(await chooseStagePcr(undefined, file, empty), 14);
    const events: AgentEvent[] = [];
    const learn = (pcr: number) => learnStagePcr(file, pcr, (event) => events.push(event));
    await learn(14);
    assert.deepEqual(events, []);
    await learn(15);
    await learn(15);
    assert.deepEqual(events, [{ kind: 'stage-pcr-learned', pcr: 15 }]);
    assert.equal(await chooseStagePcr(undefined, file, empty), 15);
    assert.equal(await chooseStagePcr(14, file, empty), 14);
    assert.equal(await chooseStagePcr(undefined, file, logOf([14, 'MokList'], [14, 'stage agent'])), 14);
    await writeFile(file, '{"pcr":16}');
    assert.equal(await chooseStagePcr(undefined, file, empty), 14);
  }));

test('PCR 15 that something else extended, logged or not, ends the start by name', async () => {
  const emit = () => {};
  const start = (log: Uint8Array, value: Uint8Array) =>
    foreignStart({ pcr: 15, log, rootOfTrust: tpmWith(value) }, emit);
  const once = extend('sha256', zero, digest);
  assert.equal(await start(empty, zero), undefined);
  assert.equal(await start(logOf([15, 'stage agent']), once), undefined);
  for (const [log, value, name] of [
    [empty, once, 'a program that wrote nothing'],
    [logOf([15, 'machine-id:x']), once, '"machine-id:x"'],
    [logOf([15, 'stage agent']), extend('sha256', once, digest), 'a program that wrote nothing'],
  ] as const) {
    const verdict = await start(log, value);
    assert.ok(verdict?.kind === 'recovery');
    assert.equal(verdict.error.code, 'stage-pcr-foreign');
    assert.ok(verdict.error.message.includes(`extended by ${name}`), verdict.error.message);
  }
});

test('what shim has in PCR 14 is an event, and no reason to stop', async () => {
  const events: AgentEvent[] = [];
  const rootOfTrust = tpmWith(zero);
  const log = logOf([14, 'MokList'], [14, 'stage agent'], [9, 'kernel']);
  assert.equal(await foreignStart({ pcr: 14, log, rootOfTrust }, (event) => events.push(event)), undefined);
  const [event] = events;
  assert.ok(event?.kind === 'stage-pcr-shared');
  assert.equal(event.others.length, 1);
});
