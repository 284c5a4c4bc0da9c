// Appraises evidence against the device's registered keys and the published reference values, signs the result, and keeps what the next
// appraisal needs: the newest reset count and the device's health.
import { cutText } from '@edgekeep/core/canonical/printable';
import { noteAppraisal, type Standing } from '../registry/device-notes.ts';
import { toHex } from '@edgekeep/core/bytes';
import { type Appraisal, appraiseEvidence } from '@edgekeep/core/attest/appraise';
import type { ReleaseName } from '@edgekeep/core/attest/appraise-boot';
import type { BootCoverage } from '@edgekeep/core/attest/boot-coverage';
import { attestationResultOf, signAttestationResult } from '@edgekeep/core/attest/ear';
import type { DiceTrust } from '@edgekeep/core/attest/dice/chain';
import { type Evidence, formerEvidenceType, statementEvidenceType } from '@edgekeep/core/attest/evidence';
import { createLogCache } from '@edgekeep/core/attest/log-cache';
import { nextStagePcr } from '@edgekeep/core/attest/stage-pcr';
import type { ImaMismatch } from '@edgekeep/core/attest/ima-appraise';
import { tierSchema } from '@edgekeep/core/attest/tier';
import { trustValues } from '@edgekeep/core/attest/trust-vector';
import type { SigningKey } from '../common/signing-key.ts';
import { HubError } from '../common/error.ts';
import { noteFormerName } from '../common/former-names.ts';
import { raiseAlert } from '../alert/alerts.ts';
import { changeState } from '../registry/states.ts';
import type { RootKeys } from './root-keys.ts';
import { logRefusal, type LoggedRefusal, noteConnection, raiseBootRefused, settleBootRefused } from './refusal-log.ts';
import { weighTier } from './tier-alarm.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { type DatedQuote, isOvertaken, isSetBack, lastQuoteOf, provesSetBack, recordTpmClock } from './tpm-clocks.ts';
import { weighRuntime } from './ima-alarm.ts';
import { imaStartOf, recordImaLog } from './ima-logs.ts';
import type { ImaPieces } from './ima-pieces.ts';
import { imaPolicyState, ImaPolicyStore } from './ima-policy-store.ts';
import type { ReferencesFor, ReferenceStore } from './reference-store.ts';

// A fleet boots only a few different logs; this many replayed logs are kept.
const CACHED_LOGS_MAX = 512;
const LOGGED_MESSAGE_MAX = 300;

export interface Appraised {
  readonly appraisal: Appraisal;
  /** The EAR as a JWT (spec/attestation-result.md). */
  readonly attestationResult: string;
  /** Into which PCR the device should measure its stages from its next boot on; undefined to keep the present one. */
  readonly stagePcr: number | undefined;
}

// The reference values that an appraisal was made with.
const restsOn = new WeakMap<Appraisal, ReferencesFor & { readonly deviceKept: boolean }>();
// Why the attestation key of an appraisal would not enroll now.
const unlistedKeys = new WeakMap<Appraisal, string>();
// Counters and clock of an authentic quote by a TPM. An appraisal that failed by its logs has none.
const datedQuotes = new WeakMap<Appraisal, DatedQuote>();
// The state of the IMA policies when an appraisal was made.
const comparedWith = new WeakMap<Appraisal, string>();
// Which makers of chips were trusted when a chain of certificates was followed.
const trustedMakers = new WeakMap<Appraisal, { readonly by: MakersOfDevices; readonly was: string }>();
// The key that signed the result of an appraisal.
const signedBy = new WeakMap<Appraisal, ResultKey>();
// Appraisals that show a TPM which was set back.
const setBack = new WeakSet<Appraisal>();
const newReferences = 'reference-values-changed';
const newerQuote = 'newer-quote-recorded';
const APPRAISED_AGAIN_MAX = 10;

export interface MakersOfDevices {
  /** The vendor certificates that DICE chains must end at now. */
  readonly diceTrust: () => DiceTrust;
  /** Names what `diceTrust` gives now, and what the store says in a transaction. */
  readonly trusted: () => string;
  readonly trustedIn: (trx: WriteTransaction) => Promise<string>;
  /** Notes about the maker's certificate of a device, from enrollment. */
  readonly tierReasons: (deviceId: string) => Promise<readonly string[]>;
}

export interface AppraisalSettings {
  /** What every quote covers. */
  readonly pcrs: readonly number[];
  /** In which PCRs the boot of a TPM must be compared to be affirmed. */
  readonly attestation: {
    readonly coveredPcrs: readonly number[];
    readonly bootCoverage: BootCoverage;
    readonly imaMismatch: ImaMismatch;
    readonly clockDriftPercent: number;
    readonly clockSlackSeconds: number;
  };
  readonly alerts: { readonly tpmClock: boolean };
}

/** The key of results, and whether the store still lets it count for what is signed at this time. */
export interface ResultKey extends SigningKey {
  readonly countsIn?: (trx: WriteTransaction, atSeconds: number) => Promise<boolean>;
}

export interface AppraiserDependencies {
  readonly database: Database;
  readonly references: ReferenceStore;
  readonly rootKeys: RootKeys;
  /** Asked each time, as `makers` is: keys are replaced while the hub runs. */
  readonly signing: () => ResultKey;
  readonly makers: MakersOfDevices;
  readonly settings: AppraisalSettings;
  /** Names the stretch of time in which the hub's clock was not set; left out: all of it. */
  readonly epoch?: (() => string) | undefined;
}

export class Appraiser {
  /** What may run on devices while their kernels measure it. */
  readonly imaPolicies: ImaPolicyStore;
  readonly #database: Database;
  readonly #references: ReferenceStore;
  readonly #rootKeys: RootKeys;
  readonly #signing: () => ResultKey;
  readonly #makers: MakersOfDevices;
  readonly #settings: AppraisalSettings;
  readonly #epoch: () => string;
  readonly #logs = createLogCache(CACHED_LOGS_MAX);

  constructor({ database, references, rootKeys, signing, makers, settings, epoch = () => '' }: AppraiserDependencies) {
    this.imaPolicies = new ImaPolicyStore(database);
    this.#database = database;
    this.#references = references;
    this.#rootKeys = rootKeys;
    this.#signing = signing;
    this.#makers = makers;
    this.#settings = settings;
    this.#epoch = epoch;
  }

  /** Appraises evidence of a registered device; `nonce` is the challenge that the result names. */
  async appraise(
    device: Pick<DeviceRow, 'id' | 'tier' | 'identity' | 'reset_count'>,
    evidence: Evidence,
    expected: {
      readonly qualifyingData: Uint8Array;
      readonly nonce: Uint8Array;
      /** When the nonce was issued, or the connection began; left out: now. */
      readonly askedMs?: number;
      /** The device enrolls: what was known of its TPM before does not count. */
      readonly enrolls?: boolean;
      readonly nowMs: number;
      /** The connection; it may have brought pieces of the IMA log ahead of this evidence. */
      readonly pieces?: ImaPieces | undefined;
    },
  ): Promise<Appraised> {
    if (evidence.kind !== 'tpm' && evidence.type === formerEvidenceType)
      noteFormerName({ former: formerEvidenceType, present: statementEvidenceType });
    const policies = await this.imaPolicies.now();
    const imaStart = await imaStartOf(this.#database.read, device.id, evidence, expected.pieces, policies);
    const references = await this.#references.forDevice(device.id);
    const { pcrs, attestation } = this.#settings;
    const key = this.#rootKeys.attestationKey(device);
    const keyName = toHex(key.qualifiedName ?? new Uint8Array(0));
    const { nowMs, askedMs = nowMs } = expected;
    const trusted = { by: this.#makers, was: this.#makers.trusted() };
    const { enrolls = false } = expected;
    const lastQuote = enrolls ? undefined : await lastQuoteOf(this.#database.read, device, keyName);
    const appraisal = appraiseEvidence({
      evidence,
      key,
      tier: tierSchema.parse(device.tier),
      expectedQualifyingData: expected.qualifyingData,
      pcrSelection: pcrs,
      referenceValues: references.inForce,
      formerSets: references.former,
      coveredPcrs: attestation.coveredPcrs,
      bootCoverage: attestation.bootCoverage,
      lastQuote,
      askedMs,
      logCache: this.#logs,
      imaStart,
      imaPolicies: policies.policies,
      imaMismatch: attestation.imaMismatch,
      dice: { trust: this.#makers.diceTrust(), atSeconds: Math.floor(expected.nowMs / 1_000) },
    });
    comparedWith.set(appraisal, policies.state);
    if (device.tier === 'dice') trustedMakers.set(appraisal, trusted);
    restsOn.set(appraisal, { ...references, deviceKept: !enrolls });
    noteConnection(appraisal, expected.pieces);
    if (provesSetBack(appraisal.reasons, lastQuote, askedMs)) setBack.add(appraisal);
    if (
      appraisal.tier === 'tpm' &&
      isAuthentic(appraisal) &&
      appraisal.vector.executables !== trustValues.cryptographyFailed
    ) {
      const { resetCount, restartCount, clock, safe } = appraisal;
      const bounds = { driftPercent: attestation.clockDriftPercent, slackSeconds: attestation.clockSlackSeconds };
      const quoted = { resetCount, restartCount, clock, safe, keyName, enrolls, askedMs, receivedMs: nowMs };
      datedQuotes.set(appraisal, { ...quoted, epoch: this.#epoch(), bounds, alerts: this.#settings.alerts.tpmClock });
    }
    const unlisted = this.#rootKeys.unlistedKey(device);
    if (unlisted !== undefined) unlistedKeys.set(appraisal, unlisted);
    const { referenceValues } = appraisal;
    const result = attestationResultOf(appraisal, {
      issuedAt: Math.floor(expected.nowMs / 1_000),
      verifier: { developer: 'Edgekeep', build: 'edgekeep-hub 0.1.0' },
      nonce: expected.nonce,
      subject: device.id,
      tierReasons: [...(await this.#makers.tierReasons(device.id)), ...clockNotes(appraisal)],
      policyId: referenceValues === undefined ? 'none' : policyIdOf(referenceValues, references),
    });
    const signing = this.#signing();
    const { signer, keyId } = signing;
    signedBy.set(appraisal, signing);
    const stagePcr = nextStagePcr(references.inForce, appraisal.booted, appraisal.referenceValues);
    return { appraisal, attestationResult: await signAttestationResult(result, signer, keyId), stagePcr };
  }
}

// The digest says which document: a stranger who reads the result needs no list of ours.
function policyIdOf({ name, version }: ReleaseName, { digestOf }: Pick<ReferencesFor, 'digestOf'>): string {
  const digest = digestOf(name, version);
  return digest === undefined ? `${name} ${version}` : `${name} ${version} sha256:${digest}`;
}

/**
 * Runs `work`, which appraises evidence and then records it. Runs it again when reference values were published or withdrawn between the
 * two, or a newer quote of the device was recorded.
 */
export async function untilReferencesStay<T>(work: () => Promise<T>): Promise<T> {
  for (let again = 0; ; again += 1) {
    try {
      return await work();
    } catch (error) {
      const changed =
        error instanceof HubError && error.reasons.some(({ code }) => code === newReferences || code === newerQuote);
      if (!changed || again === APPRAISED_AGAIN_MAX) throw error;
    }
  }
}

async function assertReferencesStay(trx: WriteTransaction, appraisal: Appraisal, nowMs: number): Promise<void> {
  const references = restsOn.get(appraisal);
  const policies = comparedWith.get(appraisal);
  const policiesStay = policies === undefined || policies === (await imaPolicyState(trx));
  const staysSame = references === undefined || (await references.stay(trx, references.deviceKept));
  const makers = trustedMakers.get(appraisal);
  const makersStay = makers === undefined || makers.was === (await makers.by.trustedIn(trx));
  // A key that was stolen has ended before now: nobody who reads a receipt takes a result under it.
  const keyStays = (await signedBy.get(appraisal)?.countsIn?.(trx, Math.floor(nowMs / 1_000))) ?? true;
  if (policiesStay && staysSame && makersStay && keyStays) return;
  const message =
    'the reference values, the trusted makers or the key of results changed while this evidence was appraised: attest again';
  throw new HubError('conflict', message, { reasons: [{ code: newReferences, message }] });
}

// Another quote of the device was recorded since: this one is compared with it in a new appraisal, which gives the reason.
async function assertNotOvertaken(trx: WriteTransaction, deviceId: string, quote: DatedQuote): Promise<void> {
  if (!(await isOvertaken(trx, deviceId, quote))) return;
  const message = 'a newer quote of this device was recorded while this evidence was appraised: attest again';
  throw new HubError('conflict', message, { reasons: [{ code: newerQuote, message }] });
}

/**
 * Stores an appraisal and changes the device's state: a healthy device becomes active, a contraindicated one suspect (its leases end). A
 * quote that was not made by the device says nothing about it and changes no state. Throws `conflict` when other reference values count for
 * the device than at the appraisal, or a newer quote of the device was recorded.
 */
export async function recordAppraisal(
  trx: WriteTransaction,
  deviceId: string,
  appraisal: Appraisal,
  nowMs: number,
): Promise<Standing> {
  const reasons = appraisal.reasons.map(({ code, message }) => ({
    code,
    message: cutText(message, LOGGED_MESSAGE_MAX),
  }));
  const { resetCount } = appraisal;
  await assertReferencesStay(trx, appraisal, nowMs);
  await recordQuote(trx, deviceId, appraisal);
  const [device] = await noteAppraisal(trx, {
    deviceId,
    nowMs,
    // A quote that was not the device's own says nothing of its resets.
    resetCount: isAuthentic(appraisal) ? resetCount : lowestResetCount,
    status: appraisal.status,
    appraisal: JSON.stringify({
      status: appraisal.status,
      reasons,
      vector: appraisal.vector,
      ...(appraisal.safe ? {} : { clockSafe: false }),
      ...measuredOf(appraisal),
    }),
    booted: bootedText(appraisal),
  });
  if (device === undefined) throw new HubError('device-unknown', `no device ${deviceId}`);
  if (isAuthentic(appraisal)) {
    await recordImaLog(trx, deviceId, appraisal, comparedWith.get(appraisal) ?? '');
    await weighRuntime(trx, deviceId, appraisal, nowMs);
  }
  await weighAttestationKey(trx, deviceId, unlistedKeys.get(appraisal), nowMs);
  await weighTier(trx, device, nowMs);
  const refused = appraisal.status === 'contraindicated';
  const change = { deviceId, actor: 'hub', nowMs };
  if (setBack.has(appraisal)) await raiseSetBack(trx, deviceId, reasons, nowMs);
  if (refused) {
    await logRefusal(trx, deviceId, appraisal, { reasons, nowMs });
    if (isAuthentic(appraisal)) await raiseBootRefused(trx, deviceId, { reasons, nowMs });
    if (device.state === 'active' && isAuthentic(appraisal)) {
      return changeState(trx, { ...change, to: 'suspect', reason: reasons[0]?.message ?? 'the attestation failed' });
    }
  } else if (device.state !== 'active') {
    await settleBootRefused(trx, deviceId, 'it attested an accepted boot', nowMs);
    if (device.state === 'registered' || device.state === 'suspect')
      return changeState(trx, { ...change, to: 'active', reason: `attested: ${appraisal.status}` });
  }
  return device;
}

async function recordQuote(trx: WriteTransaction, deviceId: string, appraisal: Appraisal): Promise<void> {
  const quote = datedQuotes.get(appraisal);
  if (quote === undefined) return;
  await assertNotOvertaken(trx, deviceId, quote);
  await recordTpmClock(trx, deviceId, quote);
}

/** Records a refused appraisal that changes nothing of the device, where its TPM was set back. */
export async function recordSetBack(
  database: Pick<Database, 'writeAsHub'>,
  deviceId: string,
  appraisal: Appraisal,
  nowMs: number,
): Promise<void> {
  const { reasons } = appraisal;
  if (!isSetBack(reasons)) return;
  await database.writeAsHub(async (trx) => {
    if (setBack.has(appraisal)) await raiseSetBack(trx, deviceId, reasons, nowMs);
    const shown = reasons.map(({ code, message }) => ({ code, message: cutText(message, LOGGED_MESSAGE_MAX) }));
    await logRefusal(trx, deviceId, appraisal, { reasons: shown, nowMs });
  });
}

/** What was measured, as it is kept for the policy. */
function measuredOf({ release, measured }: Appraisal) {
  return { release, measured };
}

function bootedText({ booted }: Appraisal): string | null {
  return booted === undefined ? null : `${booted.name} ${booted.version}`;
}

// A device from before keeps its key until it enrolls again: an upgrade must not stop a fleet.
async function weighAttestationKey(
  trx: WriteTransaction,
  deviceId: string,
  unlisted: string | undefined,
  nowMs: number,
): Promise<void> {
  if (unlisted === undefined) return;
  await raiseAlert(trx, {
    kind: 'attestation-key-unlisted',
    severity: 'high',
    subject: { deviceId },
    title: `the attestation key of ${deviceId} is of no listed kind, and would not enroll now: ${unlisted}`,
    data: { problem: cutText(unlisted, LOGGED_MESSAGE_MAX) },
    nowMs,
  });
}

// Only a holder of the TPM's keys gets here: the TPM itself, set back or cleared, or a copy of it.
async function raiseSetBack(
  trx: WriteTransaction,
  deviceId: string,
  reasons: LoggedRefusal['reasons'],
  nowMs: number,
): Promise<void> {
  const shown = reasons.find((reason) => isSetBack([reason]))?.message ?? '';
  await raiseAlert(trx, {
    kind: 'clone',
    severity: 'critical',
    subject: { deviceId },
    title: `the TPM of ${deviceId} was set back, copied or cleared: ${shown}`,
    data: { reasons: reasons.map(({ code }) => code) },
    nowMs,
  });
}

function clockNotes({ tier, safe }: Appraisal): readonly string[] {
  if (tier !== 'tpm' || safe) return [];
  return ['the clock of the TPM is not safe: it lost power, and may show values again that it has shown before'];
}

// Below the -1 of a device that was never quoted.
const lowestResetCount = -2;

/** A quote of an earlier boot that was asked for before a later boot was seen: refused, and no sign of a copy. */
export function isLate(appraisal: Appraisal): boolean {
  return isSetBack(appraisal.reasons) && !setBack.has(appraisal);
}

/** The evidence was signed by the device's own key, is fresh, and is for this purpose. */
export function isAuthentic(appraisal: Appraisal): boolean {
  return appraisal.vector['instance-identity'] === 2;
}
