// Step one of an enrollment (spec/enrollment.md, "Step one"): may this device enroll, and what must it prove? The numbers are those of the page.
import { randomBytes } from 'node:crypto';
import { agreementHpkeInfo, formerAgreementContext, wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import type { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { parseBase64url, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { hpkeSeal } from '@edgekeep/core/identity/hpke';
import { parseP256Point } from '@edgekeep/core/identity/p256-point';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { parsePublic, tpmName } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import { proveDeviceId, type ProvenDeviceId } from '../attest/device-id-certificate.ts';
import { enrollingKeyFor, rootDigestOf } from '../attest/root-keys.ts';
import { wrapTargetOf } from '../attest/wrap-target.ts';
import { incarnationOf } from '../registry/device-row.ts';
import { reservedProblem } from '../store/hub-names.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { assertNotBlocked, isExpected } from './admission.ts';
import { type ProvenEndorsement, proveEndorsement } from './endorsement.ts';
import {
  assertIdOfSerial,
  idevidDigestsOf,
  readShownIdevid,
  type ShownIdevid,
  tierByIdevid,
  type TrustedIdevid,
} from './idevid.ts';
import { type EnrollmentGroup, type EnrollmentProof, matchEnrollmentGroup, mayBeVouchedFor } from './match.ts';
import { tokenUnfit } from './one-time-token.ts';
import { type EnrollmentDependencies, type PendingEnrollment, refused } from './pending.ts';
import { assertFreshToken, assertRootNotFormer, provesHardware, findReturning } from './returning.ts';
import { findShownToken, type ShownToken } from './shown-token.ts';

const credentialSecretLength = 32;

export interface EnrollmentRequest {
  /** Undefined from an agent of the version before. */
  readonly version?: typeof certifyVersion | undefined;
  readonly deviceId: string;
  readonly token?: string | undefined;
  readonly identity: DeviceIdentity;
  readonly idevid?: { readonly chain: readonly string[] } | undefined;
  /** Where the request came from. */
  readonly address: string;
  readonly nowMs: number;
}

export interface EnrollmentStart {
  readonly pending: PendingEnrollment;
  readonly credential: { readonly blob: string; readonly encryptedSecret: string } | undefined;
  readonly agreement: { readonly encapsulatedKey: string; readonly ciphertext: string } | undefined;
}

/** Throws `enrollment-refused` with the reason of the rule that the device does not pass. Writes nothing. */
export async function startEnrollment(
  dependencies: EnrollmentDependencies,
  request: EnrollmentRequest,
): Promise<EnrollmentStart> {
  const { version, deviceId, identity, address } = request;
  const known = await recall(dependencies, request);
  const shown = { token: await readToken(dependencies, request), idevid: await readIdevid(dependencies, request) };
  await assertMayBeVouchedFor(dependencies, known, shown);
  const proven = await proveMakers(dependencies, request);
  const tier = tierOf(request, shown);
  const proof = proofOf({ ...known, tier }, shown, proven);
  const { returning } = known;
  const group = await groupFor(dependencies, returning, proof);
  const token = await tokenNeeded(dependencies, request, { known, shown, proven, group });
  assertTokenOfGroup(deviceId, token, group);
  await assertTokenAfterWipe(dependencies, request, returning, token);
  const { idevid } = shown;
  const trusted = idevid?.kind === 'trusted' ? idevid : undefined;
  await assertOwnId(dependencies, deviceId, { known, token, group, trusted });
  if (tier === 'secure-element') assertTierVouched(request, token, group, trusted);
  const { credentialSecret, credential } = challengeFor(identity, proven.endorsement);
  const { agreementSecret, agreement } = agreementFor(request);
  const makersWords = [proven.endorsement, proven.deviceId, trusted].flatMap((each) => each?.makersWord ?? []);
  const incarnation = incarnationOf(returning) + 1;
  const joining = {
    token,
    proof,
    group,
    agreementSecret,
    idevid: trusted,
    makersWords,
    incarnation,
    credentialSecret,
  };
  return { pending: { version, deviceId, identity, address, ...joining }, credential, agreement };
}

interface Known {
  readonly deviceId: string;
  readonly tier: DeviceIdentity['kind'];
  readonly rootSha256: string;
  /** The wiped device that comes back. */
  readonly returning: DeviceRecord | undefined;
  /** An import lists it. */
  readonly expected: boolean;
}

/** 1. What the registry knows of this device and of its root of trust. */
async function recall({ database }: EnrollmentDependencies, { deviceId, identity }: EnrollmentRequest): Promise<Known> {
  const newcomer = { deviceId, tier: identity.kind, rootSha256: rootDigestOf(identity) };
  const returning = await findReturning(database.read, newcomer);
  const reserved = returning === undefined ? await reservedProblem(database.read, 'device', deviceId) : undefined;
  if (reserved !== undefined) throw refused('name-reserved', reserved);
  const expected = await isExpected(database.read, newcomer);
  await assertRootNotFormer(database.read, newcomer, expected);
  return { ...newcomer, returning, expected };
}

interface Shown {
  readonly token: ShownToken | undefined;
  readonly idevid: ShownIdevid | undefined;
}

/** 2. The token, where one is shown. */
async function readToken(
  { database }: EnrollmentDependencies,
  { deviceId, identity, token, nowMs }: EnrollmentRequest,
): Promise<ShownToken | undefined> {
  if (token === undefined) return undefined;
  return findShownToken(database.read, token, { deviceId, tier: identity.kind, nowMs });
}

/** 3. The IDevID, where one is shown. */
async function readIdevid(
  { database, vendorRoots }: EnrollmentDependencies,
  { identity, idevid, nowMs }: EnrollmentRequest,
): Promise<ShownIdevid | undefined> {
  if (idevid === undefined) return undefined;
  return readShownIdevid(database.read, idevid.chain, {
    tier: identity.kind,
    trust: vendorRoots.trust('idevid'),
    nowMs,
  });
}

/** Whether the device needs a token if no maker and no group vouches for it. */
function asksToken({ settings }: EnrollmentDependencies, { expected, returning }: Known): boolean {
  return settings.enrollment.requireToken && !expected && returning === undefined;
}

/** 4. A path costs a stranger nothing and the hub up to 64 signatures: it is not verified for a device that needs a token anyway. */
async function assertMayBeVouchedFor(
  dependencies: EnrollmentDependencies,
  known: Known,
  { token, idevid }: Shown,
): Promise<void> {
  if (!asksToken(dependencies, known) || token !== undefined || idevid?.kind === 'trusted') return;
  if (await mayBeVouchedFor(dependencies.database.read, known)) return;
  throw idevid?.kind === 'unknown' ? idevid.refusal : tokenUnfit();
}

interface Proven {
  readonly endorsement: ProvenEndorsement | undefined;
  readonly deviceId: ProvenDeviceId | undefined;
}

/** 5. The paths to the makers of the hardware. */
async function proveMakers(
  { database, vendorRoots, settings }: EnrollmentDependencies,
  { identity, nowMs }: EnrollmentRequest,
): Promise<Proven> {
  const judging = { trust: vendorRoots.trust('tpm'), judgedAt: settings.vendorRoots.endorsementJudgedAt, nowMs };
  return {
    endorsement: identity.kind === 'tpm' ? await proveEndorsement(database.read, identity, judging) : undefined,
    deviceId: identity.kind === 'dice' ? proveDeviceId(identity, vendorRoots.trust('dice'), nowMs) : undefined,
  };
}

function proofOf({ deviceId, tier, rootSha256 }: Known, shown: Shown, proven: Proven): EnrollmentProof {
  const { endorsement, deviceId: chip } = proven;
  const idevid = shown.idevid?.kind === 'trusted' ? shown.idevid : undefined;
  return {
    deviceId,
    tier,
    rootSha256,
    endorsementAuthorities: endorsement?.authorities ?? [],
    // A DeviceID certificate is the initial identity from the chip's maker; an IDevID shown in addition takes precedence.
    idevidAuthorities: idevid?.authorities ?? chip?.authorities ?? [],
    idevidDigests: idevid === undefined ? (chip?.digests ?? []) : idevidDigestsOf(idevid),
    tokenGroup: shown.token?.kind === 'group' ? shown.token.group : undefined,
    anchorGroups: [...(endorsement?.anchorGroups ?? []), ...(idevid?.anchorGroups ?? [])],
  };
}

/**
 * 6. The group that admits a new device. A returning device keeps its group and its place in it; the order to wipe it vouches for hardware
 * that is still the same.
 */
async function groupFor(
  { database }: EnrollmentDependencies,
  returning: DeviceRecord | undefined,
  proof: EnrollmentProof,
): Promise<EnrollmentGroup | undefined> {
  await assertNotBlocked(database.read, proof.idevidDigests, 'IDevID');
  return returning === undefined ? matchEnrollmentGroup(database.read, proof) : undefined;
}

/** 7. The token that counts. Without a certificate of a maker nothing shows where a key is, even if a manifest lists it. */
async function tokenNeeded(
  dependencies: EnrollmentDependencies,
  { deviceId, nowMs }: EnrollmentRequest,
  found: {
    readonly known: Known;
    readonly shown: Shown;
    readonly proven: Proven;
    readonly group: EnrollmentGroup | undefined;
  },
): Promise<ShownToken | undefined> {
  const { known, group } = found;
  const { token: shown, idevid } = found.shown;
  const { endorsement, deviceId: chip } = found.proven;
  const vouched = group !== undefined || !asksToken(dependencies, known);
  const proven = endorsement !== undefined || chip !== undefined || idevid?.kind === 'trusted';
  const needsToken = !proven || !vouched || group?.terms.needsToken === true;
  if (!needsToken || shown !== undefined) return shown;
  if (idevid?.kind === 'unknown') throw idevid.refusal;
  return findShownToken(dependencies.database.read, undefined, { deviceId, tier: known.tier, nowMs });
}

/** 8. A token of a group is for that group's devices. */
function assertTokenOfGroup(deviceId: string, token: ShownToken | undefined, group: EnrollmentGroup | undefined): void {
  if (token?.kind === 'group' && token.group !== group?.name) {
    const by = group === undefined ? 'by no proof that it asks for' : `by the enrollment group ${group.name}`;
    const message = `this token is of the enrollment group ${token.group}, and ${deviceId} comes ${by}: enroll without it, or with a one-time token`;
    throw refused('token-of-another-group', message);
  }
}

/** 9. A wiped device whose root of trust can be copied needs a token that was made for it after the wipe. */
async function assertTokenAfterWipe(
  { database }: EnrollmentDependencies,
  { identity }: EnrollmentRequest,
  returning: DeviceRecord | undefined,
  token: ShownToken | undefined,
): Promise<void> {
  if (returning === undefined || provesHardware(identity.kind)) return;
  await assertFreshToken(database.read, returning, token);
}

/** 10. A device that nobody named takes the id of its serial number. */
async function assertOwnId(
  { database }: EnrollmentDependencies,
  deviceId: string,
  by: {
    readonly known: Known;
    readonly token: ShownToken | undefined;
    readonly group: EnrollmentGroup | undefined;
    readonly trusted: TrustedIdevid | undefined;
  },
): Promise<void> {
  const { known, token, group, trusted } = by;
  const named = known.expected || known.returning !== undefined || token !== undefined || group?.kind === 'manifest';
  if (trusted !== undefined && !named) await assertIdOfSerial(database.read, trusted, deviceId);
}

/** 11. An operator vouches for a secure element by a token, its manufacturer by certificates of both its keys; else its keys are in files. */
function tierOf({ identity, nowMs }: EnrollmentRequest, { token, idevid }: Shown): DeviceIdentity['kind'] {
  if (identity.kind !== 'secure-element' || idevid?.kind !== 'trusted') return identity.kind;
  const vouched = token?.kind === 'group' || token?.tier === 'secure-element';
  return vouched ? identity.kind : tierByIdevid(idevid, identity, nowMs);
}

/** 11. A device cannot show where its key is: a token for any tier must not let a key in a file pass for hardware. */
function assertTierVouched(
  { identity, nowMs }: EnrollmentRequest,
  token: ShownToken | undefined,
  group: EnrollmentGroup | undefined,
  trusted: TrustedIdevid | undefined,
): void {
  if (identity.kind !== 'secure-element') return;
  const tierOfToken = token?.kind === 'one-time' ? token.tier : token === undefined ? undefined : group?.terms.tier;
  const certified = trusted !== undefined && tierByIdevid(trusted, identity, nowMs) === 'secure-element';
  if (tierOfToken !== 'secure-element' && !certified) {
    throw refused(
      'tier-not-vouched',
      'a secure element needs an enrollment token made for that tier: `edgekeep enroll token --tier secure-element`',
    );
  }
}

/** 12. A secure element gets a secret that opens with its agreement key. */
function agreementFor({
  deviceId,
  identity,
  version,
}: EnrollmentRequest): Pick<EnrollmentStart, 'agreement'> & Pick<PendingEnrollment, 'agreementSecret'> {
  if (identity.kind !== 'secure-element') return { agreementSecret: undefined, agreement: undefined };
  const agreementSecret = randomBytes(credentialSecretLength);
  const { encapsulatedKey, ciphertext } = hpkeSeal({
    recipientPublicKey: parseP256Point(parseBase64url(identity.encryptionKey, 'encryptionKey')),
    ...(version === undefined
      ? { info: utf8(wrappedKeyHpkeInfo), aad: utf8(formerAgreementContext(deviceId)) }
      : { info: utf8(agreementHpkeInfo), aad: utf8(deviceId) }),
    plaintext: agreementSecret,
  });
  return {
    agreementSecret,
    agreement: { encapsulatedKey: toBase64url(encapsulatedKey), ciphertext: toBase64url(ciphertext) },
  };
}

/** 12. The keys are readable; a TPM gets a credential that only it can open. */
function challengeFor(
  identity: DeviceIdentity,
  endorsement: ProvenEndorsement | undefined,
): Pick<EnrollmentStart, 'credential'> & Pick<PendingEnrollment, 'credentialSecret'> {
  if (identity.kind !== 'tpm' || endorsement === undefined) {
    enrollingKeyFor(identity);
    wrapTargetOf(identity);
    return { credentialSecret: undefined, credential: undefined };
  }
  const attestationPublic = parsePublic(parseBase64url(identity.attestationKey, 'attestationKey'));
  enrollingKeyFor(identity);
  const credentialSecret = randomBytes(credentialSecretLength);
  const { credentialBlob, encryptedSecret } = makeCredential({
    endorsementPublic: endorsement.publicArea,
    name: tpmName(attestationPublic),
    secret: credentialSecret,
    randomBytes,
  });
  return {
    credentialSecret,
    credential: { blob: toBase64url(credentialBlob), encryptedSecret: toBase64url(encryptedSecret) },
  };
}
