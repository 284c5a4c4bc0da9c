// Enrollment over Secure Transport (RFC 7030, spec/est.md): devices that support only TLS, HTTP and PKCS #10. They prove no root of trust,
// so they are registered with the tier `software` and never attest. A policy that requires an attestation gives them no key.
import { noteSeen } from '../registry/device-notes.ts';
import { addDevice, incarnationOf } from '../registry/device-row.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { isDeviceId } from '@edgekeep/core/identity/device-id';
import { attributeText, equalNames } from '@edgekeep/core/identity/distinguished-name';
import { attributeOid, extensionOid } from '@edgekeep/core/identity/oid';
import { type CertificateRequest, parseCertificateRequest } from '@edgekeep/core/identity/request';
import type { Extension } from '@edgekeep/core/identity/extensions';
import { appendEntry } from '../audit/append.ts';
import type { Authorities } from '../authority/authorities.ts';
import { HubError } from '../common/error.ts';
import { isExpected } from './admission.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { allocateSite, joinEnrollmentGroup } from './join.ts';
import { matchEnrollmentGroup } from './match.ts';
import { recordChange } from '../registry/history.ts';
import type { CertificateSettings } from './settings.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceRecord, DeviceRow } from '../store/tables/registry.ts';
import { issueDeviceCertificate, recordCertificate } from '../authority/issue.ts';
import type { DeviceConnection } from '../presence/connections.ts';
import { assertFreshToken, assertRootNotFormer, beginIncarnation, findReturning } from './returning.ts';
import { recordUse } from '../presence/lineage.ts';
import { findDevice, getDevice } from '../registry/states.ts';
import { announceDisconnects, assertCertificateStands, revokeOfDevices } from '../revocation/store.ts';
import { findShownToken, type ShownToken, spendShownToken, tokenActor } from './shown-token.ts';

const tier = 'software';
/** The value for the missing root of trust in the registry: none. */
const identity = JSON.stringify({ kind: 'est' });

export interface EstDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: CertificateSettings;
}

export interface TokenEnrollment {
  /** DER PKCS #10. */
  readonly request: Uint8Array;
  /** HTTP Basic: the device id or an empty name, and an enrollment token. */
  readonly user: string;
  readonly token: string;
  /** The address of the request. */
  readonly address: string;
  /** Of its connection. */
  readonly tls: TlsVersion;
  readonly nowMs: number;
}

/** An entry of the log names the older one. */
export type TlsVersion = '1.2' | '1.3';

/**
 * `simpleenroll` with a token: registers a device, or gives a new certificate to one that enrolled this way before and lost its key. A
 * token that is not valid for this is `token-refused`, for every reason.
 */
export async function enrollWithToken(
  dependencies: EstDependencies,
  enrollment: TokenEnrollment,
): Promise<Certificate> {
  const { nowMs, user } = enrollment;
  const request = parseCertificateRequest(enrollment.request);
  const deviceId = deviceIdIn(request);
  if (user !== '' && user !== deviceId) throw tokenRefused();
  const token = await findToken(dependencies, enrollment.token, deviceId, nowMs);
  const certificate = await issue(dependencies, deviceId, request, nowMs);
  await dependencies.database.write(async (trx) => {
    await spendShownToken(trx, token, { deviceId, nowMs });
    const known = await findDevice(trx, deviceId);
    const born = known === undefined || known.state === 'wiped';
    const joined = born ? await register(trx, request, { ...enrollment, deviceId, token }) : {};
    if (known !== undefined && !born) await replace(trx, known, token, nowMs);
    await recordCertificate(trx, certificate, deviceId);
    const actor = tokenActor(token);
    const logIndex = await appendEntry(trx, {
      at: nowMs,
      kind: born ? 'device-enrolled' : 'device-recovered',
      actor,
      subject: `device:${deviceId}`,
      data: {
        tier,
        by: 'est',
        ...olderTls(enrollment),
        certificate: toHex(certificateDigest(certificate)),
        serial: serialText(certificate),
        ...joined,
      },
    });
    if (!born) return;
    const change = { from: known?.state ?? 'none', to: 'registered', reason: 'enrolled by EST', actor };
    await recordChange(trx, { deviceId, logIndex, at: nowMs, ...change });
  });
  return certificate;
}

/** `simplereenroll`: the next certificate of a device that shows a valid one. `renewal-refused` has the reason when it gets none. */
export async function reenroll(
  dependencies: EstDependencies,
  shown: NonNullable<DeviceConnection['certificate']>,
  enrollment: Pick<TokenEnrollment, 'request' | 'nowMs' | 'address' | 'tls'>,
): Promise<Certificate> {
  const { nowMs } = enrollment;
  const { deviceId, sha256 } = shown;
  const request = parseCertificateRequest(enrollment.request);
  await assertCertificateStands(dependencies.database.read, sha256);
  const current = await readCertificate(dependencies.database, sha256);
  assertSameSubject(request, current);
  assertMayReenroll(await getDevice(dependencies.database.read, deviceId));
  const certificate = await issue(dependencies, deviceId, request, nowMs);
  await dependencies.database.write(async (trx) => {
    // Both may have changed while the certificate was made.
    await assertCertificateStands(trx, sha256);
    assertMayReenroll(await getDevice(trx, deviceId));
    await recordUse(trx, { deviceId, serial: shown.serial, address: enrollment.address, cannotBeCopied: false, nowMs });
    await recordCertificate(trx, certificate, deviceId, { renewedFrom: shown.serial });
    await noteSeen(trx, deviceId, nowMs);
    await appendEntry(trx, {
      at: nowMs,
      kind: 'certificate-renewed',
      actor: `device:${deviceId}`,
      subject: `device:${deviceId}`,
      data: {
        by: 'est',
        ...olderTls(enrollment),
        certificate: toHex(certificateDigest(certificate)),
        serial: serialText(certificate),
      },
    });
  });
  return certificate;
}

function olderTls({ tls }: Pick<TokenEnrollment, 'tls'>): { readonly tls?: TlsVersion } {
  return tls === '1.3' ? {} : { tls };
}

// spec/est.md, "Who may enroll": a device with a registered root of trust must not bypass it here.
function assertMayReenroll(device: DeviceRecord): void {
  assertNotCutOff(device);
  if (device.identity === identity) return;
  throw new HubError('renewal-refused', 'this device has a root of trust, which must prove its next key', {
    reasons: [{ code: 'evidence-required', message: `${device.id} (${device.tier}) renews by POST /v1/renew` }],
  });
}

function deviceIdIn({ subject }: CertificateRequest): string {
  const name = attributeText(subject, attributeOid.commonName) ?? '';
  if (isDeviceId(name)) return name;
  throw new HubError('request-invalid', 'the common name in the certificate request must be a device id', {
    reasons: [{ code: 'device-id-invalid', message: 'lower-case letters, digits and hyphens, 1 to 63' }],
  });
}

async function findToken(
  { database }: EstDependencies,
  text: string,
  deviceId: string,
  nowMs: number,
): Promise<ShownToken> {
  try {
    return await findShownToken(database.read, text, { deviceId, tier, nowMs });
  } catch (error) {
    if (error instanceof HubError && error.code === 'enrollment-refused') throw tokenRefused();
    throw error;
  }
}

function tokenRefused(): HubError {
  return new HubError(
    'token-refused',
    'the password must be an enrollment token that is unused, not expired and for this device; the user name must be the device id',
  );
}

async function issue(
  { authorities, settings }: EstDependencies,
  deviceId: string,
  { spki }: CertificateRequest,
  nowMs: number,
): Promise<Certificate> {
  const { certificateSeconds: lifeSeconds, publicUrl } = settings;
  return issueDeviceCertificate(authorities, { deviceId, spki, nowMs, lifeSeconds, publicUrl });
}

interface Arrival extends Pick<TokenEnrollment, 'nowMs' | 'address'> {
  readonly deviceId: string;
  readonly token: ShownToken;
}

// A new device, or one that was wiped and returns. Returns what the entry says about its group and site.
async function register(
  trx: WriteTransaction,
  { spki }: CertificateRequest,
  { deviceId, token, nowMs, address }: Arrival,
): Promise<Readonly<Record<string, string | number>>> {
  const rootSha256 = sha256Hex(spki);
  const newcomer = { deviceId, tier, rootSha256 };
  const returning = await findReturning(trx, newcomer);
  await assertRootNotFormer(trx, newcomer, await isExpected(trx, newcomer));
  const row: DeviceRow = {
    id: deviceId,
    tier,
    state: 'registered',
    state_reason: 'enrolled by EST',
    identity,
    root_sha256: rootSha256,
    witness_key: '',
    enrolled_at: nowMs,
    seen_at: nowMs,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
  if (returning !== undefined) {
    await assertFreshToken(trx, returning, token);
    await beginIncarnation(trx, returning, row);
    return { incarnation: incarnationOf(returning) + 1 };
  }
  const group = await matchEnrollmentGroup(trx, {
    ...newcomer,
    endorsementAuthorities: [],
    idevidAuthorities: [],
    idevidDigests: [],
    tokenGroup: token.kind === 'group' ? token.group : undefined,
    anchorGroups: [],
  });
  if (token.kind === 'group' && token.group !== group?.name)
    throw refused('token-of-another-group', `this token is of the enrollment group ${token.group}`);
  await addDevice(trx, row);
  if (group !== undefined) await joinEnrollmentGroup(trx, group, { deviceId, address, nowMs });
  const site = await allocateSite(trx, group, { deviceId, address, nowMs });
  return {
    ...(group === undefined ? {} : { enrolmentGroup: group.name }),
    ...(site === null ? {} : { site }),
  };
}

// The device lost its key, or its certificate has ended. Only a token for exactly this id proves that it is still the same device.
async function replace(trx: WriteTransaction, device: DeviceRecord, token: ShownToken, nowMs: number): Promise<void> {
  if (device.identity !== identity || token.kind !== 'one-time' || token.deviceId !== device.id)
    throw refused('device-id-taken', `${device.id} is enrolled already`);
  assertNotCutOff(device);
  await revokeOfDevices(trx, [device.id], { reason: 'superseded', nowMs });
  await announceDisconnects(trx, [{ deviceId: device.id, serial: undefined }]);
}

async function readCertificate(database: Database, sha256: string): Promise<Certificate> {
  const { der } = await database.read
    .selectFrom('certificate')
    .select('der')
    .where('sha256', '=', sha256)
    .executeTakeFirstOrThrow();
  return parseCertificate(der);
}

// RFC 7030 section 4.2.2. A request without alternative names counts as a request for the same ones: the first request had none either.
function assertSameSubject(request: CertificateRequest, current: Certificate): void {
  const nameIn = (all: readonly Extension[]) => all.find(({ oid }) => oid === extensionOid.subjectAltName)?.value;
  const asked = nameIn(request.extensions.all);
  const has = nameIn(current.extensions.all);
  const sameName = asked === undefined || (has !== undefined && Buffer.compare(asked, has) === 0);
  if (equalNames(request.subject, current.subject) && sameName) return;
  throw new HubError('renewal-refused', 'the request must have the subject of the certificate that it replaces', {
    reasons: [
      { code: 'subject-differs', message: 'subject and subject alternative name cannot change (RFC 7030 4.2.2)' },
    ],
  });
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
