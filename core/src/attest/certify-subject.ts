// What evidence for an operational key is about (spec/evidence.md, "Certifying a key"): the hub, the device with all its keys, and the
// connection. A hub that passes a device's messages on to another hub, or replaces one key in them, has evidence for nothing.
import { createHash } from 'node:crypto';
import { toBase64url } from '../bytes.ts';
import { encodeCanonicalJson, type Json } from '../json.ts';
import { qualifyingData } from './qualifying-data.ts';

/** On the wire; a request without it is one of the version before. */
export const certifyVersion = 'edgekeep-certify/v2' as const;

export type CertifyPurpose = 'enroll' | 'renew' | 'recover';

export interface CertifySubject {
  /** The origin of the hub's log. */
  readonly hub: string;
  readonly deviceId: string;
  /** The public keys of the root of trust, that to which model keys are sealed among them. */
  readonly keys: { readonly [name: string]: Json };
  /** The verifier key of the device's cosignatures; only an enrollment registers one. */
  readonly witnessKey?: string | undefined;
  /** DER SubjectPublicKeyInfo of the operational key. */
  readonly operationalSpki: Uint8Array;
  /** The TLS exporter of the connection; it covers the hub's certificate. */
  readonly exporter: Uint8Array;
}

/** The 32 bytes that evidence for this key covers. */
export function certifyQualifyingData(purpose: CertifyPurpose, nonce: Uint8Array, subject: CertifySubject): Uint8Array {
  const { hub, deviceId, keys, witnessKey, operationalSpki, exporter } = subject;
  const document = encodeCanonicalJson({
    type: certifyVersion,
    hub,
    deviceId,
    keys,
    ...(witnessKey === undefined ? {} : { witnessKey }),
    operationalKey: toBase64url(operationalSpki),
    exporter: toBase64url(exporter),
  });
  return qualifyingData(purpose, nonce, createHash('sha256').update(document).digest());
}
