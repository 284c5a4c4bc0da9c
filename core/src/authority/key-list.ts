// The key list of a hub (spec/key-list.md): which keys sign its log, its attestation results and what else it signs, each for one purpose and
// a time, numbered and signed by the root. A reader follows it as it follows roots.
import type { KeyObject } from 'node:crypto';
import { verify } from 'node:crypto';
import { z } from 'zod';
import { encodeVerifierKey, type VerifierKey, verifierKey } from '../audit/note.ts';
import { concat, parseBase64url, toBase64url, toHex, utf8 } from '../bytes.ts';
import { sha256Hex } from '../digest.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson } from '../json.ts';
import { hashOf, signatureAlgorithmOf, type Signer } from '../signer.ts';
import { type Certificate, certificateDigest, publicKeyOf } from '../identity/certificate.ts';
import { encodeSpki, parseSpki } from '../identity/public-key.ts';

/** Closed: a reader refuses a list with another purpose. `command` has a name; a hub of this version has no such key. */
export const keyPurposes = ['log', 'attestation-result', 'backup', 'command'] as const;
export type KeyPurpose = (typeof keyPurposes)[number];

/** One key a year for each purpose over the life of a root is less. */
export const KEYS_MAX = 128;
export const KEY_LIST_BYTES_MAX: number = 128 * 1024;
/** The most days between the date of a list and its end. */
export const KEY_LIST_DAYS_MAX = 1_096;
const daySeconds = 86_400;

/** When a key may have signed. `until` is the first second in which it may not; undefined: no end is set. */
export interface KeyValidity {
  readonly fromSeconds: number;
  readonly untilSeconds: number | undefined;
  /** Somebody else had the key: nothing counts that is not shown to be from before `until`. */
  readonly compromised: boolean;
}

export interface ListedKey extends KeyValidity {
  readonly purpose: KeyPurpose;
  readonly publicKey: KeyObject;
  /** The name under which a log signs; undefined for every other purpose. */
  readonly origin: string | undefined;
}

export interface KeyList {
  /** The verifier key of the hub's first log: it names the hub for ever. */
  readonly hub: string;
  readonly number: number;
  readonly issuedAtSeconds: number;
  /** From this second on the list is too old. */
  readonly validUntilSeconds: number;
  readonly keys: readonly ListedKey[];
}

/** What a root signs, without its number's dates. */
export type KeyListContent = Pick<KeyList, 'hub' | 'number' | 'keys'>;

// What the root signs begins with this, so that no other signature of a root is one on a key list, and the other way round.
const context = utf8('edgekeep-key-list/v1\n');

const seconds = z.int().nonnegative();
// With room for keys and signatures of ML-DSA.
const vkey = z.string().max(4_096);
export const listedKeySchema = z.strictObject({
  compromised: z.boolean(),
  from: seconds,
  key: z.string().max(8_192),
  origin: z.string().max(256).nullable(),
  purpose: z.enum(keyPurposes),
  until: seconds.nullable(),
});
const listSchema = z.strictObject({
  type: z.literal('edgekeep-key-list/v1'),
  hub: vkey,
  number: z.int().min(1),
  issuedAt: seconds,
  validUntil: seconds,
  keys: z.array(listedKeySchema).min(1).max(KEYS_MAX),
});
export const signedKeyListSchema = z.strictObject({
  type: z.literal('edgekeep-signed-key-list/v1'),
  /** base64url of the list's bytes. */
  list: z.string().max(KEY_LIST_BYTES_MAX),
  /** SHA-256 of the certificate of the root that signed. */
  root: z.string().regex(/^[0-9a-f]{64}$/),
  /** base64url: ECDSA in DER, Ed25519 raw. */
  signature: z.string().max(16_384),
});

/** The list's bytes, as they are signed behind the context string. Throws `key-list-invalid` for a list that no reader accepts. */
function encodeKeyList(list: KeyList): Uint8Array {
  const { hub, number, issuedAtSeconds, validUntilSeconds, keys } = list;
  assertKeys(keys);
  return encodeCanonicalJson({
    type: 'edgekeep-key-list/v1',
    hub,
    number,
    issuedAt: issuedAtSeconds,
    validUntil: validUntilSeconds,
    keys: keys.map(listedKeyJson),
  });
}

/** Reads the bytes of a list; throws `key-list-invalid`, `json-not-canonical` or `key-invalid`. Trust it only after `openKeyList`. */
function parseKeyList(bytes: Uint8Array): KeyList {
  const value = parseCanonicalJson(bytes, listSchema, 'key list', 'key-list-invalid');
  const keys = value.keys.map(listedKeyOf);
  assertKeys(keys);
  return {
    hub: value.hub,
    number: value.number,
    issuedAtSeconds: value.issuedAt,
    validUntilSeconds: value.validUntil,
    keys,
  };
}

/** The signed file. */
export async function signKeyList(list: KeyList, root: Certificate, signer: Signer): Promise<Uint8Array> {
  const bytes = encodeKeyList(list);
  return encodeCanonicalJson({
    type: 'edgekeep-signed-key-list/v1',
    list: toBase64url(bytes),
    root: toHex(certificateDigest(root)),
    signature: toBase64url(await signer.sign(concat(context, bytes))),
  });
}

export type KeyListVerdict =
  | {
      readonly kind: 'verified';
      readonly list: KeyList;
      /** SHA-256 of the list's bytes: its identity, because a signature has several spellings. */
      readonly digest: string;
      readonly root: Certificate;
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * Reads a signed list and verifies the signature of one of these roots, before the list itself is read; refuses one that is valid for too long. Whether
 * the list may follow a known one is `followKeyList`'s answer. Throws for broken bytes.
 */
export function openKeyList(file: Uint8Array, roots: readonly Certificate[]): KeyListVerdict {
  if (file.length > KEY_LIST_BYTES_MAX)
    throw new CoreError('bytes-too-long', `a key list of ${file.length} bytes, at most ${KEY_LIST_BYTES_MAX} are read`);
  const signed = parseCanonicalJson(file, signedKeyListSchema, 'signed key list', 'key-list-invalid');
  const root = roots.find((each) => toHex(certificateDigest(each)) === signed.root);
  if (root === undefined) return { kind: 'refused', reasons: [`no root ${signed.root} is trusted here`] };
  const bytes = parseBase64url(signed.list, 'key list');
  const key = publicKeyOf(root);
  const signature = parseBase64url(signed.signature, 'signature of the key list');
  if (!verify(hashOf(signatureAlgorithmOf(key)), concat(context, bytes), key, signature))
    return { kind: 'refused', reasons: ['the root did not sign this key list'] };
  const list = parseKeyList(bytes);
  if (list.validUntilSeconds - list.issuedAtSeconds > KEY_LIST_DAYS_MAX * daySeconds)
    return { kind: 'refused', reasons: [`the key list is valid for more than ${KEY_LIST_DAYS_MAX} days`] };
  return { kind: 'verified', list, digest: sha256Hex(bytes), root };
}

/** Whether a key may have signed at this second. */
export function isValidAt({ fromSeconds, untilSeconds = Infinity }: KeyValidity, atSeconds: number): boolean {
  return atSeconds >= fromSeconds && atSeconds < untilSeconds;
}

/** The keys of one purpose, in the list's order: oldest first. */
export function keysFor({ keys }: Pick<KeyList, 'keys'>, purpose: KeyPurpose): readonly ListedKey[] {
  return keys.filter((key) => key.purpose === purpose);
}

/** The verifier key of a listed log; throws `key-list-invalid` for a key of another purpose. */
export function logKeyOf({ origin, publicKey }: Pick<ListedKey, 'origin' | 'publicKey'>): VerifierKey {
  if (origin === undefined) throw invalid('a key without an origin is no log key');
  return verifierKey(origin, publicKey, 'ed25519');
}

/** The file in a root's folder with the last list of a hub that it signed. */
export function keptKeyListName(hub: string): string {
  return `key-list-${sha256Hex(utf8(hub)).slice(0, 16)}.json`;
}

/** SHA-256 of the SubjectPublicKeyInfo, hex: how people and pages name a key. */
export function keyIdOf({ publicKey }: Pick<ListedKey, 'publicKey'>): string {
  return sha256Hex(encodeSpki(publicKey));
}

export function listedKeyJson(key: ListedKey): { readonly [name: string]: Json } {
  return {
    compromised: key.compromised,
    from: key.fromSeconds,
    key: toBase64url(encodeSpki(key.publicKey)),
    origin: key.origin ?? null,
    purpose: key.purpose,
    until: key.untilSeconds ?? null,
  };
}

export function listedKeyOf(value: z.infer<typeof listedKeySchema>): ListedKey {
  const key: ListedKey = {
    purpose: value.purpose,
    publicKey: parseSpki(parseBase64url(value.key, 'listed key')),
    origin: value.origin ?? undefined,
    fromSeconds: value.from,
    untilSeconds: value.until ?? undefined,
    compromised: value.compromised,
  };
  assertForm(key);
  return key;
}

function assertForm(key: ListedKey): void {
  const { purpose, origin, publicKey, fromSeconds, untilSeconds, compromised } = key;
  if ((purpose === 'log') !== (origin !== undefined)) throw invalid('a log has an origin, and no other key has one');
  if (purpose === 'log') encodeVerifierKey(logKeyOf(key));
  else signatureAlgorithmOf(publicKey);
  if (untilSeconds !== undefined && untilSeconds < fromSeconds) throw invalid('a key ends before it begins');
  if (compromised && untilSeconds === undefined) throw invalid('a compromised key has an end');
}

/** A key signs for one purpose, and a log has one key: no key and no origin occurs twice. */
export function assertKeys(keys: readonly ListedKey[]): void {
  for (const key of keys) assertForm(key);
  const ids = keys.map(keyIdOf);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) throw invalid(`the key ${twice} occurs twice`);
  const origins = keys.flatMap(({ origin }) => origin ?? []);
  const repeated = origins.find((origin, at) => origins.indexOf(origin) !== at);
  if (repeated !== undefined) throw invalid(`two logs have the origin ${repeated}`);
}

function invalid(problem: string): CoreError {
  return new CoreError('key-list-invalid', `key list: ${problem}`);
}
