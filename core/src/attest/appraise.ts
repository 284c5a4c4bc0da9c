// Appraises one piece of evidence (RATS, RFC 9334 section 8): signature, freshness, the log behind the PCRs, and the boot against the
// reference values, to one status with reasons. Facts come in as values; what follows from the status is policy's business.
import { verify } from 'node:crypto';
import { equalBytes, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { pcrDigest } from '../tpm/pcr-selection.ts';
import { matchBoot } from './boot-match.ts';
import { type Evidence, parseSoftwareStatement, type SoftwareEvidence, type TpmEvidence } from './evidence.ts';
import { parseImaLog, replayImaLog } from './ima-log.ts';
import { type LogCache, replayCached } from './log-cache.ts';
import { type AttestationKey, type BootCounters, verifyQuote } from './quote.ts';
import type { Reason, ReasonCode } from './reason.ts';
import { assertConstrains, IMA_PCR, type ReferenceValues } from './reference-values.ts';
import { pcrValue, type ReplayedLog } from './replay.ts';
import type { Tier } from './tier.ts';
import { statusOfVector, type TrustStatus, type TrustVector, trustValues } from './trust-vector.ts';

export interface AppraisalInput {
  readonly evidence: Evidence;
  /** The device's registered key. For TPM evidence it must carry the qualified name (`attestationKeyOf`). */
  readonly key: AttestationKey;
  /** The device's registered tier; evidence of another kind is a downgrade and refused. */
  readonly tier: Tier;
  readonly expectedQualifyingData: Uint8Array;
  /** PCRs of the sha256 bank that must be quoted, ascending. */
  readonly pcrSelection: readonly number[];
  /** Acceptable boots; none at all makes a warning, never an affirmation. */
  readonly referenceValues: readonly ReferenceValues[];
  readonly lastBoot?: BootCounters | undefined;
  readonly logCache?: LogCache | undefined;
}

export interface Appraisal {
  readonly status: TrustStatus;
  readonly vector: TrustVector;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  /** The set the boot was compared with: the one it matches, or comes closest to. */
  readonly referenceValues?: { readonly name: string; readonly version: string };
  readonly pcrSelection: readonly number[];
  /** Digest over the PCR values of the replayed log, hex: proven when the status is not contraindicated. */
  readonly pcrDigest: string;
  readonly resetCount: number;
  readonly restartCount: number;
  /** Milliseconds the TPM has been powered; 0 without a TPM, as the counters are. */
  readonly clock: bigint;
}

/** Appraises. Broken structures inside the evidence throw CoreError; anything that is well-formed and wrong is an appraisal with reasons. */
export function appraiseEvidence(input: AppraisalInput): Appraisal {
  const { evidence, pcrSelection } = input;
  for (const set of input.referenceValues) assertConstrains(set, pcrSelection);
  const { replayed, keep } = replayCached(evidence.eventLog, input.logCache);
  const signed = verifySigned(input, replayed);
  if (signed.reasons.length === 0) keep();
  const common = {
    tier: input.tier,
    pcrSelection,
    pcrDigest: toHex(pcrDigest(pcrSelection.map(signed.pcrValue))),
    ...signed.boot,
  };
  if (signed.reasons.length > 0) {
    const vector = vectorOfBroken(signed.reasons);
    return { status: statusOfVector(vector), vector, reasons: signed.reasons, ...common };
  }
  return { ...appraiseBoot(input, replayed), ...common };
}

interface SignedFacts {
  readonly reasons: readonly Reason[];
  readonly boot: BootCounters & { readonly clock: bigint };
  readonly pcrValue: (pcr: number) => Uint8Array;
}

const noBoot = { resetCount: 0, restartCount: 0, clock: 0n };

function verifySigned(input: AppraisalInput, replayed: ReplayedLog): SignedFacts {
  const { evidence, tier } = input;
  if ((evidence.kind === 'tpm') !== (tier === 'tpm')) {
    const message = `the device is registered with the tier ${tier} and sent ${evidence.kind} evidence`;
    return { reasons: [{ code: 'tier-mismatch', message }], boot: noBoot, pcrValue: (pcr) => pcrValue(replayed, pcr) };
  }
  switch (evidence.kind) {
    case 'tpm':
      return verifyTpmEvidence(input, evidence, replayed);
    case 'software':
      return verifySoftwareEvidence(input, evidence, replayed);
  }
}

function verifyTpmEvidence(input: AppraisalInput, evidence: TpmEvidence, replayed: ReplayedLog): SignedFacts {
  if (input.key.qualifiedName === undefined) {
    throw new CoreError(
      'evidence-invalid',
      'a TPM quote is appraised against a key with its qualified name, found none',
    );
  }
  const values = valuesWithIma(evidence, replayed);
  const verdict = verifyQuote(evidence.quote, evidence.signature, {
    key: input.key,
    qualifyingData: input.expectedQualifyingData,
    pcrs: input.pcrSelection,
    pcrValue: values,
    lastBoot: input.lastBoot,
  });
  if (verdict.kind === 'refused') return { reasons: verdict.reasons, boot: noBoot, pcrValue: values };
  const { resetCount, restartCount, clock } = verdict.attest.clockInfo;
  return { reasons: [], boot: { resetCount, restartCount, clock }, pcrValue: values };
}

// The IMA log continues in PCR 10, which reference values never cover.
function valuesWithIma({ imaLog }: TpmEvidence, replayed: ReplayedLog): (pcr: number) => Uint8Array {
  if (imaLog === undefined) return (pcr) => pcrValue(replayed, pcr);
  const entries = parseImaLog(imaLog);
  // An entry for another PCR could stand for a boot event there, unseen by the reference values.
  const stray = entries.find(({ pcr }) => pcr !== IMA_PCR);
  if (stray !== undefined) {
    throw new CoreError(
      'ima-log-invalid',
      `IMA log entry ${stray.index}: it is for PCR ${stray.pcr}, expected ${IMA_PCR}`,
    );
  }
  const values = replayImaLog(entries, 'sha256', replayed.values);
  return (pcr) => values.get(pcr) ?? pcrValue(replayed, pcr);
}

function verifySoftwareEvidence(input: AppraisalInput, evidence: SoftwareEvidence, replayed: ReplayedLog): SignedFacts {
  const facts = { boot: noBoot, pcrValue: (pcr: number) => pcrValue(replayed, pcr) };
  const { publicKey } = input.key;
  if (
    publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1' ||
    !verify('sha256', evidence.statement, publicKey, evidence.signature)
  ) {
    return {
      ...facts,
      reasons: [reason('signature-invalid', 'the signature over the statement does not verify under the device key')],
    };
  }
  const statement = parseSoftwareStatement(evidence.statement);
  const reasons: Reason[] = [];
  if (!equalBytes(statement.qualifyingData, input.expectedQualifyingData)) {
    const both = `${toHex(statement.qualifyingData)}, expected ${toHex(input.expectedQualifyingData)}`;
    reasons.push(
      reason(
        'qualifying-data-mismatch',
        `the statement is over the qualifying data ${both}: it is old, or was made for another purpose`,
      ),
    );
  }
  const stated = [...statement.pcrs.keys()].join(',');
  if (stated !== input.pcrSelection.join(',')) {
    reasons.push(
      reason(
        'pcr-selection-mismatch',
        `the statement covers PCRs ${stated || 'none'}, expected ${input.pcrSelection.join(',')}`,
      ),
    );
  } else {
    for (const [pcr, value] of statement.pcrs) {
      const replayedValue = facts.pcrValue(pcr);
      if (equalBytes(value, replayedValue)) continue;
      const message = `the log replays PCR ${pcr} to ${toHex(replayedValue)}, the device states ${toHex(value)}: the log is not what was measured`;
      reasons.push({ code: 'pcr-digest-mismatch', message, pcr });
    }
  }
  return { ...facts, reasons };
}

function reason(code: ReasonCode, message: string): Reason {
  return { code, message };
}

// Without a valid signature over fresh values nothing else can be claimed; an old boot or a downgrade is a recognized instance not to be trusted.
function vectorOfBroken(reasons: readonly Reason[]): TrustVector {
  const notToBeTrusted: readonly ReasonCode[] = ['reset-count-decreased', 'tier-mismatch'];
  const onlyOld = reasons.every(({ code }) => notToBeTrusted.includes(code));
  const onlyLog = reasons.every(({ code }) => code === 'pcr-digest-mismatch');
  if (onlyLog)
    return { 'instance-identity': trustValues.recognizedInstance, executables: trustValues.cryptographyFailed };
  return { 'instance-identity': onlyOld ? trustValues.untrustworthyInstance : trustValues.cryptographyFailed };
}

/** Firmware Profile 3.3.4: these PCRs hold settings, variables and tables; the others hold code. */
const configurationPcrs: ReadonlySet<number> = new Set([1, 3, 5, 7]);

function appraiseBoot(
  input: AppraisalInput,
  replayed: ReplayedLog,
): Pick<Appraisal, 'status' | 'vector' | 'reasons' | 'referenceValues'> {
  const hardware = input.tier === 'tpm' ? trustValues.genuineHardware : trustValues.unsafeHardware;
  const identity = { 'instance-identity': trustValues.recognizedInstance, hardware };
  const reasons: Reason[] = [];
  if (input.tier === 'secure-element') {
    reasons.push(
      reason(
        'measured-by-software',
        `the tier is ${input.tier}: its keys cannot be copied, but whoever controls the device's software can let them state any boot`,
      ),
    );
  } else if (hardware === trustValues.unsafeHardware) {
    reasons.push(
      reason(
        'software-root-of-trust',
        `the tier is ${input.tier}: whoever controls the device's software can state any boot`,
      ),
    );
  }
  const match = matchBoot(replayed, input.referenceValues, input.pcrSelection);
  if (match === undefined) {
    reasons.push(
      reason(
        'reference-values-missing',
        'there are no reference values: what was booted is proven, but not whether it should have been',
      ),
    );
    return { status: 'warning', vector: identity, reasons };
  }
  const { name, version } = match.referenceValues;
  reasons.unshift(...match.reasons);
  const vector = { ...identity, ...bootClaims(match.referenceValues, match.reasons) };
  return { status: statusOfVector(vector), vector, reasons, referenceValues: { name, version } };
}

function bootClaims(values: ReferenceValues, reasons: readonly Reason[]): TrustVector {
  const failed = reasons.map(({ pcr }) => pcr ?? -1);
  const covered = values.events.map(({ pcr }) => pcr);
  const isConfiguration = (pcr: number) => configurationPcrs.has(pcr);
  const isCode = (pcr: number) => !configurationPcrs.has(pcr);
  const { approvedConfiguration, unsupportableConfiguration, approvedBoot, contraindicatedExecutables, none } =
    trustValues;
  return {
    configuration: failed.some(isConfiguration)
      ? unsupportableConfiguration
      : covered.some(isConfiguration)
        ? approvedConfiguration
        : none,
    executables: failed.some(isCode) ? contraindicatedExecutables : covered.some(isCode) ? approvedBoot : none,
  };
}
