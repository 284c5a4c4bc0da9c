// The form of the hub's sealed keys in the store, spec/platform-secrets.md, "Keys in the store". It is data from outside: an attacker who can
// write the database chooses every byte.
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { p256PointLength } from '@edgekeep/core/identity/p256-point';
import { encodeCanonicalJson, type Json, parseCanonicalJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { keyNamePattern } from '../secrets/key-store.ts';
import { kekLength } from './key-encryption-key.ts';

const KEY_DOCUMENT_BYTES_MAX = 512 * 1024;
export const NODES_MAX = 32;
export const INVITATIONS_MAX = 8;
const ENTRIES_MAX = 64;
/** KEKs whose successors a node that slept can still follow. */
export const FOLLOWED_MAX = 64;
const SECRET_BYTES_MAX = 4_096;
const gcmOverhead = 28;
const tagLength = 16;
const ed25519Length = 32;
const SPKI_BYTES_MAX = 128;

const bytes = (min: number, max = min) =>
  z.string().refine((text) => text.length <= Math.ceil((max * 4) / 3) && hasLength(text, min, max), {
    error: `expected ${min === max ? min : `${min} to ${max}`} bytes as base64url`,
  });

function hasLength(text: string, min: number, max: number): boolean {
  try {
    const { length } = parseBase64url(text, 'bytes');
    return length >= min && length <= max;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return false;
  }
}

export const nodeId = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hex digits in lower case');
export const nodeName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/, 'expected 1 to 63 of a-z, 0-9, dot and dash');
const signature = bytes(64);

const nodeSchema = z.strictObject({
  id: nodeId,
  name: nodeName,
  /** DER SPKI of its P-256 key. */
  publicKey: bytes(1, SPKI_BYTES_MAX),
  /** The KEK, HPKE: encapsulated key, ciphertext, tag. */
  sealed: bytes(p256PointLength + kekLength + tagLength),
});

const invitationSchema = z.strictObject({
  /** Of the code, public. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  name: nodeName,
  /** Ed25519: the code proves that it has its private key. */
  publicKey: bytes(ed25519Length),
  expiresAt: z.int().min(0),
  /** The node that used it; until it expires that node may ask for the same answer again. */
  usedBy: nodeId.nullable(),
});

const schema = z
  .strictObject({
    type: z.literal('edgekeep-hub-keys/v1'),
    hub: z.string().regex(/^[0-9a-f]{32}$/),
    version: z.int().min(1),
    kek: z.int().min(1),
    /** Ed25519, of the KEK. */
    publicKey: bytes(ed25519Length),
    nodes: z.array(nodeSchema).min(1).max(NODES_MAX),
    invitations: z.array(invitationSchema).max(INVITATIONS_MAX),
    entries: z
      .array(
        z.strictObject({
          name: z.string().regex(keyNamePattern),
          sealed: bytes(gcmOverhead + 1, gcmOverhead + SECRET_BYTES_MAX),
        }),
      )
      .min(1)
      .max(ENTRIES_MAX),
    /** Each KEK is vouched for by the one before it, oldest first. */
    followed: z
      .array(z.strictObject({ kek: z.int().min(2), publicKey: bytes(ed25519Length), signature }))
      .max(FOLLOWED_MAX),
    signature,
  })
  .refine(({ nodes }) => isUnique(nodes.map(({ id }) => id)), { error: 'two nodes have the same id' })
  .refine(({ nodes }) => isUnique(nodes.map(({ name }) => name)), { error: 'two nodes have the same name' })
  .refine(({ entries }) => isUnique(entries.map(({ name }) => name)), { error: 'two entries have the same name' })
  .refine(({ invitations }) => isUnique(invitations.map(({ id }) => id)), { error: 'two codes have the same id' });

const isUnique = (names: readonly string[]) => new Set(names).size === names.length;

export type KeyDocument = z.infer<typeof schema>;
export type Invitation = KeyDocument['invitations'][number];
export type NodeSlot = KeyDocument['nodes'][number];
export type KeyDocumentContent = Omit<KeyDocument, 'signature'>;

/** Throws `sealed-keys-invalid` for everything that is not such a document. */
export function parseKeyDocument(document: Uint8Array): KeyDocument {
  if (document.length > KEY_DOCUMENT_BYTES_MAX)
    throw new HubError('sealed-keys-invalid', `the keys in the store have ${document.length} bytes: too many`);
  try {
    return parseCanonicalJson(document, schema, 'the keys in the store');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('sealed-keys-invalid', cause.message, { cause });
  }
}

/** Throws `sealed-keys-invalid` for a document that no reader would accept. */
export function encodeKeyDocument(document: KeyDocument): Uint8Array {
  const encoded = encodeCanonicalJson(plain(document));
  parseKeyDocument(encoded);
  return encoded;
}

/** What the signature is over: everything else. */
export function signedContent(document: KeyDocumentContent & { readonly signature?: string }): Json {
  return plain({ ...document, signature: undefined });
}

function plain(value: object): Json {
  const text: Json = JSON.parse(JSON.stringify(value));
  return text;
}

/** What a node's slot is bound to. */
export function slotPlace({ hub, kek }: { readonly hub: string; readonly kek: number }, id: string): Json {
  return { hub, kek, node: id };
}

/** What a KEK vouches for. */
export function followedContent(hub: string, next: { readonly kek: number; readonly publicKey: string }): Json {
  return { type: 'edgekeep hub keys followed v1', hub, kek: next.kek, publicKey: next.publicKey };
}

/** What an entry's ciphertext is bound to. */
export function entryContext(hub: string, name: string): Uint8Array {
  return encodeCanonicalJson({ type: 'edgekeep hub key v1', hub, name });
}
