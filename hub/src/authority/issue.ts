// The online issuing CA: operational certificates for devices, and the hub's own server and OCSP responder certificates. A certificate is
// stored before anybody sees it; a device's certificate in the same transaction as its audit entry.
import { addCertificate } from '../revocation/certificates.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { toHex } from '@edgekeep/core/bytes';
import { parseAddress } from '@edgekeep/core/canonical/network';
import { certificateDigest, type Certificate, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { deviceProfile, ocspResponderProfile, serverProfile, type StatusUrls } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import type { Authorities } from './authorities.ts';
import { issuerIdOf, type IssuingAuthority } from './state.ts';
import { HubError } from '../common/error.ts';
import { clockSkewSeconds } from '../secrets/hub-keys.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { HubCertificateRow } from '../store/tables/authority.ts';
import { type CertificateOrigin, nextInLineage } from '../presence/lineage.ts';

// The server key is in memory only and is new at every start; a running hub makes the next one in time.
const serverLifeSeconds = 400 * 86_400;
// Nobody can revoke a responder certificate that need not be checked, so its life is short; a running hub makes the next one in time.
const ocspLifeSeconds = 7 * 86_400;

export interface DeviceCertificateOrder {
  readonly deviceId: string;
  /** DER SubjectPublicKeyInfo with proven possession. */
  readonly spki: Uint8Array;
  readonly nowMs: number;
  readonly lifeSeconds: number;
  /** The setting of this name; without it the certificate names no address for revocation status. */
  readonly publicUrl?: string | null;
}

export async function issueDeviceCertificate(
  authorities: Authorities,
  order: DeviceCertificateOrder,
): Promise<Certificate> {
  const active = authorities.activeFor('device');
  const nowSeconds = Math.floor(order.nowMs / 1_000);
  const template = deviceProfile(
    {
      spki: order.spki,
      serialRandom: randomBytes(16),
      notBeforeSeconds: nowSeconds - clockSkewSeconds,
      notAfterSeconds: endWithin(active.certificate, nowSeconds, order.lifeSeconds),
      statusUrls: statusUrlsOf(active, order.publicUrl),
    },
    active.certificate,
    order.deviceId,
  );
  return parseCertificate(await issueCertificate(template, active.signer));
}

/**
 * Records an issued certificate; the serial is the primary key, so no two certificates share one. Throws `renewal-refused` for a key that
 * was certified for another device, or for an identity of this one that has ended: that key was on a wiped disk.
 */
export async function recordCertificate(
  trx: WriteTransaction,
  certificate: Certificate,
  deviceId: string,
  origin: CertificateOrigin = {},
): Promise<void> {
  await assertIssuerStands(trx, certificate);
  const { incarnation, state } = await trx
    .selectFrom('device')
    .select(['generation as incarnation', 'state'])
    .where('id', '=', deviceId)
    .executeTakeFirstOrThrow();
  if (state === 'wiped' || (origin.incarnation ?? incarnation) !== incarnation) throw identityEnded(deviceId);
  const spki = sha256Hex(certificate.spki);
  const { workload = null } = origin;
  await assertKeyIsOwn(trx, spki, { deviceId, incarnation, workload });
  const position = await nextInLineage(trx, deviceId, origin);
  await addCertificate(trx, {
    serial: serialText(certificate),
    device_id: deviceId,
    workload,
    sha256: toHex(certificateDigest(certificate)),
    der: certificate.der,
    not_before: certificate.notBeforeSeconds * 1_000,
    not_after: certificate.notAfterSeconds * 1_000,
    revoked_at: null,
    revocation_reason: null,
    issuer: issuerIdOf(certificate),
    spki_sha256: spki,
    generation: incarnation,
    ...position,
  });
}

async function assertKeyIsOwn(
  trx: WriteTransaction,
  spki: string,
  own: { readonly deviceId: string; readonly incarnation: number; readonly workload: string | null },
): Promise<void> {
  const other = await trx
    .selectFrom('certificate')
    .select('device_id')
    .where('spki_sha256', '=', spki)
    .where((eb) =>
      eb.or([
        eb('device_id', '!=', own.deviceId),
        eb('generation', '!=', own.incarnation),
        eb('workload', 'is distinct from', own.workload),
      ]),
    )
    .executeTakeFirst();
  if (other === undefined) return;
  const message = 'this key was certified for another identity: make a new one';
  throw new HubError('renewal-refused', message, { reasons: [{ code: 'operational-key-used', message }] });
}

function identityEnded(deviceId: string): HubError {
  const message = `${deviceId} was wiped in the meantime: with an empty state folder it enrolls again`;
  return new HubError('renewal-refused', message, { reasons: [{ code: 'identity-ended', message }] });
}

// The issuing CA may have been revoked while the certificate was made: then nobody may see it.
async function assertIssuerStands(trx: WriteTransaction, certificate: Certificate): Promise<void> {
  const issuer = await trx
    .selectFrom('issuing_authority')
    .select('status')
    .where('id', '=', issuerIdOf(certificate))
    .executeTakeFirst();
  if (issuer?.status === 'active' || issuer?.status === 'retiring' || issuer?.status === 'next') return;
  throw new HubError('conflict', 'the issuing CA was replaced while this certificate was made: request it again');
}

/** Where a relying party can ask whether it was revoked; empty when the hub has no public address. */
export function statusUrlsOf(
  { id }: Pick<IssuingAuthority, 'id'>,
  publicUrl: string | null = null,
): StatusUrls | undefined {
  if (publicUrl === null) return undefined;
  const base = publicUrl.replace(/\/+$/, '');
  return { crl: `${base}/crl/${id}`, ocsp: `${base}/ocsp` };
}

export interface OwnCertificateOrder {
  readonly nowMs: number;
  readonly publicUrl?: string | null;
}

/** The credential of a listener, in the form of Node's TLS. */
export interface ServerCredential {
  readonly certificate: Certificate;
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

/** A new key and certificate for the hub's listeners. */
export async function issueServerCredential(
  authorities: Authorities,
  names: readonly string[],
  order: OwnCertificateOrder,
): Promise<ServerCredential> {
  const active = authorities.activeFor('server');
  const { privateKey, input } = newKeyFor(active, order, serverLifeSeconds);
  const template = serverProfile({ ...input, statusUrls: statusUrlsOf(active, order.publicUrl) }, active.certificate, {
    dnsNames: names.filter((name) => parseAddress(name) === undefined),
    ipAddresses: names.filter((name) => parseAddress(name) !== undefined),
  });
  const certificate = parseCertificate(await issueCertificate(template, active.signer));
  return {
    certificate,
    certificateChainPem: authorities.serverChainPem(certificate),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** A new key and certificate for signing OCSP responses. */
export async function issueOcspCredential(issuing: IssuingAuthority, order: Pick<OwnCertificateOrder, 'nowMs'>) {
  const { privateKey, input } = newKeyFor(issuing, order, ocspLifeSeconds);
  const template = ocspResponderProfile(input, issuing.certificate, commonNameOnly('Edgekeep OCSP responder'));
  const certificate = parseCertificate(await issueCertificate(template, issuing.signer));
  return { certificate, signer: signerFromKey(privateKey) };
}

/** Records a certificate that the hub issued to itself. */
export async function recordHubCertificate(
  trx: WriteTransaction,
  certificate: Certificate,
  kind: HubCertificateRow['kind'],
): Promise<void> {
  await trx
    .insertInto('hub_certificate')
    .values({
      serial: serialText(certificate),
      kind,
      sha256: toHex(certificateDigest(certificate)),
      der: certificate.der,
      not_before: certificate.notBeforeSeconds * 1_000,
      not_after: certificate.notAfterSeconds * 1_000,
      issuer: issuerIdOf(certificate),
    })
    .execute();
}

// No certificate outlives its issuer, because the path through it would end first. An issuer that has ended raises alarms; a hub must start
// under it, so that somebody can install the next.
export function endWithin({ notAfterSeconds }: Certificate, nowSeconds: number, lifeSeconds: number): number {
  const end = nowSeconds + lifeSeconds;
  return notAfterSeconds > nowSeconds ? Math.min(end, notAfterSeconds) : end;
}

/** When to replace a certificate of the hub. */
export function isTwoThirdsOver(
  { notBeforeSeconds, notAfterSeconds }: Pick<Certificate, 'notBeforeSeconds' | 'notAfterSeconds'>,
  nowMs: number,
): boolean {
  return nowMs / 1_000 > notBeforeSeconds + ((notAfterSeconds - notBeforeSeconds) * 2) / 3;
}

function newKeyFor(
  { certificate }: IssuingAuthority,
  { nowMs }: Pick<OwnCertificateOrder, 'nowMs'>,
  lifeSeconds: number,
) {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - clockSkewSeconds,
    notAfterSeconds: endWithin(certificate, nowSeconds, lifeSeconds),
  };
  return { privateKey, input };
}
