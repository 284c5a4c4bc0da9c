// An IDevID in a token (spec/manufacture.md): a signing key with its own label, made in the token like the device's other keys, and
// certificate objects beside it (PKCS#11 2.40 section 4.6).
import { derInteger } from '@edgekeep/core/der';
import { parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import type { Signer } from '@edgekeep/core/signer';
import { HardwareError } from '../error.ts';
import type { Handle, Template } from './cryptoki.ts';
import { returnValueOf } from './cryptoki-error.ts';
import type { Cryptoki } from './module.ts';
import { defaultIdevidLabel, findMatching } from './token-keys.ts';
import type { TokenPlace } from './token-session.ts';
import { inTokenSession, tokenSigner } from './token-signer.ts';

export type IdevidPlace = Omit<TokenPlace, 'keyLabels'>;

const CERTIFICATE_BYTES_MAX = 8 * 1024;
const noRoomValues: readonly (string | undefined)[] = [
  'CKR_DEVICE_MEMORY',
  'CKR_ATTRIBUTE_TYPE_INVALID',
  'CKR_FUNCTION_NOT_SUPPORTED',
  'CKR_TEMPLATE_INCONSISTENT',
];

/** Its key; undefined when there is none and `make` is not set. Throws every code that begins with `pkcs11`. */
export function idevidSigner(place: IdevidPlace, { make }: { readonly make: boolean }): Promise<Signer | undefined> {
  return tokenSigner(place, labelOf(place), { make });
}

/** The IDevID and its issuer as the token stores them; empty when it stores none. */
export function readTokenChain(place: IdevidPlace): Promise<readonly Uint8Array[]> {
  return inTokenSession(place, 'reading the IDevID', (cryptoki, session) => {
    const leaf = readCertificate(cryptoki, session, labelOf(place));
    if (leaf === undefined) return [];
    const beside = [issuerLabel(place), ...keyLabels(place)];
    return [leaf, ...beside.flatMap((label) => readCertificate(cryptoki, session, label) ?? [])];
  });
}

/**
 * Replaces the stored certificates; false when the token takes none. Of the issuers it stores the nearest, and of the certificates of other
 * keys in the token at most two.
 */
export function writeTokenChain(place: IdevidPlace, chain: readonly Uint8Array[]): Promise<boolean> {
  const [leaf, ...others] = chain;
  const [issuer] = others.filter(isAuthority);
  const ofKeys = others.filter((der) => !isAuthority(der));
  if (leaf === undefined) throw new TypeError('no certificate to store');
  return inTokenSession(place, 'storing the IDevID', (cryptoki, session) => {
    try {
      writeCertificate(cryptoki, session, labelOf(place), leaf);
      if (issuer !== undefined) writeCertificate(cryptoki, session, issuerLabel(place), issuer);
      for (const [at, label] of keyLabels(place).entries()) {
        const der = ofKeys[at];
        if (der !== undefined) writeCertificate(cryptoki, session, label, der);
      }
      return true;
    } catch (error) {
      if (noRoomValues.includes(returnValueOf(error))) return false;
      throw error;
    }
  });
}

const labelOf = ({ idevidLabel = defaultIdevidLabel }: IdevidPlace) => idevidLabel;
const issuerLabel = (place: IdevidPlace) => `${labelOf(place)}-issuer`;
const keyLabels = (place: IdevidPlace) => [`${labelOf(place)}-signing`, `${labelOf(place)}-agreement`];
const isAuthority = (der: Uint8Array) => parseForeignCertificate(der).extensions.basicConstraints?.authority === true;

function certificateObjects(cryptoki: Cryptoki, session: Handle, label: string): readonly Handle[] {
  const { binding } = cryptoki;
  return findMatching(cryptoki, session, [
    { type: binding.CKA_CLASS, value: binding.CKO_CERTIFICATE },
    { type: binding.CKA_LABEL, value: label },
  ]);
}

function readCertificate(cryptoki: Cryptoki, session: Handle, label: string): Uint8Array | undefined {
  const { api, binding } = cryptoki;
  const [object, ...others] = certificateObjects(cryptoki, session, label);
  if (object === undefined) return undefined;
  const value = api.C_GetAttributeValue(session, object, [{ type: binding.CKA_VALUE }])[0]?.value;
  if (others.length > 0 || value === undefined || value.length > CERTIFICATE_BYTES_MAX)
    throw new HardwareError(
      'pkcs11-key-unexpected',
      `certificate ${label} of the token: not one, or not a certificate`,
    );
  return Uint8Array.from(value);
}

function writeCertificate(cryptoki: Cryptoki, session: Handle, label: string, der: Uint8Array): void {
  const { api, binding } = cryptoki;
  for (const old of certificateObjects(cryptoki, session, label)) api.C_DestroyObject(session, old);
  const { subject, issuer, serial } = parseForeignCertificate(der);
  const template: Template = [
    { type: binding.CKA_CLASS, value: binding.CKO_CERTIFICATE },
    { type: binding.CKA_CERTIFICATE_TYPE, value: binding.CKC_X_509 },
    { type: binding.CKA_TOKEN, value: true },
    { type: binding.CKA_PRIVATE, value: false },
    { type: binding.CKA_LABEL, value: label },
    { type: binding.CKA_ID, value: Buffer.from(label, 'utf8') },
    { type: binding.CKA_SUBJECT, value: Buffer.from(subject.der) },
    { type: binding.CKA_ISSUER, value: Buffer.from(issuer.der) },
    { type: binding.CKA_SERIAL_NUMBER, value: Buffer.from(derInteger(serial)) },
    { type: binding.CKA_VALUE, value: Buffer.from(der) },
  ];
  api.C_CreateObject(session, template);
}
