// Opens and writes the hub's sealed keys in the store, spec/platform-secrets.md, "Keys in the store". What a reader must refuse is here.
import type { KeyObject } from 'node:crypto';
import { equalBytes, parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { encodeSpki, parseSpki } from '@edgekeep/core/identity/public-key';
import { createPublicKey } from 'node:crypto';
import { HubError } from '../common/error.ts';
import { seal, unseal } from '../secrets/sealing.ts';
import {
  entryContext,
  FOLLOWED_MAX,
  followedContent,
  type KeyDocument,
  type KeyDocumentContent,
  type NodeSlot,
  signedContent,
  slotPlace,
} from './key-document.ts';
import { isSigned, KeyEncryptionKey, openSlot } from './key-encryption-key.ts';
import type { KnownKeys } from './node-file.ts';

export interface NodeKey {
  readonly id: string;
  /** P-256. */
  readonly key: KeyObject;
}

/** What a change writes: everything that is not computed. */
export type KeyDocumentEdit = Partial<Pick<KeyDocumentContent, 'nodes' | 'invitations' | 'entries'>>;

/**
 * The KEK of a document, which the caller disposes of. Throws `keys-put-back` for one that is older than what this node has seen,
 * `node-unknown` where this node gets no KEK, `sealed-keys-invalid` for a forged one.
 */
export function openDocument(document: KeyDocument, node: NodeKey, known: KnownKeys): KeyEncryptionKey {
  assertNewer(document, known);
  assertFollowed(document, known);
  const publicKey = parseBase64url(document.publicKey, 'public key');
  if (!isSigned(publicKey, signedContent(document), parseBase64url(document.signature, 'signature')))
    throw forged('their signature is wrong');
  const slot = document.nodes.find(({ id }) => id === node.id);
  if (slot === undefined) throw unknownNode();
  const kek = openSlot(node.key, parseBase64url(slot.sealed, 'sealed key'), slotPlace(document, node.id));
  if (kek === undefined) throw unknownNode();
  const opened = new KeyEncryptionKey(document.kek, kek);
  if (equalBytes(opened.publicKey, publicKey)) return opened;
  opened[Symbol.dispose]();
  throw forged('they are under another key-encryption key');
}

function assertNewer(document: KeyDocument, known: KnownKeys): void {
  if (document.hub !== known.hub) throw forged('they are those of another hub');
  if (document.version >= known.version) return;
  throw new HubError(
    'keys-put-back',
    `the store has version ${document.version} of the hub's keys, and this node has used version ${known.version}: somebody put older ones back, or the database was restored. After a restore of yours, set "version" in keys/node.json of each node to ${document.version} (docs/nodes.md)`,
  );
}

// Each KEK vouches for the next: somebody who writes the database and knows the nodes' public keys cannot give them a KEK of their own.
function assertFollowed({ hub, kek, publicKey, followed }: KeyDocument, known: KnownKeys): void {
  let trusted: { readonly kek: number; readonly publicKey: string } = known;
  for (const next of followed) {
    if (next.kek <= trusted.kek) continue;
    const signed = isSigned(
      parseBase64url(trusted.publicKey, 'public key'),
      followedContent(hub, next),
      parseBase64url(next.signature, 'signature'),
    );
    if (next.kek !== trusted.kek + 1 || !signed) throw forged(`nobody vouches for key-encryption key ${next.kek}`);
    trusted = next;
  }
  if (trusted.kek !== kek || trusted.publicKey !== publicKey)
    throw forged(`nobody vouches for key-encryption key ${kek}`);
}

function forged(why: string): HubError {
  return new HubError('sealed-keys-invalid', `the hub's keys in the store are refused: ${why}`);
}

export function unknownNode(): HubError {
  return new HubError(
    'node-unknown',
    'this data folder is no node of the hub in that store, or was removed: make an empty one with `edgekeep hub join` and a code of `edgekeep hub invite`',
  );
}

/** The secret of an entry; the caller zeroes it. */
export function openEntry(document: KeyDocument, kek: KeyEncryptionKey, name: string): Uint8Array | undefined {
  const entry = document.entries.find((each) => each.name === name);
  if (entry === undefined) return undefined;
  const secret = unseal(kek.sealing, parseBase64url(entry.sealed, name), entryContext(document.hub, name));
  if (secret === undefined) throw forged(`${name} does not open`);
  return secret;
}

export function sealEntry(hub: string, kek: KeyEncryptionKey, name: string, secret: Uint8Array) {
  return { name, sealed: toBase64url(seal(kek.sealing, secret, entryContext(hub, name))) };
}

/** What a node has in the document. */
export function nodeSlot(
  hub: string,
  kek: KeyEncryptionKey,
  node: { readonly id: string; readonly name: string; readonly publicKey: KeyObject },
) {
  const { id, name, publicKey } = node;
  const sealed = toBase64url(kek.sealTo(publicKey, slotPlace({ hub, kek: kek.version }, id)));
  return { id, name, publicKey: toBase64url(encodeSpki(publicKey)), sealed };
}

/** Signs a document. */
function signDocument(content: KeyDocumentContent, kek: KeyEncryptionKey): KeyDocument {
  return { ...content, signature: kek.sign(signedContent(content)) };
}

/** The same keys with a change, in the next version. */
export function edited(document: KeyDocument, kek: KeyEncryptionKey, edit: KeyDocumentEdit): KeyDocument {
  const { signature: _, ...content } = document;
  return signDocument({ ...content, ...edit, version: document.version + 1 }, kek);
}

/** The same keys under a new KEK, for the nodes that stay. No code stays open: a node that goes had the KEK, which signs codes. */
export function rewrapped(
  document: KeyDocument,
  former: KeyEncryptionKey,
  stays: (node: NodeSlot) => boolean,
): KeyDocument {
  const { hub } = document;
  using kek = KeyEncryptionKey.make(former.version + 1);
  const entries = document.entries.map(({ name }) => {
    const secret = openEntry(document, former, name) ?? new Uint8Array(0);
    try {
      return sealEntry(hub, kek, name, secret);
    } finally {
      secret.fill(0);
    }
  });
  const nodes = document.nodes
    .filter(stays)
    .map(({ id, name, publicKey }) =>
      nodeSlot(hub, kek, { id, name, publicKey: parseSpki(parseBase64url(publicKey, 'public key')) }),
    );
  const next = { kek: kek.version, publicKey: toBase64url(kek.publicKey) };
  const followed = [...document.followed, { ...next, signature: former.sign(followedContent(hub, next)) }];
  const { signature: _, ...content } = document;
  const version = document.version + 1;
  return signDocument(
    { ...content, ...next, version, nodes, entries, invitations: [], followed: followed.slice(-FOLLOWED_MAX) },
    kek,
  );
}

/** The first document: these keys, for one node. */
export function firstDocument(
  hub: string,
  kek: KeyEncryptionKey,
  node: NodeKey & { readonly name: string },
  entries: ReadonlyMap<string, Uint8Array>,
): KeyDocument {
  return signDocument(
    {
      type: 'edgekeep-hub-keys/v1',
      hub,
      version: 1,
      kek: kek.version,
      publicKey: toBase64url(kek.publicKey),
      nodes: [nodeSlot(hub, kek, { ...node, publicKey: createPublicKey(node.key) })],
      invitations: [],
      entries: [...entries].map(([name, secret]) => sealEntry(hub, kek, name, secret)),
      followed: [],
    },
    kek,
  );
}

/** What a node remembers of a document that it has opened. */
export function knownOf({ hub, version, kek, publicKey }: KeyDocument): KnownKeys {
  return { hub, version, kek, publicKey };
}
