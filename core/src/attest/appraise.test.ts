import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { parseHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type Appraisal, appraiseEvidence, type AppraisalInput } from './appraise.ts';
import { encodeEvidence, parseEvidence } from './evidence.ts';
import { encodeEventLogHeader, parseEventLog } from './event-log.ts';
import { createLogCache } from './log-cache.ts';
import { parseReferenceValues, referenceValuesFromLog } from './reference-values.ts';
import { pcrValue, replayEventLog } from './replay.ts';
import { cryptoAgileLog, fixedKey, startupLocality, testAttester, testPcrs, testQuote, uefiBoot } from './testing.ts';
import { diceVectorSchema, vectorsOf } from './testing-vectors.ts';
import { tierSchema } from './tier.ts';

const common = z.object({
  comment: z.string(),
  key: z.string(),
  qualifiedName: z.string().optional(),
  tier: tierSchema,
  qualifyingData: z.string(),
  pcrs: z.array(z.number()),
  referenceValues: z.array(z.string()),
  lastBoot: z.object({ resetCount: z.number(), restartCount: z.number() }).optional(),
  dice: diceVectorSchema.optional(),
  evidence: z.string(),
});
const valid = common.extend({ expected: z.object({ status: z.string(), codes: z.array(z.string()) }) });
const invalid = common.extend({ code: z.string() });

function appraiseVector(vector: z.infer<typeof common>): Appraisal {
  const publicKey = createPublicKey({ key: Buffer.from(vector.key, 'hex'), format: 'der', type: 'spki' });
  const qualifiedName =
    vector.qualifiedName === undefined ? undefined : parseHex(vector.qualifiedName, 'qualified name');
  return appraiseEvidence({
    evidence: parseEvidence(utf8(vector.evidence)),
    key: { publicKey, qualifiedName },
    tier: vector.tier,
    expectedQualifyingData: parseHex(vector.qualifyingData, 'qualifying data'),
    pcrSelection: vector.pcrs,
    referenceValues: vector.referenceValues.map((document) => parseReferenceValues(utf8(document))),
    lastQuote: vector.lastBoot,
    dice: vector.dice,
  });
}

describe('evidence vectors', () => {
  for (const vector of vectorsOf('evidence', 'valid', valid)) {
    test(`valid/${vector.file} is appraised as ${vector.expected.status}: ${vector.comment}`, () => {
      const appraisal = appraiseVector(vector);
      assert.deepEqual(
        appraisal.reasons.map(({ code }) => code).slice(0, vector.expected.codes.length),
        vector.expected.codes,
      );
      assert.equal(appraisal.status, vector.expected.status);
      assert.equal(Buffer.from(encodeEvidence(parseEvidence(utf8(vector.evidence)))).toString(), vector.evidence);
    });
  }
  for (const vector of vectorsOf('evidence', 'invalid', invalid)) {
    test(`invalid/${vector.file} is refused: ${vector.comment}`, () => {
      assert.throws(
        () => appraiseVector(vector),
        (error) => error instanceof CoreError && error.code === vector.code,
      );
    });
  }
});

const eventLog = cryptoAgileLog(uefiBoot);
const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
const attester = testAttester(fixedKey(1));
const qualifyingData = new Uint8Array(32).fill(1);
const signed = testQuote(attester, { qualifyingData, pcrs: testPcrs, pcrValue: (pcr) => pcrValue(replayed, pcr) });
const input: AppraisalInput = {
  evidence: { kind: 'tpm', ...signed, eventLog },
  key: attester.key,
  tier: 'tpm',
  expectedQualifyingData: qualifyingData,
  pcrSelection: testPcrs,
  referenceValues: [referenceValuesFromLog(parseEventLog(eventLog), testPcrs, 'line', '1.0.0')],
};

test('a healthy boot is affirming, with the claims of AR4SI that were appraised and no others', () => {
  const { status, vector, resetCount, clock, referenceValues } = appraiseEvidence(input);
  assert.equal(status, 'affirming');
  assert.deepEqual(vector, { 'instance-identity': 2, hardware: 2, configuration: 2, executables: 3 });
  assert.deepEqual([resetCount, clock], [7, 86_400_000n]);
  assert.deepEqual(referenceValues, { name: 'line', version: '1.0.0' });
});

/** The appraisal of a boot with these events, against the boot of every other test. */
function appraiseBoot(events: typeof uefiBoot, changed: Partial<AppraisalInput> = {}): Appraisal {
  const log = cryptoAgileLog(events);
  const values = replayEventLog(parseEventLog(log), 'sha256');
  const quoted = testQuote(attester, { qualifyingData, pcrs: testPcrs, pcrValue: (pcr) => pcrValue(values, pcr) });
  return appraiseEvidence({ ...input, evidence: { kind: 'tpm', ...quoted, eventLog: log }, ...changed });
}

// Firmware Profile 3.3.4: 1, 3, 5 and 7 hold settings, variables and tables.
for (const [claim, other, pcrs] of [
  ['configuration', 'executables', [1, 3, 5, 7]],
  ['executables', 'configuration', [0, 2, 4, 8, 9, 14]],
] as const) {
  for (const pcr of pcrs) {
    test(`an event that differs in PCR ${pcr} contraindicates the ${claim} and nothing else`, () => {
      const changed = uefiBoot.map((event) => (event.pcr === pcr ? { ...event, measured: utf8('another') } : event));
      const { status, vector, reasons } = appraiseBoot(changed);
      assert.equal(status, 'contraindicated');
      assert.deepEqual([vector[claim], vector[other]], [96, claim === 'executables' ? 2 : 3]);
      assert.deepEqual([...new Set(reasons.map(({ pcr: named }) => named))], [pcr]);
    });
  }
}

test('an optional event covers no PCR: a boot without it would be affirmed like any other', () => {
  const [set] = input.referenceValues;
  assert.ok(set !== undefined);
  const events = set.events.map((event) => (event.pcr === 14 ? { ...event, optional: true as const } : event));
  const covered = { coveredPcrs: [14] };
  assert.equal(appraiseBoot(uefiBoot, covered).status, 'affirming');
  const { status, reasons } = appraiseBoot(uefiBoot, { ...covered, referenceValues: [{ ...set, events }] });
  assert.deepEqual([status, reasons.map(({ code }) => code)], ['warning', ['pcr-not-covered']]);
});

test('every single byte of quote and signature matters', () => {
  for (const part of ['quote', 'signature'] as const) {
    for (let at = 0; at < signed[part].length; at += 1) {
      const changed = Uint8Array.from(signed[part]);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      assert.equal(
        statusOrError({ ...input, evidence: { kind: 'tpm', ...signed, eventLog, [part]: changed } }),
        'no',
        `${part} byte ${at}`,
      );
    }
  }
});

function statusOrError(changed: AppraisalInput): 'no' | 'yes' {
  try {
    return appraiseEvidence(changed).status === 'contraindicated' ? 'no' : 'yes';
  } catch (error) {
    if (error instanceof CoreError) return 'no';
    throw error;
  }
}

test('reference values that constrain nothing are refused even when they were never parsed', () => {
  const [set] = input.referenceValues;
  const empty = set === undefined ? [] : [{ ...set, events: [] }];
  assert.throws(() => appraiseEvidence({ ...input, referenceValues: empty }), { code: 'reference-values-invalid' });
});

test('a TPM quote is never appraised without the name its key must have', () => {
  const { publicKey } = attester.key;
  assert.throws(() => appraiseEvidence({ ...input, key: { publicKey } }), { code: 'evidence-invalid' });
});

test('a log is kept in the cache once a signature covered it, and the verdict stays the same', () => {
  const logCache = createLogCache(2);
  appraiseEvidence({ ...input, logCache, expectedQualifyingData: new Uint8Array(32) });
  assert.equal(logCache.entries.size, 0);
  const first = appraiseEvidence({ ...input, logCache });
  assert.equal(logCache.entries.size, 1);
  assert.deepEqual(appraiseEvidence({ ...input, logCache }), first);
});

test('a known log is not compared with the same reference values again, for any PCRs that they must cover', () => {
  let compared = 0;
  const counted = input.referenceValues.map((set) => ({
    ...set,
    events: set.events.map((event) => ({
      ...event,
      get digests() {
        compared += 1;
        return event.digests;
      },
    })),
  }));
  const other = referenceValuesFromLog(parseEventLog(cryptoAgileLog(uefiBoot.slice(1))), testPcrs, 'other', '1.0.0');
  for (const coveredPcrs of [[], [4], [14]]) {
    const asked = { ...input, logCache: createLogCache(2), referenceValues: [other, ...counted], coveredPcrs };
    const first = appraiseEvidence(asked);
    appraiseEvidence(asked);
    assert.notEqual(compared, 0);
    compared = 0;
    assert.deepEqual(appraiseEvidence(asked), first);
    assert.equal(compared, 0, `covered: ${coveredPcrs.join(' ')}`);
  }
});

test('the cache never holds more logs than its limit, and drops the one unused for longest', () => {
  const logCache = createLogCache(2);
  const variants = [0, 1, 2].map((count) => {
    const padded = Buffer.concat([eventLog, new Uint8Array(count)]);
    return { ...input, logCache, evidence: { kind: 'tpm', ...signed, eventLog: padded } } satisfies AppraisalInput;
  });
  for (const variant of variants) appraiseEvidence(variant);
  assert.equal(logCache.entries.size, 2);
  assert.equal(logCache.size, 2 * eventLog.length + 3);
});

// SECURITY.md: HUB-40
test('a log is not read before signature, signer and freshness are right', () => {
  // Reading it would throw.
  const unreadable = { ...input.evidence, eventLog: Uint8Array.of(1, 2, 3) };
  const codesOf = (changed: Partial<AppraisalInput>) =>
    appraiseEvidence({ ...input, evidence: unreadable, ...changed }).reasons.map(({ code }) => code);
  const stranger = testAttester(fixedKey(2)).key;
  assert.deepEqual(codesOf({ key: stranger }), ['signature-invalid']);
  assert.deepEqual(codesOf({ expectedQualifyingData: new Uint8Array(32).fill(2) }), ['qualifying-data-mismatch']);
  assert.throws(() => codesOf({}), CoreError);
});

describe('what was compared', () => {
  const only = (...pcrs: readonly number[]) => referenceValuesFromLog(parseEventLog(eventLog), pcrs, 'line', '1');

  test('a set that names one PCR affirms no boot: the rest may belong to an attacker', () => {
    const { status, vector, reasons } = appraiseEvidence({ ...input, referenceValues: [only(14)] });
    assert.deepEqual(
      [status, vector.executables, reasons.map(({ code }) => code)],
      ['warning', 33, ['boot-not-covered']],
    );
    assert.match(
      reasons[0]?.message ?? '',
      /PCR 0 \(the firmware\), PCR 2 .*, PCR 4 .*, PCR 7 .*, PCR 8 and 9 .* or PCR 11/,
    );
  });

  test('each PCR of the rule is needed', () => {
    const whole = [0, 2, 4, 7, 8, 9];
    assert.equal(appraiseEvidence({ ...input, referenceValues: [only(...whole)] }).status, 'affirming');
    for (const left of whole) {
      const rest = whole.filter((pcr) => pcr !== left);
      assert.equal(
        appraiseEvidence({ ...input, referenceValues: [only(...rest)] }).status,
        'warning',
        `without ${left}`,
      );
    }
  });

  test('a verifier that lists its PCRs asks for no others', () => {
    const listed = { ...input, bootCoverage: 'listed', coveredPcrs: [14], referenceValues: [only(14)] } as const;
    assert.equal(appraiseEvidence(listed).status, 'affirming');
  });

  test('a set of the version before affirms as it did, and the reasons say what it does not cover', () => {
    const former = { ...only(14), type: 'edgekeep-reference-values/v1' } as const;
    const { status, reasons } = appraiseEvidence({ ...input, referenceValues: [former] });
    assert.deepEqual([status, reasons.map(({ code }) => code)], ['affirming', ['boot-not-covered']]);
  });

  test('of two sets that match, the one that covers the boot decides', () => {
    const { status, reasons } = appraiseEvidence({ ...input, referenceValues: [only(14), only(0, 2, 4, 7, 8, 9)] });
    assert.deepEqual([status, reasons], ['affirming', []]);
  });
});

describe('how PCR 0 started', () => {
  const bootFrom = (locality: number) => {
    const log = cryptoAgileLog([...(locality === 0 ? [] : [startupLocality(locality)]), ...uefiBoot]);
    const values = replayEventLog(parseEventLog(log), 'sha256');
    const evidence = testQuote(attester, { qualifyingData, pcrs: testPcrs, pcrValue: (pcr) => pcrValue(values, pcr) });
    return { ...input, evidence: { kind: 'tpm', ...evidence, eventLog: log } } as const;
  };
  const setOf = (locality: number) =>
    referenceValuesFromLog(parseEventLog(bootFrom(locality).evidence.eventLog), testPcrs, 'line', '1');

  test('a boot replayed by software into a TPM that was reset does not match: PCR 0 began elsewhere', () => {
    for (const [booted, expected] of [
      [0, 3],
      [3, 0],
      [3, 4],
    ] as const) {
      const { status, reasons } = appraiseEvidence({ ...bootFrom(booted), referenceValues: [setOf(expected)] });
      assert.deepEqual(
        [status, reasons.map(({ code, pcr }) => [code, pcr])],
        ['contraindicated', [['pcr-start-differs', 0]]],
      );
    }
    assert.equal(appraiseEvidence({ ...bootFrom(3), referenceValues: [setOf(3)] }).status, 'affirming');
  });

  test('a set of the version before says nothing of the start', () => {
    const { startupLocality: _, ...rest } = setOf(3);
    const former = { ...rest, type: 'edgekeep-reference-values/v1' } as const;
    assert.equal(appraiseEvidence({ ...bootFrom(0), referenceValues: [former] }).status, 'affirming');
  });
});

describe('evidence that is missing', () => {
  const none = encodeEventLogHeader();

  test('a device without a firmware log is said to have none, not to have sent a wrong one', () => {
    const { status, reasons } = appraiseEvidence({ ...input, evidence: { kind: 'tpm', ...signed, eventLog: none } });
    assert.deepEqual([status, reasons.map(({ code }) => code)], ['contraindicated', ['firmware-log-missing']]);
    assert.match(reasons[0]?.message ?? '', /no firmware event log: its Secure Boot is probably off/);
  });

  test('a log that has something of the firmware is a wrong one', () => {
    const cut = cryptoAgileLog(uefiBoot.slice(0, 1));
    const { reasons } = appraiseEvidence({ ...input, evidence: { kind: 'tpm', ...signed, eventLog: cut } });
    assert.deepEqual(
      reasons.map(({ code }) => code),
      ['pcr-digest-mismatch'],
    );
  });

  test('a TPM into which no firmware measured needs no log', () => {
    const values = replayEventLog(parseEventLog(none), 'sha256');
    const quoted = testQuote(attester, { qualifyingData, pcrs: testPcrs, pcrValue: (pcr) => pcrValue(values, pcr) });
    const { status, reasons } = appraiseEvidence({
      ...input,
      evidence: { kind: 'tpm', ...quoted, eventLog: none },
      referenceValues: [],
    });
    assert.deepEqual([status, reasons.map(({ code }) => code)], ['warning', ['reference-values-missing']]);
  });

  test('PCR 10 without its log is named', () => {
    const pcrs = [...testPcrs, 10].sort((a, b) => a - b);
    const measured = new Uint8Array(32).fill(3);
    const quoted = testQuote(attester, {
      qualifyingData,
      pcrs,
      pcrValue: (pcr) => (pcr === 10 ? measured : pcrValue(replayed, pcr)),
    });
    const { reasons } = appraiseEvidence({
      ...input,
      pcrSelection: pcrs,
      evidence: { kind: 'tpm', ...quoted, eventLog },
    });
    assert.deepEqual(
      reasons.map(({ code, pcr }) => [code, pcr]),
      [['ima-log-missing', 10]],
    );
  });
});
