// Onboarding: a device proves its root of trust, then gets an identity here. A TPM proves that its endorsement key comes from a known
// vendor (certificate path), that the attestation key is in the same TPM (credential activation), and that the operational key was made on
// this device (quote over nonce and key). A DICE device proves the same by the certificate of its DeviceID and a chain from there to the
// key that signs. Any other device shows an IDevID or a one-time token and signs with its own key. Its tier says so: that a key is in a
// secure element is then the word of its manufacturer, or of the maker of the token.
import { addDevice, forgetIdevid } from '../registry/device-row.ts';
import type { ImaPieces } from '../attest/ima-pieces.ts';
import { randomBytes } from 'node:crypto';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { equalBytes, parseBase64url, toBase64url, toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, serialText } from '@edgekeep/core/identity/certificate';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { parsePublic, tpmName } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity, IdevidProofDocument } from '@edgekeep/wire/api/device';
import type { Kysely } from 'kysely';
import { wrapTargetOf } from '../attest/wrap-target.ts';
import { type Appraiser, isAuthentic, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import { appendEntry } from '../audit/append.ts';
import type { Authorities } from '../authority/authorities.ts';
import { HubError } from '../error.ts';
import { assertNotBlocked, isExpected } from './admission.ts';
import { allocateSite, joinEnrollmentGroup } from './join.ts';
import {
  assertAnchorGroupsOpen,
  type EnrollmentGroup,
  type EnrollmentProof,
  matchEnrollmentGroup,
  mayBeVouchedFor,
} from './match.ts';
import { recordChange } from '../registry/history.ts';
import type { EnrollmentSettings } from './settings.ts';
import { takeWitnessKey } from '../registry/witness-keys.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceRecord, DeviceRow, Tables } from '../store/schema.ts';
import { issueDeviceCertificate, recordCertificate } from '../authority/issue.ts';
import { proveDeviceId, type ProvenDeviceId } from '../attest/device-id-certificate.ts';
import { type ProvenEndorsement, proveEndorsement } from './endorsement.ts';
import { tokenUnfit } from './one-time-token.ts';
import {
  assertIdevidFree,
  assertIdOfSerial,
  proveIdevid,
  readShownIdevid,
  recordIdevid,
  refuseIdevidClone,
  type ShownIdevid,
  type TrustedIdevid,
} from './idevid.ts';
import {
  assertFreshToken,
  assertRootNotFormer,
  beginGeneration,
  comesBackByItself,
  findReturning,
} from './returning.ts';
import { attestationKeyFor, rootDigestOf } from '../attest/root-keys.ts';
import { type MakersWord, recordMakers } from '../vendor-root/device-makers.ts';
import type { MakerTrust, VendorRoots } from '../vendor-root/vendor-roots.ts';
import { findShownToken, type ShownToken, spendShownToken, tokenActor } from './shown-token.ts';

const credentialSecretLength = 32;

/** What the hub keeps on the connection between the two steps. */
export interface PendingEnrollment {
  readonly deviceId: string;
  readonly identity: DeviceIdentity;
  readonly rootSha256: string;
  readonly token: ShownToken | undefined;
  readonly proof: EnrollmentProof;
  /** The group that admits it. */
  readonly group: EnrollmentGroup | undefined;
  /** Which of the device's identities this will be; above 1 for a device that was wiped. */
  readonly generation: number;
  /** The identity from its manufacturer; the device must still prove the key. */
  readonly idevid: TrustedIdevid | undefined;
  /** What the certificates of makers say about it. */
  readonly makersWords: readonly MakersWord[];
  /** The address of the request. */
  readonly address: string;
  /** A secret that only the TPM with both keys can read; undefined for a device without a TPM. */
  readonly credentialSecret: Uint8Array | undefined;
}

export interface EnrollmentParts {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: EnrollmentSettings;
  readonly vendorRoots: Pick<VendorRoots, 'trust'>;
  readonly appraiser: Appraiser;
}

export interface EnrollmentStart {
  readonly pending: PendingEnrollment;
  readonly credential: { readonly blob: string; readonly encryptedSecret: string } | undefined;
}

/** Step one: checks that the device may enroll and makes the credential challenge. */
export async function startEnrollment(
  parts: EnrollmentParts,
  request: {
    deviceId: string;
    token?: string | undefined;
    identity: DeviceIdentity;
    idevid?: { readonly chain: readonly string[] } | undefined;
    address: string;
    nowMs: number;
  },
): Promise<EnrollmentStart> {
  const { database, settings, vendorRoots } = parts;
  const { deviceId, identity, address, nowMs } = request;
  const rootSha256 = rootDigestOf(identity);
  const tier = identity.kind;
  const newcomer = { deviceId, tier, rootSha256 };
  const returning = await findReturning(database.read, newcomer);
  const expected = await isExpected(database.read, newcomer);
  await assertRootNotFormer(database.read, newcomer, expected);
  const asker = { deviceId, tier, nowMs };
  const shown = request.token === undefined ? undefined : await findShownToken(database.read, request.token, asker);
  const idevid = await readIdevid(database.read, request, vendorRoots.trust('idevid'));
  // A path costs a stranger nothing and the hub up to 64 signatures: it is not verified for a device that needs a token anyway.
  const asksToken = settings.enrollment.requireToken && !expected && returning === undefined;
  if (
    asksToken &&
    shown === undefined &&
    idevid?.kind !== 'trusted' &&
    !(await mayBeVouchedFor(database.read, newcomer))
  )
    throw idevid?.kind === 'unknown' ? idevid.refusal : tokenUnfit();
  const judging = { trust: vendorRoots.trust('tpm'), judgedAt: settings.vendorRoots.endorsementJudgedAt, nowMs };
  const endorsement = tier === 'tpm' ? await proveEndorsement(database.read, identity, judging) : undefined;
  const deviceIdProof = tier === 'dice' ? proveDeviceId(identity, vendorRoots.trust('dice'), nowMs) : undefined;
  const proof = proofOf({ deviceId, tier, rootSha256, shown, endorsement, idevid, deviceIdProof });
  // A returning device keeps its group and its place in it; the order to wipe it vouches for hardware that is still the same.
  if (proof.idevidSha256 !== undefined) await assertNotBlocked(database.read, proof.idevidSha256, 'IDevID');
  const group = returning === undefined ? await matchEnrollmentGroup(database.read, proof) : undefined;
  const vouched = group !== undefined || !asksToken;
  // Without a certificate of a maker nothing shows where a key is, even if a manifest lists it.
  const proven = endorsement !== undefined || deviceIdProof !== undefined || idevid?.kind === 'trusted';
  const needsToken = !proven || !vouched || group?.terms.needsToken === true;
  if (needsToken && shown === undefined && idevid?.kind === 'unknown') throw idevid.refusal;
  const token = needsToken ? (shown ?? (await findShownToken(database.read, undefined, asker))) : shown;
  if (token?.kind === 'group' && token.group !== group?.name) {
    const by = group === undefined ? 'by no proof that it asks for' : `by the enrollment group ${group.name}`;
    const message = `this token is of the enrollment group ${token.group}, and ${deviceId} comes ${by}: enroll without it, or with a one-time token`;
    throw refused('token-of-another-group', message);
  }
  if (returning !== undefined && !comesBackByItself(tier)) await assertFreshToken(database.read, returning, token);
  const generation = (returning?.generation ?? 0) + 1;
  const trusted = idevid?.kind === 'trusted' ? idevid : undefined;
  const makersWords = [endorsement, deviceIdProof, trusted].flatMap((proven) => proven?.makersWord ?? []);
  const joining = { token, proof, group, idevid: trusted, makersWords };
  const common = { deviceId, identity, rootSha256, ...joining, address, generation };
  const named = expected || returning !== undefined || token !== undefined || group?.kind === 'manifest';
  if (trusted !== undefined && !named) await assertIdOfSerial(database.read, trusted, deviceId);
  if (identity.kind !== 'tpm' || endorsement === undefined) {
    // A device cannot show where its key is: a token for any tier must not let a key in a file pass for hardware.
    const tierOfToken = token?.kind === 'one-time' ? token.tier : group?.terms.tier;
    if (tier === 'secure-element' && tierOfToken !== 'secure-element' && trusted === undefined) {
      throw refused(
        'tier-not-vouched',
        'a secure element needs an enrollment token made for that tier: `edgekeep enroll token --tier secure-element`',
      );
    }
    attestationKeyFor(identity);
    wrapTargetOf(identity);
    return { pending: { ...common, credentialSecret: undefined }, credential: undefined };
  }
  const attestationPublic = parsePublic(parseBase64url(identity.attestationKey, 'attestationKey'));
  attestationKeyFor(identity);
  const credentialSecret = randomBytes(credentialSecretLength);
  const credential = makeCredential({
    endorsementPublic: endorsement.publicArea,
    name: tpmName(attestationPublic),
    secret: credentialSecret,
    randomBytes,
  });
  return {
    pending: { ...common, credentialSecret },
    credential: {
      blob: toBase64url(credential.credentialBlob),
      encryptedSecret: toBase64url(credential.encryptedSecret),
    },
  };
}

interface EnrollmentAnswer {
  readonly credentialSecret: Uint8Array | undefined;
  readonly certificateRequest: Uint8Array;
  readonly evidence: Evidence;
  readonly witnessKey: string;
  readonly idevidProof?: IdevidProofDocument | undefined;
  /** The connection on which it came. */
  readonly pieces: ImaPieces;
  readonly nonce: Uint8Array;
  readonly nowMs: number;
}

/** Step two: checks the proofs, registers the device and issues its operational certificate. */
export async function completeEnrollment(
  parts: EnrollmentParts,
  pending: PendingEnrollment,
  proof: EnrollmentAnswer,
): Promise<Certificate> {
  return untilReferencesStay(() => completeOnce(parts, pending, proof));
}

async function completeOnce(
  parts: EnrollmentParts,
  pending: PendingEnrollment,
  proof: EnrollmentAnswer,
): Promise<Certificate> {
  const { database, authorities, settings, appraiser } = parts;
  const { deviceId, identity, rootSha256, token, idevid, generation } = pending;
  const { nowMs } = proof;
  if (pending.credentialSecret !== undefined) {
    const answer = proof.credentialSecret ?? new Uint8Array(0);
    if (!equalBytes(answer, pending.credentialSecret)) {
      throw refused(
        'credential-not-activated',
        'the credential was not opened: the attestation key is not in the TPM of this endorsement key',
      );
    }
  }
  const witness = parseVerifierKey(proof.witnessKey);
  if (witness.type !== 'cosignature-v1')
    throw refused('witness-key-invalid', 'the witness key must be a cosignature/v1 verifier key');
  const { spki } = parseCertificateRequest(proof.certificateRequest);
  const row: DeviceRow = {
    id: deviceId,
    tier: identity.kind,
    state: 'registered',
    state_reason: generation === 1 ? 'enrolled' : 'enrolled again',
    identity: JSON.stringify(identity),
    root_sha256: rootSha256,
    witness_key: proof.witnessKey,
    enrolled_at: proof.nowMs,
    seen_at: proof.nowMs,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
  const { nonce, pieces } = proof;
  const expected = { qualifyingData: qualifyingData('certify', nonce, spki), nonce, nowMs: proof.nowMs, pieces };
  const { appraisal } = await appraiser.appraise(row, proof.evidence, expected);
  // The boot need not be healthy to register. The evidence must be this device's own, fresh, and about this key.
  if (!isAuthentic(appraisal)) {
    throw new HubError('enrollment-refused', 'the evidence does not prove the operational key', {
      reasons: appraisal.reasons,
    });
  }
  if (idevid !== undefined) {
    proveIdevid(idevid, proof.idevidProof, { nonce: proof.nonce, operationalSpki: spki, deviceId, identity });
    await refuseIdevidClone(database, idevid, { deviceId, address: pending.address, nowMs });
  }
  const order = {
    deviceId,
    spki,
    nowMs: proof.nowMs,
    lifeSeconds: settings.certificateSeconds,
    publicUrl: settings.publicUrl,
  };
  const certificate = await issueDeviceCertificate(authorities, order);
  await database.write(async (trx) => {
    const returning = await findReturning(trx, pending.proof);
    if ((returning?.generation ?? 0) + 1 !== generation)
      throw refused('device-id-taken', `${deviceId} has enrolled or was wiped meanwhile: begin again`);
    const imported = await isExpected(trx, pending.proof);
    await assertRootNotFormer(trx, pending.proof, imported);
    const { idevidSha256 } = pending.proof;
    if (idevidSha256 !== undefined) await assertNotBlocked(trx, idevidSha256, 'IDevID');
    const group = await admit(trx, pending, { returning, imported, settings, row });
    if (token !== undefined) await spendShownToken(trx, token, { deviceId, nowMs });
    await takeWitnessKey(trx, proof.witnessKey, deviceId);
    await recordCertificate(trx, certificate, deviceId);
    if (idevid !== undefined) {
      await assertIdevidFree(trx, idevid, deviceId);
      await recordIdevid(trx, idevid, { deviceId, nowMs });
    } else if (returning !== undefined) await forgetIdevid(trx, deviceId);
    await recordMakers(trx, deviceId, pending.makersWords);
    const newcomer = { deviceId, address: pending.address, nowMs };
    if (group !== undefined) await joinEnrollmentGroup(trx, group, newcomer);
    const site = returning === undefined ? await allocateSite(trx, group, newcomer) : returning.site;
    const actor = actorOf(pending, imported);
    const logIndex = await appendEntry(trx, {
      at: proof.nowMs,
      kind: 'device-enrolled',
      actor,
      subject: `device:${deviceId}`,
      data: {
        tier: identity.kind,
        rootSha256,
        witnessKey: proof.witnessKey,
        certificate: toHex(certificateDigest(certificate)),
        serial: serialText(certificate),
        ...(idevid === undefined ? {} : idevidData(idevid)),
        ...(group === undefined ? {} : { enrolmentGroup: group.name }),
        ...(site === null ? {} : { site }),
        ...(generation === 1 ? {} : { generation }),
      },
    });
    const birth = { from: returning?.state ?? 'none', to: row.state, reason: row.state_reason, actor };
    await recordChange(trx, { deviceId, logIndex, at: proof.nowMs, ...birth });
    await recordAppraisal(trx, deviceId, appraisal, proof.nowMs);
  });
  return certificate;
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
    if (!comesBackByItself(row.tier)) await assertFreshToken(trx, returning, pending.token);
    await beginGeneration(trx, returning, row);
    return undefined;
  }
  const group = await matchEnrollmentGroup(trx, pending.proof);
  assertStillVouched(pending, group, imported, settings);
  await addDevice(trx, row);
  return group;
}

function proofOf(known: {
  readonly deviceId: string;
  readonly tier: string;
  readonly rootSha256: string;
  readonly shown: ShownToken | undefined;
  readonly endorsement: ProvenEndorsement | undefined;
  readonly idevid: ShownIdevid | undefined;
  readonly deviceIdProof: ProvenDeviceId | undefined;
}): EnrollmentProof {
  const { deviceId, tier, rootSha256, shown, endorsement, deviceIdProof } = known;
  const idevid = known.idevid?.kind === 'trusted' ? known.idevid : undefined;
  return {
    deviceId,
    tier,
    rootSha256,
    endorsementAuthorities: endorsement?.authorities ?? [],
    // A DeviceID certificate is the initial identity from the chip's maker; an IDevID shown in addition takes precedence.
    idevidAuthorities: idevid?.authorities ?? deviceIdProof?.authorities ?? [],
    idevidSha256: idevid?.idevid.sha256 ?? deviceIdProof?.certificateSha256,
    tokenGroup: shown?.kind === 'group' ? shown.group : undefined,
    anchorGroups: [...(endorsement?.anchorGroups ?? []), ...(idevid?.anchorGroups ?? [])],
  };
}

async function readIdevid(
  db: Kysely<Tables>,
  request: { identity: DeviceIdentity; idevid?: { readonly chain: readonly string[] } | undefined; nowMs: number },
  trust: MakerTrust,
): Promise<ShownIdevid | undefined> {
  const { identity, idevid, nowMs } = request;
  return idevid === undefined ? undefined : readShownIdevid(db, idevid.chain, { tier: identity.kind, trust, nowMs });
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
    throw refused(
      'enrollment-group-changed',
      `${deviceId} came by another enrollment group than there is now: begin again`,
    );
  if (token === undefined && settings.enrollment.requireToken && !imported && group === undefined)
    throw refused('not-expected', `${deviceId} is no longer expected: enroll it with a token`);
}

function actorOf({ deviceId, generation, token, group }: PendingEnrollment, imported: boolean): string {
  if (token !== undefined) return tokenActor(token);
  if (generation > 1) return `device:${deviceId}`;
  if (group !== undefined) return `enrolment-group:${group.name}`;
  return imported ? 'allow-list' : 'vendor-root';
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
