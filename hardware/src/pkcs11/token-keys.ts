// The two P-256 keys of a device inside its token: one signs, one is for key agreement. They are made in the token, or found there by their
// label. A key that was ever outside is not accepted (PKCS#11 2.40 section 4.4, 4.9).
import type { KeyObject } from 'node:crypto';
import { equalBytes, parseHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { p256PointLength, parseP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError } from '../error.ts';
import type { Binding, Handle, Template } from './cryptoki.ts';
import type { Cryptoki } from './module.ts';

export type KeyUse = 'signing' | 'agreement';

/** CKA_LABEL of each key. Modules that map labels to places in the chip need other ones than the defaults. */
export type KeyLabels = Readonly<Record<KeyUse, string>>;
export const defaultKeyLabels: KeyLabels = { signing: 'edgekeep-signing', agreement: 'edgekeep-agreement' };

/** CKA_LABEL of a third key, for an IDevID (token-idevid.ts). */
export const defaultIdevidLabel = 'edgekeep-idevid';

export interface TokenKey {
  readonly handle: Handle;
  readonly publicKey: KeyObject;
}

/** CKA_EC_PARAMS: the object identifier of P-256 (RFC 5480 section 2.1.1.1), DER. */
const p256Parameters = parseHex('06082a8648ce3d030107', 'P-256 parameters');
/** More objects of one label than this code ever reads. */
const OBJECTS_MAX = 4;

/**
 * The key with this label; undefined when there is none. Throws `pkcs11-key-unexpected` for a key that does not meet the rules for a secure
 * element.
 */
export function findKey(cryptoki: Cryptoki, session: Handle, label: string): TokenKey | undefined {
  const { binding } = cryptoki;
  const [handle, ...otherPrivate] = findObjects(cryptoki, session, binding.CKO_PRIVATE_KEY, label);
  if (handle === undefined) return undefined;
  const [publicHandle, ...otherPublic] = findObjects(cryptoki, session, binding.CKO_PUBLIC_KEY, label);
  if (publicHandle === undefined) throw unexpected(label, 'its public half is not in the token');
  if (otherPrivate.length > 0 || otherPublic.length > 0) throw unexpected(label, 'there are several of that label');
  assertNeverOutside(cryptoki, session, handle, label);
  return { handle, publicKey: readPublicKey(cryptoki, session, publicHandle, label) };
}

/** Makes a key inside the token, where `findKey` has found none; `session` must be able to write. */
export async function generateKey(cryptoki: Cryptoki, session: Handle, use: KeyUse, label: string): Promise<void> {
  const { api, binding } = cryptoki;
  // The public half of a key whose making was interrupted: without its private half it is useless.
  for (const half of findObjects(cryptoki, session, binding.CKO_PUBLIC_KEY, label)) api.C_DestroyObject(session, half);
  const { publicTemplate, privateTemplate } = templates(binding, use, label);
  await api.C_GenerateKeyPairAsync(
    session,
    { mechanism: binding.CKM_EC_KEY_PAIR_GEN },
    publicTemplate,
    privateTemplate,
  );
}

function templates(binding: Binding, use: KeyUse, label: string) {
  const common = [
    { type: binding.CKA_TOKEN, value: true },
    { type: binding.CKA_LABEL, value: label },
    { type: binding.CKA_ID, value: Buffer.from(label, 'utf8') },
  ];
  const publicTemplate: Template = [...common, { type: binding.CKA_EC_PARAMS, value: Buffer.from(p256Parameters) }];
  if (use === 'signing') publicTemplate.push({ type: binding.CKA_VERIFY, value: true });
  const privateTemplate: Template = [
    ...common,
    { type: binding.CKA_PRIVATE, value: true },
    { type: binding.CKA_SENSITIVE, value: true },
    { type: binding.CKA_EXTRACTABLE, value: false },
    // One use per key: a signature is never the answer to a key agreement, nor the other way round.
    { type: binding.CKA_SIGN, value: use === 'signing' },
    { type: binding.CKA_DERIVE, value: use === 'agreement' },
  ];
  return { publicTemplate, privateTemplate };
}

function findObjects(cryptoki: Cryptoki, session: Handle, kind: number, label: string): readonly Handle[] {
  const { binding } = cryptoki;
  return findMatching(cryptoki, session, [
    { type: binding.CKA_CLASS, value: kind },
    { type: binding.CKA_KEY_TYPE, value: binding.CKK_EC },
    { type: binding.CKA_LABEL, value: label },
  ]);
}

/** The first objects of the token that have these attributes. */
export function findMatching({ api }: Cryptoki, session: Handle, template: Template): readonly Handle[] {
  api.C_FindObjectsInit(session, template);
  try {
    return api.C_FindObjects(session, OBJECTS_MAX);
  } finally {
    api.C_FindObjectsFinal(session);
  }
}

// CKA_NEVER_EXTRACTABLE is false for every key that was imported, even if its other attributes were changed afterwards.
function assertNeverOutside({ api, binding }: Cryptoki, session: Handle, key: Handle, label: string): void {
  const wanted: readonly (readonly [string, number, number])[] = [
    ['it is not sensitive', binding.CKA_SENSITIVE, 1],
    ['it is extractable', binding.CKA_EXTRACTABLE, 0],
    ['it was extractable once, or imported', binding.CKA_NEVER_EXTRACTABLE, 1],
  ];
  for (const [problem, type, value] of wanted) {
    const found = api.C_GetAttributeValue(session, key, [{ type }])[0]?.value;
    if (found?.length === 1 && found[0] === value) continue;
    throw unexpected(label, `${problem}: it may exist outside the token as well`);
  }
}

function readPublicKey({ api, binding }: Cryptoki, session: Handle, key: Handle, label: string): KeyObject {
  const attributes = api.C_GetAttributeValue(session, key, [
    { type: binding.CKA_EC_PARAMS },
    { type: binding.CKA_EC_POINT },
  ]);
  const [parameters, point] = attributes.map(({ value }) => value);
  if (parameters === undefined || point === undefined || !equalBytes(parameters, p256Parameters)) {
    throw unexpected(label, 'it is not on P-256');
  }
  try {
    return parseEcPoint(point);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw unexpected(label, cause.message);
  }
}

/** CKA_EC_POINT: the uncompressed point in a DER OCTET STRING; some modules leave the wrapping out. Throws `key-invalid`. */
export function parseEcPoint(value: Uint8Array): KeyObject {
  const wrapped = value.length === p256PointLength + 2 && value[0] === 0x04 && value[1] === p256PointLength;
  return parseP256Point(wrapped ? value.subarray(2) : value);
}

function unexpected(label: string, problem: string): HardwareError {
  return new HardwareError('pkcs11-key-unexpected', `key ${label} of the token: ${problem}`);
}
