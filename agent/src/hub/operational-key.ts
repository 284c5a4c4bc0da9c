// The operational key: P-256, made again for every certificate, only in this process's memory. A restarted agent has none and gets another
// certificate by its root of trust.
import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { deviceIdOf } from '@edgekeep/core/identity/device-id';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { parsePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { signerFromKey } from '@edgekeep/core/signer';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import { AgentError } from '../error.ts';
import { Lifetime, type ClockReading } from './lifetime.ts';

const generate = promisify(generateKeyPair);

export interface OperationalKey {
  readonly privateKey: KeyObject;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** DER PKCS#10, proving possession. */
  readonly certificateRequest: Uint8Array;
}

/** A certificate and its key, ready for TLS. */
export interface Credential extends TlsClientCredential {
  /** From now, by the hub's clock, to the certificate's end. */
  readonly life: Lifetime;
  /** As the certificate says, Unix milliseconds. */
  readonly notAfterMs: number;
}

export async function makeOperationalKey(deviceId: string): Promise<OperationalKey> {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' });
  const certificateRequest = await encodeCertificateRequest(
    { subject: commonNameOnly(deviceId) },
    signerFromKey(privateKey),
  );
  return { privateKey, spki: encodeSpki(publicKey), certificateRequest };
}

/**
 * Joins key and certificate; `received` is the time of receipt, by this device and by the hub. Throws `hub-answer-invalid` when the
 * certificate is not for this key and device.
 */
export function credentialOf(
  key: OperationalKey,
  deviceId: string,
  certificateChain: string,
  received: { readonly at: ClockReading; readonly hubMs: number },
): Credential {
  const [der] = parsePem(certificateChain, 'CERTIFICATE');
  if (der === undefined) throw new AgentError('hub-answer-invalid', 'the hub sent no certificate');
  const leaf = parseCertificate(der);
  if (!new X509Certificate(der).checkPrivateKey(key.privateKey)) {
    throw new AgentError('hub-answer-invalid', 'the certificate is for another key than the one that was proven');
  }
  if (deviceIdOf(leaf) !== deviceId) {
    throw new AgentError('hub-answer-invalid', `the certificate is for ${deviceIdOf(leaf)}, not for ${deviceId}`);
  }
  const notAfterMs = leaf.notAfterSeconds * 1_000;
  return {
    certificateChainPem: certificateChain,
    privateKeyPem: pemOf(key.privateKey),
    life: new Lifetime(received.at, notAfterMs - received.hubMs),
    notAfterMs,
  };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
