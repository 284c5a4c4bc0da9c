// The PCR of the agent's stages: what covers it, when a device is moved, and how a foreign extend is named.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coverageOf } from './boot-coverage.ts';
import { matchBoot } from './boot-match.ts';
import { parseEventLog } from './event-log.ts';
import { referenceValuesFromBoots } from './golden-boots.ts';
import type { ReferenceValues } from './reference-values.ts';
import { replayEventLog } from './replay.ts';
import { nextStagePcr, sharedStagePcr, stagePcrOf } from './stage-pcr.ts';
import { cryptoAgileLog, testEvent, type TestEvent, uefiBoot } from './testing.ts';

const firmware = uefiBoot.filter(({ pcr }) => pcr !== 14);
const shim = testEvent(14, 0xd, 'MokList\0');
const stageIn = (pcr: number) => testEvent(pcr, 0xd, 'stage agent');
const pcrs = [0, 2, 4, 7, 8, 9, 14];

function setOf(version: string, events: readonly TestEvent[], stagePcr?: number): ReferenceValues {
  const log = parseEventLog(cryptoAgileLog(events));
  const order = { name: 'line', version, ...(stagePcr === undefined ? {} : { stagePcr }) };
  return referenceValuesFromBoots([log], order).values;
}
const shared = setOf('1.0.0', [...firmware, shim, stageIn(14)]);
const moved = setOf('1.0.1', [...firmware, shim, stageIn(14)], 15);
const codes = (set: ReferenceValues) =>
  coverageOf({ tier: 'tpm', coveredPcrs: [14] }, set).reasons.map(({ code }) => code);

// SECURITY.md: DEV-69
test('what shim measures into PCR 14 does not show that an agent was measured', () => {
  assert.deepEqual(codes(shared), []);
  assert.deepEqual(codes(setOf('1.0.0', [...firmware, shim])), ['pcr-not-covered']);
  assert.deepEqual(codes(moved), []);
  const former = { ...setOf('1.0.0', [...firmware, shim]), type: 'edgekeep-reference-values/v2' } as const;
  assert.deepEqual(codes(former), []);
});

test('a set says where it expects stages, and what it expects beside them', () => {
  assert.deepEqual([stagePcrOf(shared), sharedStagePcr(shared).length], [14, 1]);
  assert.match(sharedStagePcr(shared)[0] ?? '', /^MokList of shim/);
  assert.deepEqual([stagePcrOf(moved), sharedStagePcr(moved)], [15, []]);
  assert.equal(stagePcrOf(setOf('1.0.0', firmware)), undefined);
});

test('golden boots keep PCR 15 where only stages are in it', () => {
  const alone = setOf('1.0.0', [...firmware, shim, stageIn(15)]);
  assert.deepEqual([stagePcrOf(alone), alone.events.at(-1)?.pcr], [15, 15]);
  const log = parseEventLog(cryptoAgileLog([...firmware, stageIn(15), testEvent(15, 0xd, 'machine-id')]));
  const { values, leftOut } = referenceValuesFromBoots([log], { name: 'line', version: '1' });
  assert.deepEqual([stagePcrOf(values), leftOut.map(({ pcr }) => pcr).includes(15)], [undefined, true]);
});

test('a device moves only to a set that is its own but for the PCR, or where no set of its name is left for the other', () => {
  const own = { name: 'line', version: '1.0.0' };
  assert.equal(nextStagePcr([shared, moved], own, own), 15);
  assert.equal(nextStagePcr([moved], own, own), 15);
  // The next release has another kernel: a device that boots the present one would match neither.
  const next = setOf('2.0.0', [...firmware, testEvent(9, 0xd, 'kernel 2'), shim, stageIn(14)], 15);
  assert.equal(nextStagePcr([shared, next], own, own), undefined);
  assert.equal(nextStagePcr([shared, moved, next], own, own), 15);
  assert.equal(nextStagePcr([next], undefined, { name: 'line' }), 15);
  assert.equal(nextStagePcr([moved, { ...moved, name: 'other' }], undefined, undefined), undefined);
  // A set from before, in its own PCR, moves nobody back.
  assert.equal(nextStagePcr([shared, moved], { name: 'line', version: '1.0.1' }, own), undefined);
});

test('an event in the PCR of the stages that is none of them is named a foreign extend', () => {
  const replay = (...events: readonly TestEvent[]) =>
    replayEventLog(parseEventLog(cryptoAgileLog([...firmware, shim, ...events])), 'sha256');
  const reasons = (...events: readonly TestEvent[]) =>
    matchBoot(replay(...events), [moved], [...pcrs, 15])?.reasons.map(({ code, pcr }) => `${code} ${pcr}`);
  assert.deepEqual(reasons(stageIn(15)), []);
  assert.deepEqual(reasons(stageIn(15), testEvent(15, 0xd, 'machine-id')), ['foreign-extend 15']);
  assert.deepEqual(reasons(testEvent(15, 0xd, 'machine-id'), stageIn(15)), ['foreign-extend 15']);
  assert.deepEqual(reasons({ ...stageIn(15), measured: firmware[0]?.event ?? shim.event }), ['event-differs 15']);
});
