// The online issuing CA: operational certificates for devices, and the hub's own server certificate. A device certificate is in the store,
// in the same transaction as its audit entry, before anybody sees it.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest, type Certificate, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem } from '@edgekeep/core/identity/pem';
import { deviceProfile, serverProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { clockSkewSeconds, type HubKeys } from '../keys.ts';
import type { WriteTransaction } from '../store/database.ts';

// The server key lives in memory only and is new at every start; a hub that runs longer than this without a restart must be restarted.
const serverLifeSeconds = 400 * 86_400;

export interface DeviceCertificateOrder {
  readonly deviceId: string;
  /** DER SubjectPublicKeyInfo whose possession was proven. */
  readonly spki: Uint8Array;
  readonly nowMs: number;
  readonly lifeSeconds: number;
}

export async function issueDeviceCertificate(keys: HubKeys, order: DeviceCertificateOrder): Promise<Certificate> {
  const nowSeconds = Math.floor(order.nowMs / 1_000);
  const template = deviceProfile(
    {
      spki: order.spki,
      serialRandom: randomBytes(16),
      notBeforeSeconds: nowSeconds - clockSkewSeconds,
      notAfterSeconds: nowSeconds + order.lifeSeconds,
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

/** A fresh key and certificate for the hub's listeners. */
export async function issueServerCredential(keys: HubKeys, names: readonly string[], nowMs: number) {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const template = serverProfile(
    {
      spki: encodeSpki(publicKey),
      serialRandom: randomBytes(16),
      notBeforeSeconds: nowSeconds - clockSkewSeconds,
      notAfterSeconds: nowSeconds + serverLifeSeconds,
    },
    keys.issuing,
    { dnsNames: names.filter((name) => isIP(name) === 0), ipAddresses: names.filter((name) => isIP(name) !== 0) },
  );
  const certificate = parseCertificate(await issueCertificate(template, keys.issuingSigner));
  return {
    certificateChainPem: chainPem(keys, certificate),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
