// Evidence whose quote covers PCR 10: the IMA log is read after the quote, and a long one is appraised piece by piece.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concat, toHex } from '../bytes.ts';
import { encodeTpmSignature, parseTpmSignature } from '../tpm/signature.ts';
import { appraiseEvidence, type AppraisalInput } from './appraise.ts';
import { parseEventLog } from './event-log.ts';
import { ImaPolicies } from './ima-findings.ts';
import { imaEntryEnds, imaPcrValues, parseImaLog } from './ima-log.ts';
import { openImaPolicy } from './ima-policy.ts';
import { imaPolicyFromLogs } from './ima-policy-sources.ts';
import { IMA_PCR, referenceValuesFromLog } from './reference-values.ts';
import { pcrValue, replayEventLog } from './replay.ts';
import { cryptoAgileLog, fixedKey, testAttester, testPcrs, testQuote, uefiBoot } from './testing.ts';
import { imaEntry, imaNgLog } from './testing-ima.ts';

const eventLog = cryptoAgileLog(uefiBoot);
const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
const attester = testAttester(fixedKey(1));
const qualifyingData = new Uint8Array(32).fill(1);
const pcrs = [...testPcrs, IMA_PCR].sort((a, b) => a - b);
const start = pcrValue(replayed, IMA_PCR);
const whole = imaNgLog(20);
const values = imaPcrValues(parseImaLog(whole), 'sha256', IMA_PCR, start);
const referenceValues = [referenceValuesFromLog(parseEventLog(eventLog), testPcrs, 'line', '1.0.0')];

function quotedAfter(entries: number, imaLog: Uint8Array | undefined): AppraisalInput {
  const value = values[entries] ?? new Uint8Array(0);
  const signed = testQuote(attester, {
    qualifyingData,
    pcrs,
    pcrValue: (pcr) => (pcr === IMA_PCR ? value : pcrValue(replayed, pcr)),
  });
  return {
    evidence: { kind: 'tpm', ...signed, eventLog, imaLog },
    key: attester.key,
    tier: 'tpm',
    expectedQualifyingData: qualifyingData,
    pcrSelection: pcrs,
    referenceValues,
  };
}

test('a quote is explained by the beginning of an IMA log that grew after it, and the appraisal says how much of it', () => {
  for (const entries of [0, 1, 13, 20]) {
    const appraisal = appraiseEvidence(quotedAfter(entries, whole));
    assert.equal(appraisal.status, 'affirming', `${entries} entries`);
    assert.equal(appraisal.imaLog?.entries, entries);
    assert.equal(toHex(appraisal.imaLog?.value ?? start), toHex(values[entries] ?? start));
  }
});

test('a log that lacks an entry before the quote, or has another in its place, is not what was measured', () => {
  const ends = imaEntryEnds(whole);
  const without = concat(whole.subarray(0, ends[4]), whole.subarray(ends[5]));
  const replacedEntry = concat(whole.subarray(0, ends[4]), imaNgLog(1, 99), whole.subarray(ends[5]));
  for (const imaLog of [without, replacedEntry, whole.subarray(0, ends[11])]) {
    const { status, reasons } = appraiseEvidence(quotedAfter(13, imaLog));
    assert.equal(status, 'contraindicated');
    assert.deepEqual(
      reasons.map(({ code }) => code),
      ['pcr-digest-mismatch'],
    );
  }
});

test('a quote of PCR 10 that comes without the IMA log says that it is missing', () => {
  const { status, reasons } = appraiseEvidence(quotedAfter(13, undefined));
  assert.equal(status, 'contraindicated');
  assert.match(reasons[0]?.message ?? '', /came without its IMA log/);
});

test('an entry for another PCR is refused: it could stand for a boot event there', () => {
  const stray = concat(whole, imaEntry('ima-ng', [Buffer.from('sha1:\0a'), Buffer.from('x\0')], 4));
  assert.throws(() => appraiseEvidence(quotedAfter(13, stray)), { code: 'ima-log-invalid' });
});

test('what follows entries that were appraised before is appraised from there, and from nowhere else', () => {
  const ends = imaEntryEnds(whole);
  const rest = whole.subarray(ends[7]);
  const from = (entries: number, place: number): AppraisalInput => {
    const input = quotedAfter(15, rest);
    assert.ok(input.evidence.kind === 'tpm');
    const imaStart = { entries, value: values[place] ?? start };
    return { ...input, evidence: { ...input.evidence, imaLogFrom: entries }, imaStart };
  };
  const appraisal = appraiseEvidence(from(8, 8));
  assert.equal(appraisal.status, 'affirming');
  assert.equal(appraisal.imaLog?.entries, 15);
  assert.equal(appraiseEvidence(from(8, 7)).status, 'contraindicated');
  assert.equal(appraiseEvidence(quotedAfter(15, rest)).status, 'contraindicated');
  // A position that the verifier did not choose is invalid.
  assert.throws(() => appraiseEvidence({ ...from(8, 8), imaStart: undefined }), { code: 'evidence-invalid' });
});

test('the ends of the entries are found wherever the log is cut', () => {
  const all = imaEntryEnds(whole);
  assert.equal(all.length, 20);
  fc.assert(
    fc.property(fc.nat({ max: whole.length }), (cut) => {
      assert.deepEqual(
        imaEntryEnds(whole.subarray(0, cut)),
        all.filter((end) => end <= cut),
      );
    }),
  );
});

test('a quote that is signed with SHA-1 is refused with that reason, and not as one that does not verify', () => {
  const input = quotedAfter(20, whole);
  assert.ok(input.evidence.kind === 'tpm');
  const signature = encodeTpmSignature({ ...parseTpmSignature(input.evidence.signature), hash: 'sha1' });
  const { reasons } = appraiseEvidence({ ...input, evidence: { ...input.evidence, signature } });
  assert.equal(reasons[0]?.code, 'signature-invalid');
  assert.match(reasons[0]?.message ?? '', /signed with SHA-1, which is not accepted/);
});

/** Accepts the first `count` entries of the log. */
const policiesFor = (count: number, boots?: readonly string[]) => {
  const head = { name: 'runtime', version: '1.0.0', for: boots };
  return new ImaPolicies([openImaPolicy(imaPolicyFromLogs([parseImaLog(whole).slice(0, count)], head).policy)]);
};

// SECURITY.md: DEV-79
test('a log that a policy accepts affirms what runs, not only what booted; a file that it does not accept contraindicates', () => {
  const accepted = appraiseEvidence({ ...quotedAfter(13, whole), imaPolicies: policiesFor(13) });
  assert.deepEqual([accepted.status, accepted.vector.executables, accepted.reasons], ['affirming', 2, []]);
  const input = { ...quotedAfter(13, whole), imaPolicies: policiesFor(12) };
  const refused = appraiseEvidence(input);
  assert.deepEqual([refused.status, refused.vector.executables], ['contraindicated', 96]);
  assert.match(refused.reasons[0]?.message ?? '', /^IMA policy runtime 1\.0\.0: IMA entry 12, .*it is not listed$/);
  const warned = appraiseEvidence({ ...input, imaMismatch: 'warn' });
  assert.deepEqual([warned.status, warned.vector.executables], ['warning', 33]);
});

test('a policy is for the boots that it names, and of several policies one is enough', () => {
  const none = { ...quotedAfter(13, whole), imaPolicies: policiesFor(1, ['other']) };
  assert.deepEqual([appraiseEvidence(none).status, appraiseEvidence(none).vector.executables], ['affirming', 3]);
  const own = { ...none, imaPolicies: policiesFor(1, ['other', 'line']) };
  assert.equal(appraiseEvidence(own).status, 'contraindicated');
  const both = new ImaPolicies([...policiesFor(1).list, ...policiesFor(13).list]);
  assert.equal(appraiseEvidence({ ...own, imaPolicies: both }).vector.executables, 2);
});

test('of many refused entries the first ones are named, and the number of the others', () => {
  const { reasons } = appraiseEvidence({ ...quotedAfter(20, whole), imaPolicies: policiesFor(1) });
  assert.equal(reasons.length, 9);
  assert.match(reasons[8]?.message ?? '', /: 11 more entries are not accepted$/);
});

// SECURITY.md: DEV-79
test('where a policy counts, a device that sends no IMA log or does not quote PCR 10 is refused', () => {
  const silent = appraiseEvidence({ ...quotedAfter(0, undefined), imaPolicies: policiesFor(13) });
  assert.deepEqual([silent.status, silent.reasons.map(({ code }) => code)], ['contraindicated', ['ima-log-missing']]);
});

// SECURITY.md: DEV-79
test('the beginning of a log counts in every later appraisal, and is not accepted by being known already', () => {
  const policies = policiesFor(3);
  const ends = imaEntryEnds(whole);
  const at = 10;
  const input = quotedAfter(13, whole);
  const { evidence } = input;
  assert.ok(evidence.kind === 'tpm');
  const rest = { ...evidence, imaLog: whole.subarray(ends[at - 1]), imaLogFrom: at };
  const begun = { entries: at, value: values[at] ?? start };
  const compared = { ...begun, findings: policies.judge(parseImaLog(whole).slice(0, at)) };
  const continued = appraiseEvidence({ ...input, evidence: rest, imaStart: compared, imaPolicies: policies });
  assert.deepEqual(continued.imaLog?.findings, appraiseEvidence({ ...input, imaPolicies: policies }).imaLog?.findings);
  assert.equal(continued.status, 'contraindicated');
  assert.throws(() => appraiseEvidence({ ...input, evidence: rest, imaStart: begun, imaPolicies: policies }), {
    code: 'evidence-invalid',
  });
});
