// Step two of an enrollment (spec/enrollment.md, "Step two"): the proofs, then the registration in one transaction. The numbers are those of
// the page.
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { equalBytes, toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, serialText } from '@edgekeep/core/identity/certificate';
import { attributeText } from '@edgekeep/core/identity/distinguished-name';
import { attributeOid } from '@edgekeep/core/identity/oid';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import type { IdevidProofDocument } from '@edgekeep/wire/api/enrollment';
import { noteTier } from '../attest/tier-alarm.ts';
import { isAuthentic, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import type { ImaPieces } from '../attest/ima-pieces.ts';
import { appendEntry } from '../audit/append.ts';
import { issueDeviceCertificate, recordCertificate } from '../authority/issue.ts';
import { HubError } from '../common/error.ts';
import { addDevice, forgetIdevid, incarnationOf } from '../registry/device-row.ts';
import { noteProduct } from '../registry/device-notes.ts';
import { recordChange } from '../registry/history.ts';
import { forgetHybridKey } from '../registry/hybrid-keys.ts';
import { setWitnessOrigin, takeWitnessKey } from '../registry/witness-keys.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceRecord, DeviceRow } from '../store/tables/registry.ts';
import { recordMakers } from '../vendor-root/device-makers.ts';
import { assertNotBlocked, isExpected } from './admission.ts';
import { hubNamesOf } from './own-evidence.ts';
import { qualifiedFor } from './qualified.ts';
import { assertIdevidFree, proveIdevid, recordIdevid, refuseIdevidClone, type TrustedIdevid } from './idevid.ts';
import { allocateSite, joinEnrollmentGroup } from './join.ts';
import { assertAnchorGroupsOpen, type EnrollmentGroup, matchEnrollmentGroup } from './match.ts';
import { type EnrollmentDependencies, type PendingEnrollment, refused } from './pending.ts';
import { assertFreshToken, assertRootNotFormer, beginIncarnation, provesHardware, findReturning } from './returning.ts';
import type { EnrollmentSettings } from './settings.ts';
import { spendShownToken, tokenActor, originOf } from './shown-token.ts';

export interface EnrollmentAnswer {
  readonly credentialSecret: Uint8Array | undefined;
  readonly agreementSecret?: Uint8Array | undefined;
  readonly certificateRequest: Uint8Array;
  readonly evidence: Evidence;
  readonly witnessKey: string;
  readonly idevidProof?: IdevidProofDocument | undefined;
  /** The connection on which it came. */
  readonly pieces: ImaPieces;
  readonly nonce: Uint8Array;
  /** When the nonce was issued. */
  readonly askedMs: number;
  /** The TLS exporter of that connection. */
  readonly exporter: Uint8Array;
  readonly nowMs: number;
}

/**
 * Checks the proofs, registers the device and issues its operational certificate. Throws `enrollment-refused` with the reason of the rule
 * that the device does not pass; nothing is written then.
 */
export async function completeEnrollment(
  dependencies: EnrollmentDependencies,
  pending: PendingEnrollment,
  answer: EnrollmentAnswer,
): Promise<Certificate> {
  return untilReferencesStay(() => completeOnce(dependencies, pending, answer));
}

async function completeOnce(
  dependencies: EnrollmentDependencies,
  pending: PendingEnrollment,
  answer: EnrollmentAnswer,
): Promise<Certificate> {
  assertCredentialOpened(pending, answer);
  assertAgreementOpened(pending, answer);
  assertWitnessKey(answer);
  const { spki } = parseCertificateRequest(answer.certificateRequest);
  const row = rowOf(pending, answer);
  const { version, deviceId, identity } = pending;
  const { nonce, witnessKey, exporter } = answer;
  const asked = { version, deviceId, identity, nonce, witnessKey, operationalSpki: spki, exporter };
  const hubs = await hubNamesOf(dependencies.database.read, dependencies.settings.logOrigin);
  const qualified = qualifiedFor('enroll', hubs, asked, answer.evidence);
  const appraisal = await proveOperationalKey(dependencies, row, qualified, answer);
  await proveInitialIdentity(dependencies, pending, { qualified, operationalSpki: spki }, answer);
  const { settings, authorities, database } = dependencies;
  const { certificateSeconds: lifeSeconds, publicUrl } = settings;
  const order = { deviceId: pending.deviceId, spki, nowMs: answer.nowMs, lifeSeconds, publicUrl };
  const certificate = await issueDeviceCertificate(authorities, order);
  await database.write((trx) => register(trx, pending, { row, certificate, appraisal, settings }));
  return certificate;
}

/** 1. The attestation key is in the TPM of the endorsement key. */
function assertCredentialOpened(pending: PendingEnrollment, { credentialSecret }: EnrollmentAnswer): void {
  if (pending.credentialSecret === undefined) return;
  const answer = credentialSecret ?? new Uint8Array(0);
  if (!equalBytes(answer, pending.credentialSecret)) {
    throw refused(
      'credential-not-activated',
      'the credential was not opened: the attestation key is not in the TPM of this endorsement key',
    );
  }
}

/**
 * 1. The device has the agreement key that it named. An agent of the version before does not prove it: it is served in this version where an
 * operator's token vouches for the element.
 */
function assertAgreementOpened(
  { agreementSecret, proof, token }: PendingEnrollment,
  { agreementSecret: answer }: EnrollmentAnswer,
): void {
  if (agreementSecret === undefined || proof.tier !== 'secure-element') return;
  if (answer === undefined && token !== undefined) return;
  if (answer === undefined || !equalBytes(answer, agreementSecret))
    throw refused(
      'agreement-key-not-possessed',
      'the secret for the agreement key was not opened: the device does not have that key',
    );
}

/** 2. The witness key is one for cosignatures. */
function assertWitnessKey({ witnessKey }: EnrollmentAnswer): void {
  if (parseVerifierKey(witnessKey).type !== 'cosignature-v1')
    throw refused('witness-key-invalid', 'the witness key must be a cosignature/v1 verifier key');
}

function rowOf({ deviceId, identity, proof, incarnation }: PendingEnrollment, answer: EnrollmentAnswer): DeviceRow {
  return {
    id: deviceId,
    tier: proof.tier,
    state: 'registered',
    state_reason: incarnation === 1 ? 'enrolled' : 'enrolled again',
    identity: JSON.stringify(identity),
    root_sha256: proof.rootSha256,
    witness_key: answer.witnessKey,
    enrolled_at: answer.nowMs,
    seen_at: answer.nowMs,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
}

/** 3. The boot need not be healthy to register. The evidence must be this device's own, fresh, and about this enrollment. */
async function proveOperationalKey(
  { appraiser }: EnrollmentDependencies,
  row: DeviceRow,
  qualified: Uint8Array,
  { nonce, askedMs, pieces, evidence, nowMs }: EnrollmentAnswer,
): Promise<Appraisal> {
  const expected = { qualifyingData: qualified, nonce, askedMs, enrolls: true, nowMs, pieces };
  const { appraisal } = await appraiser.appraise(row, evidence, expected);
  if (!isAuthentic(appraisal)) {
    throw new HubError('enrollment-refused', 'the evidence does not prove the operational key', {
      reasons: appraisal.reasons,
    });
  }
  return appraisal;
}

/** 4. The key of the IDevID is in this device, and in no other that is here. */
async function proveInitialIdentity(
  { database }: EnrollmentDependencies,
  { version, idevid, deviceId, identity, address }: PendingEnrollment,
  { qualified, operationalSpki }: { readonly qualified: Uint8Array; readonly operationalSpki: Uint8Array },
  { nonce, idevidProof, nowMs }: EnrollmentAnswer,
): Promise<void> {
  if (idevid === undefined) return;
  const proven =
    version === undefined ? ({ use: 'former', nonce } as const) : { use: 'enroll' as const, nonce: qualified };
  proveIdevid(idevid, idevidProof, { ...proven, operationalSpki, deviceId, identity });
  await refuseIdevidClone(database, idevid, { deviceId, address, nowMs });
}

interface Registration {
  readonly row: DeviceRow;
  readonly certificate: Certificate;
  readonly appraisal: Appraisal;
  readonly settings: EnrollmentSettings;
}

/** 5. Everything that step one rested on is read again in the transaction that registers the device. */
async function register(trx: WriteTransaction, pending: PendingEnrollment, registration: Registration): Promise<void> {
  const { row, certificate, appraisal } = registration;
  const { deviceId, token, idevid, address, makersWords } = pending;
  const nowMs = row.enrolled_at;
  const { returning, imported, group } = await admitAgain(trx, pending, registration);
  if (returning !== undefined) await forgetHybridKey(trx, deviceId);
  if (token !== undefined) await spendShownToken(trx, token, { deviceId, nowMs });
  await takeWitnessKey(trx, row.witness_key, deviceId);
  await setWitnessOrigin(trx, deviceId, token === undefined ? '' : originOf(token));
  await recordCertificate(trx, certificate, deviceId);
  if (idevid !== undefined) {
    await assertIdevidFree(trx, idevid, deviceId);
    await recordIdevid(trx, idevid, { deviceId, nowMs });
  } else if (returning !== undefined) await forgetIdevid(trx, deviceId);
  await noteProduct(trx, deviceId, productOf(idevid));
  await noteTier(trx, deviceId, tierVouchedBy(pending), nowMs);
  await recordMakers(trx, deviceId, makersWords);
  const newcomer = { deviceId, address, nowMs };
  if (group !== undefined) await joinEnrollmentGroup(trx, group, newcomer);
  const site = returning === undefined ? await allocateSite(trx, group, newcomer) : returning.site;
  const actor = actorOf(pending, imported);
  const logIndex = await appendEntry(trx, {
    at: nowMs,
    kind: 'device-enrolled',
    actor,
    subject: `device:${deviceId}`,
    data: entryData(pending, registration, group, site),
  });
  const change = { from: returning?.state ?? 'none', to: row.state, reason: row.state_reason, actor };
  await recordChange(trx, { deviceId, logIndex, at: nowMs, ...change });
  await recordAppraisal(trx, deviceId, appraisal, nowMs);
}

// Reference values may be for one product.
function productOf(idevid: TrustedIdevid | undefined): string | null {
  const { subject } = idevid?.idevid.certificate ?? {};
  const name = subject === undefined ? undefined : attributeText(subject, attributeOid.commonName);
  return name?.normalize('NFC') ?? null;
}

interface Admitted {
  readonly returning: DeviceRecord | undefined;
  readonly imported: boolean;
  /** The group that admits a new device. */
  readonly group: EnrollmentGroup | undefined;
}

async function admitAgain(
  trx: WriteTransaction,
  pending: PendingEnrollment,
  { row, settings }: Registration,
): Promise<Admitted> {
  const { deviceId, incarnation } = pending;
  const returning = await findReturning(trx, pending.proof);
  if (incarnationOf(returning) + 1 !== incarnation)
    throw refused('device-id-taken', `${deviceId} has enrolled or was wiped in the meantime: start again`);
  const imported = await isExpected(trx, pending.proof);
  await assertRootNotFormer(trx, pending.proof, imported);
  await assertNotBlocked(trx, pending.proof.idevidDigests, 'IDevID');
  const group = await admit(trx, pending, { returning, imported, settings, row });
  return { returning, imported, group };
}

// Registers the device, or gives a wiped device its next identity. Returns the group that admits a new device.
async function admit(
  trx: WriteTransaction,
  pending: PendingEnrollment,
  now: {
    readonly returning: DeviceRecord | undefined;
    readonly imported: boolean;
    readonly settings: EnrollmentSettings;
    readonly row: DeviceRow;
  },
): Promise<EnrollmentGroup | undefined> {
  const { returning, imported, settings, row } = now;
  if (returning !== undefined) {
    await assertAnchorGroupsOpen(trx, pending.proof);
    if (!provesHardware(row.tier)) await assertFreshToken(trx, returning, pending.token);
    await beginIncarnation(trx, returning, row);
    return undefined;
  }
  const group = await matchEnrollmentGroup(trx, pending.proof);
  assertStillVouched(pending, group, imported, settings);
  await addDevice(trx, row);
  return group;
}

function entryData(
  { proof, idevid, incarnation }: PendingEnrollment,
  { row, certificate }: Registration,
  group: EnrollmentGroup | undefined,
  site: string | null,
) {
  return {
    tier: proof.tier,
    rootSha256: proof.rootSha256,
    witnessKey: row.witness_key,
    certificate: toHex(certificateDigest(certificate)),
    serial: serialText(certificate),
    ...(idevid === undefined ? {} : idevidData(idevid)),
    ...(group === undefined ? {} : { enrolmentGroup: group.name }),
    ...(site === null ? {} : { site }),
    ...(incarnation === 1 ? {} : { generation: incarnation }),
  };
}

// Step one, rule 11.
function tierVouchedBy({ proof, token }: PendingEnrollment): DeviceRecord['tier_vouched'] {
  if (proof.tier !== 'secure-element') return null;
  return token?.kind === 'group' || (token?.kind === 'one-time' && token.tier === 'secure-element')
    ? 'token'
    : 'manufacturer';
}

function idevidData({ idevid: { serialNumber, sha256 } }: TrustedIdevid) {
  return { idevidSerial: serialNumber, idevidSha256: sha256 };
}

// Between the two steps, a group may have been deleted or made again, or an import withdrawn that made a token unnecessary.
function assertStillVouched(
  pending: PendingEnrollment,
  group: EnrollmentGroup | undefined,
  imported: boolean,
  settings: EnrollmentSettings,
): void {
  const { group: before, token, deviceId } = pending;
  if (before?.name !== group?.name || before?.createdAt !== group?.createdAt)
    throw refused('enrollment-group-changed', `${deviceId} came by an enrollment group that has changed: start again`);
  if (token === undefined && settings.enrollment.requireToken && !imported && group === undefined)
    throw refused('not-expected', `${deviceId} is no longer expected: enroll it with a token`);
}

function actorOf({ deviceId, incarnation, token, group }: PendingEnrollment, imported: boolean): string {
  if (token !== undefined) return tokenActor(token);
  if (incarnation > 1) return `device:${deviceId}`;
  if (group !== undefined) return `enrolment-group:${group.name}`;
  return imported ? 'allow-list' : 'vendor-root';
}
