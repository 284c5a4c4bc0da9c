// The online issuing CA: operational certificates for devices, and the hub's own server and OCSP responder certificates. A certificate is
// in the store, a device's in the same transaction as its audit entry, before anybody sees it.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest, type Certificate, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem } from '@edgekeep/core/identity/pem';
import { deviceProfile, ocspResponderProfile, serverProfile, type StatusUrls } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { clockSkewSeconds, type HubKeys } from '../keys.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { HubCertificateRow } from '../store/schema.ts';

// The server key lives in memory only and is new at every start; a hub that runs longer than this without a restart must be restarted.
const serverLifeSeconds = 400 * 86_400;
// Nobody can revoke a responder that need not be checked, so its life is short; a running hub makes the next one in time.
const ocspLifeSeconds = 7 * 86_400;

export interface DeviceCertificateOrder {
  readonly deviceId: string;
  /** DER SubjectPublicKeyInfo whose possession was proven. */
  readonly spki: Uint8Array;
  readonly nowMs: number;
  readonly lifeSeconds: number;
  /** The setting of this name; without it the certificate names no place to ask about revocation. */
  readonly publicUrl?: string | null;
}

export async function issueDeviceCertificate(keys: HubKeys, order: DeviceCertificateOrder): Promise<Certificate> {
  const nowSeconds = Math.floor(order.nowMs / 1_000);
  const template = deviceProfile(
    {
      spki: order.spki,
      serialRandom: randomBytes(16),
      notBeforeSeconds: nowSeconds - clockSkewSeconds,
      notAfterSeconds: nowSeconds + order.lifeSeconds,
      statusUrls: statusUrlsOf(order.publicUrl),
    },
    keys.issuing,
    order.deviceId,
  );
  return parseCertificate(await issueCertificate(template, keys.issuingSigner));
}

/** Records an issued certificate; the serial is the primary key, so no two certificates share one. */
export async function recordCertificate(
  trx: WriteTransaction,
  certificate: Certificate,
  deviceId: string,
): Promise<void> {
  await trx
    .insertInto('certificate')
    .values({
      serial: serialText(certificate),
      device_id: deviceId,
      sha256: toHex(certificateDigest(certificate)),
      der: certificate.der,
      not_before: certificate.notBeforeSeconds * 1_000,
      not_after: certificate.notAfterSeconds * 1_000,
      revoked_at: null,
      revocation_reason: null,
    })
    .execute();
}

/** Certificate and issuers as a TLS peer wants them: the leaf first, without the root. */
export function chainPem(keys: HubKeys, certificate: Certificate): string {
  return encodePem('CERTIFICATE', certificate.der) + encodePem('CERTIFICATE', keys.issuing.der);
}

/** Where a certificate's reader can ask whether it was revoked; nowhere when the hub has no public address. */
export function statusUrlsOf(publicUrl: string | null = null): StatusUrls | undefined {
  if (publicUrl === null) return undefined;
  const base = publicUrl.replace(/\/+$/, '');
  return { crl: `${base}/crl`, ocsp: `${base}/ocsp` };
}

export interface OwnCertificateOrder {
  readonly nowMs: number;
  readonly publicUrl?: string | null;
}

/** What a listener shows of itself, as Node's TLS takes it. */
export interface ServerCredential {
  readonly certificate: Certificate;
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

/** A fresh key and certificate for the hub's listeners. */
export async function issueServerCredential(
  keys: HubKeys,
  names: readonly string[],
  order: OwnCertificateOrder,
): Promise<ServerCredential> {
  const { privateKey, input } = newKeyFor(order, serverLifeSeconds);
  const template = serverProfile({ ...input, statusUrls: statusUrlsOf(order.publicUrl) }, keys.issuing, {
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
  });
  const certificate = parseCertificate(await issueCertificate(template, keys.issuingSigner));
  return {
    certificate,
    certificateChainPem: chainPem(keys, certificate),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** A fresh key and certificate for answering OCSP requests. */
export async function issueOcspCredential(keys: HubKeys, order: Pick<OwnCertificateOrder, 'nowMs'>) {
  const { privateKey, input } = newKeyFor(order, ocspLifeSeconds);
  const template = ocspResponderProfile(input, keys.issuing, commonNameOnly('Edgekeep OCSP responder'));
  const certificate = parseCertificate(await issueCertificate(template, keys.issuingSigner));
  return { certificate, signer: signerFromKey(privateKey) };
}

/** Records a certificate the hub gave to itself. */
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
    })
    .execute();
}

function newKeyFor({ nowMs }: Pick<OwnCertificateOrder, 'nowMs'>, lifeSeconds: number) {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - clockSkewSeconds,
    notAfterSeconds: nowSeconds + lifeSeconds,
  };
  return { privateKey, input };
}
