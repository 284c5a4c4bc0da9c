// Appraisals per second on one core: a P-256 quote, an 80-event log, reference values. The first peer is the bare signature verification:
// no appraisal can be faster.
import { randomBytes } from 'node:crypto';
import { appraiseEvidence, type AppraisalInput } from '@edgekeep/core/attest/appraise';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { encodeEvidence, parseEvidence, type TpmEvidence } from '@edgekeep/core/attest/evidence';
import { createLogCache } from '@edgekeep/core/attest/log-cache';
import { referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { cryptoAgileLog, fixedKey, longBoot, testAttester, testPcrs, testQuote } from '@edgekeep/core/attest/testing';
import { parseTpmSignature, verifyTpmSignature } from '@edgekeep/core/tpm/signature';
import type { Benchmark } from './harness.ts';

const EVENTS = 80;
const SHARE_OF_BARE_MIN = 0.75;

export const bench: Benchmark = {
  name: 'appraise',
  title: 'Appraise one TPM evidence: P-256 quote, 80-event log, reference values',
  budget: 'at least 0.75 times the speed of the bare P-256 verification, with the log cache warm',
  async run(harness) {
    const amount = harness.quick ? 500 : 3000;
    const prepared = prepare(Math.min(amount, 500));
    const times = (each: (at: number) => void) => async () => {
      for (let at = 0; at < amount; at += 1) each(at % prepared.inputs.length);
    };
    const appraised = (input: AppraisalInput | undefined) => {
      if (input === undefined || appraiseEvidence(input).status !== 'affirming') throw new Error('not affirming');
    };
    const warm = createLogCache(16);
    const { publicKey } = prepared.attester.key;
    const comparison = await harness.compare({
      title: `${amount} appraisals on one thread`,
      rounds: harness.quick ? 3 : 5,
      work: { amount, unit: 'appraisals' },
      peers: [
        {
          name: 'the ECDSA P-256 verification alone',
          run: times((at) => {
            const { quote, signature } = prepared.evidence[at] ?? prepared.first;
            if (!verifyTpmSignature(parseTpmSignature(signature), quote, publicKey)) throw new Error('not verified');
          }),
        },
        { name: 'log cache warm', run: times((at) => appraised(withCache(prepared.inputs[at], warm))) },
        {
          name: 'log cache warm, from the JSON document',
          run: times((at) => {
            const evidence = parseEvidence(prepared.documents[at] ?? new Uint8Array());
            appraised({
              ...prepared.common,
              evidence,
              expectedQualifyingData: prepared.nonces[at] ?? new Uint8Array(),
              logCache: warm,
            });
          }),
        },
        { name: 'no log cache', run: times((at) => appraised(prepared.inputs[at])) },
      ],
    });
    const share = comparison.peers.find(({ name }) => name === 'log cache warm')?.ratio?.median ?? 0;
    harness.verdict(
      share >= SHARE_OF_BARE_MIN,
      `${share.toFixed(2)} times the speed of the bare verification with the log cache warm (at least ${SHARE_OF_BARE_MIN})`,
    );
  },
};

function withCache(
  input: AppraisalInput | undefined,
  logCache: ReturnType<typeof createLogCache>,
): AppraisalInput | undefined {
  return input === undefined ? undefined : { ...input, logCache };
}

function prepare(count: number) {
  const eventLog = cryptoAgileLog(longBoot(EVENTS), ['sha1', 'sha256', 'sha384']);
  const log = parseEventLog(eventLog);
  const replayed = replayEventLog(log, 'sha256');
  const attester = testAttester(fixedKey(1));
  const common = {
    key: attester.key,
    tier: 'tpm',
    pcrSelection: testPcrs,
    referenceValues: [referenceValuesFromLog(log, testPcrs, 'bench', '1.0.0')],
  } as const;
  const nonces = Array.from({ length: count }, () => randomBytes(32));
  const evidence = nonces.map((qualifyingData): TpmEvidence => {
    const pcrOf = (pcr: number) => pcrValue(replayed, pcr);
    return { kind: 'tpm', ...testQuote(attester, { qualifyingData, pcrs: testPcrs, pcrValue: pcrOf }), eventLog };
  });
  const [first] = evidence;
  if (first === undefined) throw new Error('nothing to appraise');
  const inputs = evidence.map((one, at): AppraisalInput => ({
    ...common,
    evidence: one,
    expectedQualifyingData: nonces[at] ?? new Uint8Array(),
  }));
  return { attester, common, nonces, evidence, first, inputs, documents: evidence.map(encodeEvidence) };
}
