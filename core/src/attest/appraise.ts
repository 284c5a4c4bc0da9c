// Appraises one piece of evidence (RATS, RFC 9334 section 8): signature, freshness, the log that explains the PCRs, and the boot against
// the reference values. The result is one status with reasons. Facts come in as values; the policy decides what follows from the status.
import { verify } from 'node:crypto';
import { toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { ClockInfo } from '../tpm/attest.ts';
import { pcrDigest } from '../tpm/pcr-selection.ts';
import { logReasons, namedAbsent, unexplainedReasons } from './absent-evidence.ts';
import { appraiseBoot, appraiseLayers, type BootRules, type ReleaseName } from './appraise-boot.ts';
import type { DiceLayer, DiceTrust } from './dice/chain.ts';
import { type DiceFacts, verifyDiceEvidence } from './dice-appraise.ts';
import {
  type DiceEvidence,
  type Evidence,
  parseSoftwareStatement,
  signedStatement,
  type SoftwareEvidence,
  type TpmEvidence,
} from './evidence.ts';
import { type ImaMismatch, withRuntime } from './ima-appraise.ts';
import type { ImaPolicies } from './ima-findings.ts';
import { type ImaEntry, imaPcrValues, parseImaLog } from './ima-log.ts';
import type { ImaLogState } from './ima-log-state.ts';
import { type LogCache, openLog } from './log-cache.ts';
import type { LastQuote } from './boot-clock.ts';
import { type AttestationKey, verifyQuote } from './quote.ts';
import type { Reason, ReasonCode } from './reason.ts';
import { assertConstrains, IMA_PCR } from './reference-values.ts';
import { pcrValue, type ReplayedLog } from './replay.ts';
import { type SecureBoot, SECURE_BOOT_PCR, secureBootOf } from './secure-boot.ts';
import { statementReasons } from './statement.ts';
import type { Tier } from './tier.ts';
import { statusOfVector, type TrustStatus, type TrustVector, trustValues } from './trust-vector.ts';

export interface AppraisalInput extends BootRules {
  readonly evidence: Evidence;
  /** The device's registered key. For TPM evidence it must carry the qualified name (`attestationKeyOf`); for a DICE device it is the DeviceID. */
  readonly key: AttestationKey;
  readonly expectedQualifyingData: Uint8Array;
  /** The newest quote of this key that was accepted. */
  readonly lastQuote?: LastQuote | undefined;
  /** When this evidence was asked for, in the time of `lastQuote`. */
  readonly askedMs?: number | undefined;
  readonly logCache?: LogCache | undefined;
  /** Where the IMA log of this evidence begins (its `imaLogFrom`), replayed by the verifier before; undefined for a whole log. */
  readonly imaStart?: ImaLogState | undefined;
  /** What may run while the kernel measures it. `imaStart` has what they found before it. */
  readonly imaPolicies?: ImaPolicies | undefined;
  /** What a file that no policy accepts does to the status; left out: `refuse`. */
  readonly imaMismatch?: ImaMismatch | undefined;
  /** For a DICE device: the roots that its chain must end at, and the unix second at which the chain must be valid. */
  readonly dice?: { readonly trust: DiceTrust; readonly atSeconds: number } | undefined;
}

export interface Appraisal {
  readonly status: TrustStatus;
  readonly vector: TrustVector;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  /** The set that the boot matches, or the closest one. */
  readonly referenceValues?: ReleaseName;
  /** The release that booted: of a TPM or DICE device whose boot was compared as a whole, and matched. */
  readonly release?: ReleaseName;
  /** The set that the boot matches exactly, whether or not it counts now or covers the boot. */
  readonly booted?: ReleaseName;
  readonly pcrSelection: readonly number[];
  /** Digest over the PCR values of the replayed log, hex: proven when the status is not contraindicated. */
  readonly pcrDigest: string;
  readonly resetCount: number;
  readonly restartCount: number;
  /** How many milliseconds the TPM has been powered; 0 without a TPM, like the counters. */
  readonly clock: bigint;
  /** Whether the TPM vouches that no value of its clock repeats; true without a TPM. */
  readonly safe: boolean;
  /** How much of the IMA log the quote covers: a later appraisal may start there. */
  readonly imaLog?: ImaLogState & {
    /** Where the log of this evidence began. */
    readonly start: ImaLogState;
  };
  /** What a TPM proved of its boot, compared or not; undefined where the evidence is not the device's own or not of a TPM. */
  readonly measured?: Measured;
  /** Present when the evidence was a DICE device's own. */
  readonly dice?: DiceFacts;
}

export interface Measured {
  /** Digest over the quoted PCR values, hex. */
  readonly pcrDigest: string;
  /** Undefined where PCR 7 is not quoted, or the log does not say. */
  readonly secureBoot?: SecureBoot | undefined;
}

/**
 * Appraises. Broken structures inside the evidence throw CoreError; everything that is well-formed but wrong is an appraisal with reasons.
 */
export function appraiseEvidence(input: AppraisalInput): Appraisal {
  const { evidence, pcrSelection } = input;
  // A set for PCRs that are not quoted matches no boot.
  for (const set of input.referenceValues) assertConstrains(set);
  const log = openLog(evidence.eventLog, input.logCache);
  const early = log.isKnown && !hasImaLog(evidence) ? undefined : refusedUnread(input);
  const { replayed, keep } = early === undefined ? log.replay() : { replayed: nothingReplayed, keep: () => {} };
  const signed = early ?? verifySigned(input, replayed);
  if (signed.reasons.length === 0) keep();
  const common = {
    tier: input.tier,
    pcrSelection,
    pcrDigest: toHex(pcrDigest(pcrSelection.map(signed.pcrValue))),
    ...signed.boot,
    ...(signed.imaLog === undefined ? {} : { imaLog: signed.imaLog }),
  };
  if (signed.reasons.length > 0) {
    const vector = vectorOfBroken(signed.reasons);
    return { status: statusOfVector(vector), vector, reasons: signed.reasons, ...common };
  }
  if (signed.dice !== undefined) {
    const { facts, layers } = signed.dice;
    return { ...appraiseLayers(input, replayed, layers), dice: facts, ...common };
  }
  const boot = withRuntime(appraiseBoot(input, replayed), input, signed.imaLog);
  return { ...boot, ...common, ...measuredBy(input, replayed, common.pcrDigest) };
}

// Of another tier, software states the boot.
function measuredBy(
  { tier, pcrSelection }: AppraisalInput,
  replayed: ReplayedLog,
  digest: string,
): Pick<Appraisal, 'measured'> {
  if (tier !== 'tpm') return {};
  const secureBoot = pcrSelection.includes(SECURE_BOOT_PCR) ? secureBootOf(replayed) : undefined;
  return { measured: { pcrDigest: digest, secureBoot } };
}

// Anybody can send logs of megabytes: unless they were read before, signature, signer and freshness are checked first, and if those are
// wrong the logs are not read at all.
function refusedUnread(input: AppraisalInput): SignedFacts | undefined {
  const { evidence } = input;
  const unread = evidence.kind === 'tpm' ? { ...evidence, imaLog: undefined } : evidence;
  const signed = verifySigned({ ...input, evidence: unread }, nothingReplayed);
  // The reasons that need the logs.
  const reasons = signed.reasons.filter(({ code }) => !logReasons.has(code));
  return reasons.length === 0 ? undefined : { ...signed, reasons };
}

const nothingReplayed: ReplayedLog = { bank: 'sha256', values: new Map(), events: [], startupLocality: 0 };

function hasImaLog(evidence: Evidence): boolean {
  return evidence.kind === 'tpm' && evidence.imaLog !== undefined;
}

interface SignedFacts {
  readonly imaLog?: Appraisal['imaLog'];
  readonly dice?: { readonly facts: DiceFacts; readonly layers: readonly DiceLayer[] };
  readonly reasons: readonly Reason[];
  readonly boot: ClockInfo;
  readonly pcrValue: (pcr: number) => Uint8Array;
}

const noBoot: ClockInfo = { resetCount: 0, restartCount: 0, clock: 0n, safe: true };

function verifySigned(input: AppraisalInput, replayed: ReplayedLog): SignedFacts {
  const { evidence, tier } = input;
  if (evidence.kind !== evidenceKindOf(tier)) {
    const message = `the device is registered with the tier ${tier} and sent ${evidence.kind} evidence`;
    return { reasons: [{ code: 'tier-mismatch', message }], boot: noBoot, pcrValue: (pcr) => pcrValue(replayed, pcr) };
  }
  switch (evidence.kind) {
    case 'tpm':
      return verifyTpmEvidence(input, evidence, replayed);
    case 'software':
      return verifySoftwareEvidence(input, evidence, replayed);
    case 'dice':
      return verifyDice(input, evidence, replayed);
  }
}

// The kind says who measured: a TPM, DICE layers below the running software, or software. The place of the signing key determines the tier.
function evidenceKindOf(tier: Tier): Evidence['kind'] {
  return tier === 'secure-element' ? 'software' : tier;
}

function verifyDice(input: AppraisalInput, evidence: DiceEvidence, replayed: ReplayedLog): SignedFacts {
  if (input.dice === undefined) {
    throw new CoreError('evidence-invalid', 'DICE evidence is appraised against roots of vendors, found none');
  }
  const facts = { boot: noBoot, pcrValue: (pcr: number) => pcrValue(replayed, pcr) };
  const { expectedQualifyingData, pcrSelection } = input;
  const expected = { expectedQualifyingData, pcrSelection, deviceIdKey: input.key.publicKey, ...input.dice };
  const verdict = verifyDiceEvidence(evidence, expected, facts.pcrValue);
  if (verdict.kind === 'refused') return { ...facts, reasons: verdict.reasons };
  return { ...facts, reasons: [], dice: verdict };
}

function verifyTpmEvidence(input: AppraisalInput, evidence: TpmEvidence, replayed: ReplayedLog): SignedFacts {
  if (input.key.qualifiedName === undefined) {
    throw new CoreError(
      'evidence-invalid',
      'a TPM quote is appraised against a key with its qualified name, found none',
    );
  }
  if ((evidence.imaLogFrom ?? 0) !== (input.imaStart?.entries ?? 0)) {
    const message = `the IMA log of the evidence begins after ${evidence.imaLogFrom ?? 0} entries, expected ${input.imaStart?.entries ?? 0}`;
    throw new CoreError('evidence-invalid', message);
  }
  assertCompared(input);
  const imaStart = input.imaStart?.value ?? pcrValue(replayed, IMA_PCR);
  const entries = imaEntriesOf(evidence, input.imaStart?.entries ?? 0);
  const imaValues = entries === undefined ? undefined : imaPcrValues(entries, 'sha256', IMA_PCR, imaStart);
  const atQuote = (count: number) => (pcr: number) =>
    pcr === IMA_PCR ? (imaValues?.[count] ?? pcrValue(replayed, pcr)) : pcrValue(replayed, pcr);
  const verdict = verifyQuote(evidence.quote, evidence.signature, {
    key: input.key,
    qualifyingData: input.expectedQualifyingData,
    pcrs: input.pcrSelection,
    pcrValue: (pcr) => pcrValue(replayed, pcr),
    imaValues,
    lastQuote: input.lastQuote,
    askedMs: input.askedMs,
  });
  if (verdict.kind === 'refused') {
    const sent = { events: replayed.events, hasImaLog: evidence.imaLog !== undefined };
    const reasons = verdict.reasons.map((each) => namedAbsent(each, input.pcrSelection, sent));
    return { reasons, boot: noBoot, pcrValue: atQuote((imaValues?.length ?? 1) - 1) };
  }
  const { clockInfo: boot } = verdict.attest;
  const { imaEntries } = verdict;
  const value = imaEntries === undefined ? undefined : imaValues?.[imaEntries];
  if (imaEntries === undefined || value === undefined) return { reasons: [], boot, pcrValue: atQuote(0) };
  const start = { entries: input.imaStart?.entries ?? 0, value: imaStart, findings: input.imaStart?.findings };
  const findings = input.imaPolicies?.judge(entries?.slice(0, imaEntries) ?? [], start.findings);
  const imaLog = { entries: start.entries + imaEntries, value, findings, start };
  return { reasons: [], boot, imaLog, pcrValue: atQuote(imaEntries) };
}

// The IMA log continues in PCR 10, which reference values never cover. For a log that begins later, the verifier knows the earlier part.
function imaEntriesOf({ imaLog }: TpmEvidence, before: number): readonly ImaEntry[] | undefined {
  return imaLog === undefined ? undefined : parseImaLog(imaLog, before);
}

// Entries that no policy saw are not accepted by being left out.
function assertCompared({ imaStart, imaPolicies }: AppraisalInput): void {
  const policies = imaPolicies?.list.length ?? 0;
  if (policies === 0 || imaStart === undefined || imaStart.entries === 0) return;
  if (imaStart.findings?.length === policies) return;
  throw new CoreError('evidence-invalid', 'the beginning of this IMA log was not compared with the policies in force');
}

function verifySoftwareEvidence(input: AppraisalInput, evidence: SoftwareEvidence, replayed: ReplayedLog): SignedFacts {
  const facts = { boot: noBoot, pcrValue: (pcr: number) => pcrValue(replayed, pcr) };
  const { publicKey } = input.key;
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  if (curve !== 'prime256v1') {
    const found = curve ?? publicKey.asymmetricKeyType;
    const message = `the device key is ${found}, and statements are signed with P-256 only: the signature was not tried`;
    return { ...facts, reasons: [reason('signature-invalid', message)] };
  }
  if (!verify('sha256', signedStatement(evidence), publicKey, evidence.signature)) {
    const message = 'the signature over the statement does not verify under the device key';
    return { ...facts, reasons: [reason('signature-invalid', message)] };
  }
  return { ...facts, reasons: statementReasons(parseSoftwareStatement(evidence.statement), input, facts.pcrValue) };
}

function reason(code: ReasonCode, message: string): Reason {
  return { code, message };
}

// Without a valid signature over fresh values nothing else can be claimed; an old boot or a downgrade is a recognized instance not to be
// trusted.
function vectorOfBroken(reasons: readonly Reason[]): TrustVector {
  const notToBeTrusted: readonly ReasonCode[] = ['reset-count-decreased', 'clock-decreased', 'tier-mismatch'];
  const onlyOld = reasons.every(({ code }) => notToBeTrusted.includes(code));
  const onlyLog = reasons.every(({ code }) => unexplainedReasons.has(code));
  if (onlyLog)
    return { 'instance-identity': trustValues.recognizedInstance, executables: trustValues.cryptographyFailed };
  return { 'instance-identity': onlyOld ? trustValues.untrustworthyInstance : trustValues.cryptographyFailed };
}
