// Which sets count for a device at a moment.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { appraiseEvidence } from './appraise.ts';
import { parseEventLog } from './event-log.ts';
import { type PublishedSet, standingsOf } from './reference-standing.ts';
import { isTargeted, type ReferenceTarget, type TargetFacts } from './reference-target.ts';
import { type ReferenceTerms, type ReferenceValues, referenceValuesFromLog } from './reference-values.ts';
import { pcrValue, replayEventLog } from './replay.ts';
import { cryptoAgileLog, fixedKey, testAttester, testEvent, testPcrs, testQuote, uefiBoot } from './testing.ts';

const dayMs = 86_400_000;
const graceMs = 14 * dayMs;
const startMs = 1_800_000_000_000;
const press = { product: 'Press 4', groups: new Set(['line']), tags: { owner: 'ada' } };
const log = cryptoAgileLog(uefiBoot);
const golden = referenceValuesFromLog(parseEventLog(log), testPcrs, 'line', '1.0.0');

function published(version: string, terms: ReferenceTerms & Partial<ReferenceValues> = {}, days = 0): PublishedSet {
  return { set: { ...golden, version, ...terms }, publishedAtMs: startMs + days * dayMs };
}
const isIn = (sets: readonly PublishedSet[], device: TargetFacts) => (position: number) =>
  isTargeted(sets[position]?.set.target, device);
function at(sets: readonly PublishedSet[], days: number, device = press) {
  const { inForce, former, untilMs } = standingsOf(sets, isIn(sets, device), {
    nowMs: startMs + days * dayMs,
    graceMs,
  });
  return {
    inForce: inForce.map(({ version }) => version),
    former: former.map(({ set, code }) => `${set.version} ${code}`),
    untilDays: (untilMs - startMs) / dayMs,
  };
}

describe('standing of reference values', () => {
  test('a newer release supersedes an older one of its name when the grace time ends, in any order of publication', () => {
    const sets = [published('1.9.0', {}, 5), published('1.10.0', {}, 1)];
    assert.deepEqual(at(sets, 14).inForce, ['1.9.0', '1.10.0']);
    assert.equal(at(sets, 14).untilDays, 15);
    assert.deepEqual(at(sets, 15), { ...at(sets, 15), inForce: ['1.10.0'], former: ['1.9.0 boot-superseded'] });
    assert.deepEqual(at([published('1.0.0'), published('2.0.0', { name: 'other' })], 99).former, []);
  });

  test('a set of a version before 3 is superseded, and supersedes nothing', () => {
    const before = { type: 'edgekeep-reference-values/v2' } as const;
    assert.deepEqual(at([published('1.0.0'), published('2.0.0', before)], 99).former, []);
    assert.deepEqual(at([published('1.0.0', before), published('2.0.0')], 99).former, ['1.0.0 boot-superseded']);
  });

  test('a release that ran out still supersedes: waiting brings no old one back', () => {
    const sets = [published('1.0.0'), published('2.0.0', { notAfter: startMs / 1_000 + 86_400 })];
    assert.deepEqual(at(sets, 99).former, ['1.0.0 boot-superseded', '2.0.0 boot-expired']);
  });

  test('a release that begins later supersedes from then on', () => {
    const sets = [published('1.0.0'), published('2.0.0', { notBefore: startMs / 1_000 + 86_400 })];
    assert.deepEqual(at(sets, 0), { inForce: ['1.0.0'], former: ['2.0.0 boot-not-yet-valid'], untilDays: 1 });
    assert.deepEqual(at(sets, 14.5).inForce, ['1.0.0', '2.0.0']);
    assert.deepEqual(at(sets, 15).inForce, ['2.0.0']);
  });

  test('below the lowest version of a newer release nothing counts, without grace', () => {
    const sets = [published('1.0.0'), published('1.1.0'), published('2.0.0', { lowestVersion: '1.1.0' })];
    assert.deepEqual(at(sets, 0), { ...at(sets, 0), inForce: ['1.1.0', '2.0.0'], former: ['1.0.0 boot-below-lowest'] });
  });

  test('a release for some devices supersedes for them only', () => {
    const sets = [published('1.0.0'), published('2.0.0', { target: { groups: ['canary'] } })];
    assert.deepEqual(at(sets, 99).inForce, ['1.0.0']);
    assert.deepEqual(at(sets, 99).former, ['2.0.0 boot-not-for-device']);
    const canary = { ...press, groups: new Set(['canary']) };
    assert.deepEqual(at(sets, 99, canary).former, ['1.0.0 boot-superseded']);
  });

  test('of a target each member applies, and of a list one name is enough', () => {
    const targets: readonly (readonly [ReferenceTarget, boolean])[] = [
      [{ products: ['Press 3', 'Press 4'] }, true],
      [{ products: ['Press 3'] }, false],
      [{ groups: ['other', 'line'], tags: { owner: 'ada' } }, true],
      [{ groups: ['line'], tags: { owner: 'bob' } }, false],
      [{ tags: { owner: 'ada', constructor: 'x' } }, false],
      [{ products: ['Press 4'], groups: ['other'] }, false],
    ];
    for (const [target, expected] of targets) assert.equal(isTargeted(target, press), expected, JSON.stringify(target));
    assert.equal(isTargeted({ products: ['Press 4'] }, { ...press, product: undefined }), false);
  });
});

describe('a boot of a set that does not count', () => {
  const qualifyingData = new Uint8Array(32).fill(5);
  const attester = testAttester(fixedKey(1));
  const replayed = replayEventLog(parseEventLog(log), 'sha256');
  const quote = testQuote(attester, { qualifyingData, pcrs: testPcrs, pcrValue: (pcr) => pcrValue(replayed, pcr) });
  const other = [...uefiBoot, testEvent(9, 0xd, 'another kernel')];
  const otherSet = referenceValuesFromLog(parseEventLog(cryptoAgileLog(other)), testPcrs, 'line', '2.0.0');
  const appraise = (sets: readonly PublishedSet[], days: number) => {
    const { inForce, former } = standingsOf(sets, isIn(sets, press), { nowMs: startMs + days * dayMs, graceMs });
    const appraisal = appraiseEvidence({
      evidence: { kind: 'tpm', ...quote, eventLog: log },
      key: attester.key,
      tier: 'tpm',
      expectedQualifyingData: qualifyingData,
      pcrSelection: testPcrs,
      referenceValues: inForce,
      formerSets: former,
    });
    const { status, reasons, release, booted } = appraisal;
    return [status, reasons[0]?.code, release?.version, booted?.version];
  };

  test('is affirmed in the grace time and refused by name after it', () => {
    const sets = [published('1.0.0'), { set: otherSet, publishedAtMs: startMs }];
    assert.deepEqual(appraise(sets, 13), ['affirming', undefined, '1.0.0', '1.0.0']);
    assert.deepEqual(appraise(sets, 14), ['contraindicated', 'boot-superseded', undefined, '1.0.0']);
  });

  test('is refused as well where no set counts any more', () => {
    const ended = [published('1.0.0', { notAfter: startMs / 1_000 + 60 })];
    assert.deepEqual(appraise(ended, 1), ['contraindicated', 'boot-expired', undefined, '1.0.0']);
    const others = [{ set: { ...otherSet, notAfter: startMs / 1_000 + 60 }, publishedAtMs: startMs }];
    assert.deepEqual(appraise(others, 1), ['contraindicated', 'event-missing', undefined, undefined]);
  });

  test('is not affirmed by the set of another product, and the reason names it', () => {
    const target = { products: ['Press 3'] };
    assert.deepEqual(appraise([published('1.0.0', { target })], 0), [
      'warning',
      'boot-not-for-device',
      undefined,
      undefined,
    ]);
    const own = { set: { ...otherSet, name: 'own' }, publishedAtMs: startMs };
    assert.deepEqual(appraise([published('1.0.0', { target }), own], 0).slice(0, 2), [
      'contraindicated',
      'boot-not-for-device',
    ]);
  });
});
