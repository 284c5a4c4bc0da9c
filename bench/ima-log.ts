// A device with an IMA log of 100,000 entries: the cost of appraising all of it, and of continuing where the last appraisal ended.
import { createHash, createPublicKey, sign } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { appraiseEvidence, type AppraisalInput } from '@edgekeep/core/attest/appraise';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { ImaPolicies } from '@edgekeep/core/attest/ima-findings';
import { imaEntryEnds, parseImaLog } from '@edgekeep/core/attest/ima-log';
import { encodeImaPolicy, openImaPolicy, parseImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { PathPatterns } from '@edgekeep/core/attest/ima-path-pattern';
import { imaPolicyFromLogs } from '@edgekeep/core/attest/ima-policy-sources';
import { followImaLog, imaLogBegin, type ImaLogState } from '@edgekeep/core/attest/ima-log-state';
import { IMA_PCR } from '@edgekeep/core/attest/reference-values';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { cryptoAgileLog, fixedKey, testAttester, testPcrs, testQuote, uefiBoot } from '@edgekeep/core/attest/testing';
import { imaEntry, imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { concat, utf8 } from '@edgekeep/core/bytes';
import type { Benchmark, Measurement } from './harness.ts';

const NEW_ENTRIES = 100;
const SIGNED_ENTRIES = 1_000;
const BUDGET_MS = 5;

export const bench: Benchmark = {
  name: 'ima-log',
  title: 'Appraise TPM evidence with an IMA log of 100,000 entries',
  budget: `<= ${BUDGET_MS} ms of CPU for ${NEW_ENTRIES} new entries, however many came before`,
  async run(harness) {
    const entries = harness.quick ? 10_000 : 100_000;
    const whole = imaNgLog(entries);
    const before = following(whole, entries - NEW_ENTRIES);
    const rest = imaNgLog(NEW_ENTRIES, entries - NEW_ENTRIES);
    const next = inputOf(followImaLog(before, rest).value, rest, before);
    const policies = policiesOf(whole);
    const signed = signedLog();
    const comparison = await harness.compare({
      title: `a log of ${entries} entries, ${whole.length} bytes`,
      rounds: harness.quick ? 3 : 5,
      work: { amount: 1, unit: 'appraisals' },
      peers: [
        { name: 'replay of the whole log, in pieces', run: measured(() => void following(whole, entries)) },
        {
          name: 'the same, compared with a policy of as many files',
          run: measured(() => {
            if (following(whole, entries, policies).findings?.[0]?.refused !== 0) throw new Error('not accepted');
          }),
        },
        ...matching(entries),
        {
          name: `${SIGNED_ENTRIES} signatures of files by P-256, none seen before`,
          run: measured(() => {
            const fresh = new ImaPolicies(signed.policies);
            if (fresh.judge(signed.entries)[0]?.refused !== 0) throw new Error('not accepted');
          }),
        },
        {
          name: `appraisal of ${NEW_ENTRIES} new entries`,
          run: measured(() => {
            if (appraiseEvidence(next).imaLog?.entries !== entries) throw new Error('not appraised to its end');
          }),
        },
      ],
    });
    const took = comparison.peers.find(({ name }) => name.startsWith('appraisal'))?.cpuMs?.median ?? Number.NaN;
    harness.verdict(took <= BUDGET_MS, `${took.toFixed(2)} ms of CPU for ${NEW_ENTRIES} new entries of ${entries}`);
  },
};

/** CPU time beside wall time: a busy machine changes only the latter. */
function measured(work: () => void): () => Promise<Measurement> {
  return async () => {
    const began = performance.now();
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return { wallMs: performance.now() - began, cpuMs: (user + system) / 1_000 };
  };
}

/** The policy that accepts this log, as a hub opens it. */
function policiesOf(log: Uint8Array): ImaPolicies {
  const { policy } = imaPolicyFromLogs([parseImaLog(log)], { name: 'bench', version: '1', excludes: ['/var/log/.*'] });
  return new ImaPolicies([openImaPolicy(parseImaPolicy(encodeImaPolicy(policy)))]);
}

/** Paths that a device chose for patterns that follow many places at once, beside paths as machines have them. */
function matching(count: number) {
  const patterns = ['/data/.{1,64}', '/data/.*a.{60}x', '/var/log/[a-z]+'];
  // A fixed sequence (minimal standard generator).
  let state = 7;
  const random = () => (state = (state * 48_271) % 2_147_483_647);
  const plain = Array.from(
    { length: count },
    (_, at) => `/data/results/${at}/part-${at % 7}.csv.of.the.line.that.made.it.today`,
  );
  const hostile = plain.map((path) =>
    Array.from({ length: path.length }, (_, at) =>
      at < 6 ? path[at] : random() % 3 === 0 ? 'a' : String.fromCharCode(random() % 65_536),
    ).join(''),
  );
  const run = (paths: readonly string[]) =>
    measured(() => {
      const opened = new PathPatterns(patterns);
      const budget = { left: 1_000_000 };
      for (const path of paths) opened.matches(path, budget);
    });
  return [
    { name: `${count} plain paths against patterns`, run: run(plain) },
    { name: `${count} paths that a device chose against the same patterns`, run: run(hostile) },
  ];
}

/** Files that are not listed and have a signature (ima-sig), as evmctl makes it. */
function signedLog() {
  const key = fixedKey(7);
  const pem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  const { policy } = imaPolicyFromLogs([], { name: 'signed', version: '1', keys: [pem] });
  const header = Buffer.from(`030204${policy.keys?.[0]?.id ?? ''}`, 'hex');
  const log = Array.from({ length: SIGNED_ENTRIES }, (_, at) => {
    const content = utf8(`file ${at}`);
    const signature = sign('sha256', content, key);
    const digest = concat(utf8('sha256:\0'), createHash('sha256').update(content).digest());
    const field = concat(header, Uint8Array.of(0, signature.length), signature);
    return imaEntry('ima-sig', [digest, utf8(`/opt/files/${at}\0`), field]);
  });
  return { entries: parseImaLog(concat(...log)), policies: [openImaPolicy(policy)] };
}

/** What the hub keeps after `entries` of the log, taken in pieces as a device sends them. */
function following(log: Uint8Array, entries: number, policies?: ImaPolicies): ImaLogState {
  const ends = imaEntryEnds(log).slice(0, entries);
  const piece = 4_096;
  let state = imaLogBegin;
  let begin = 0;
  for (let at = piece - 1; begin < (ends.at(-1) ?? 0); at += piece) {
    const end = ends[at] ?? ends.at(-1) ?? 0;
    state = followImaLog(state, log.subarray(begin, end), policies);
    begin = end;
  }
  return state;
}

function inputOf(value: Uint8Array, imaLog: Uint8Array, imaStart: ImaLogState): AppraisalInput {
  const eventLog = cryptoAgileLog(uefiBoot);
  const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
  const attester = testAttester(fixedKey(1));
  const qualifyingData = new Uint8Array(32).fill(1);
  const pcrs = [...testPcrs, IMA_PCR].toSorted((a, b) => a - b);
  const pcrOf = (pcr: number) => (pcr === IMA_PCR ? value : pcrValue(replayed, pcr));
  const signed = testQuote(attester, { qualifyingData, pcrs, pcrValue: pcrOf });
  return {
    evidence: { kind: 'tpm', ...signed, eventLog, imaLog, imaLogFrom: imaStart.entries },
    key: attester.key,
    tier: 'tpm',
    expectedQualifyingData: qualifyingData,
    pcrSelection: pcrs,
    referenceValues: [],
    imaStart,
  };
}
