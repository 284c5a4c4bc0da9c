// A new node joins, spec/platform-secrets.md, "A code to join": its code signed the request over this connection. The answer has nothing secret: the
// key-encryption key is in the store, sealed to the node's own key.
import { type KeyObject, randomBytes } from 'node:crypto';
import { equalBytes, parseBase64url } from '@edgekeep/core/bytes';
import { type JoinRequest, verifyJoinRequest } from '@edgekeep/core/authority/join-code';
import { sha256Hex } from '@edgekeep/core/digest';
import { CoreError } from '@edgekeep/core/error';
import { assertP256 } from '@edgekeep/core/identity/p256-point';
import { encodeSpki, parseSpki } from '@edgekeep/core/identity/public-key';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import { type Invitation, type KeyDocument, NODES_MAX } from './key-document.ts';
import type { KnownKeys } from './node-file.ts';
import { knownOf, nodeSlot } from './opened-document.ts';
import { assertFreeName, type NodeOrderDependencies } from './orders.ts';

export interface Joining extends JoinRequest {
  readonly signature: Uint8Array;
}

export interface Joined {
  readonly id: string;
  readonly name: string;
  /** What it trusts of the key document from now on. */
  readonly keys: KnownKeys;
}

/**
 * Makes the holder of a code a node, once. The same node key gets the same answer until the code expires, for a machine that was killed before it had
 * written it. Throws `join-refused`, which does not say why: the code may be a guess.
 */
export async function joinNode(dependencies: NodeOrderDependencies, joining: Joining): Promise<Joined> {
  const { database, keys, clock } = dependencies;
  const nodeKey = parseNodeKey(joining.nodeKey);
  await keys.refresh();
  if (!keys.areShared) throw refused();
  // Before the store is locked: a stranger's request costs one signature.
  const { publicKey } = needInvitation(keys.document, joining, clock());
  if (!verifyJoinRequest(joining, parseBase64url(publicKey, 'public key'), joining.signature)) throw refused();
  const id = randomBytes(16).toString('hex');
  const joined = await database.writeAsHub(async (trx) => {
    const document = await keys.documentIn(trx);
    const invitation = needInvitation(document, joining, clock());
    if (invitation.publicKey !== publicKey) throw refused();
    if (invitation.usedBy !== null) return sameNode(document, invitation.usedBy, joining.nodeKey);
    return addNode(trx, dependencies, { id, invitation, nodeKey });
  });
  await keys.refresh();
  return joined;
}

function parseNodeKey(spki: Uint8Array): KeyObject {
  try {
    const key = parseSpki(spki);
    assertP256(key);
    return key;
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('request-invalid', `nodeKey: ${cause.message}`, { cause });
  }
}

function needInvitation({ invitations }: KeyDocument, { code }: Joining, nowMs: number): Invitation {
  const found = invitations.find(({ id, expiresAt }) => id === code && expiresAt > nowMs);
  if (found === undefined) throw refused();
  return found;
}

function sameNode(document: KeyDocument, id: string, nodeKey: Uint8Array): Joined {
  const node = document.nodes.find((each) => each.id === id);
  if (node === undefined || !equalBytes(parseBase64url(node.publicKey, 'public key'), nodeKey)) throw refused();
  return { id, name: node.name, keys: knownOf(document) };
}

async function addNode(
  trx: WriteTransaction,
  { database, keys, clock }: NodeOrderDependencies,
  { id, invitation, nodeKey }: { readonly id: string; readonly invitation: Invitation; readonly nodeKey: KeyObject },
): Promise<Joined> {
  const { name } = invitation;
  await assertFreeName(trx, name);
  const counts = { log_size: 0, connections: 0, keys_version: 0, removed_at: null };
  const absent = { seen_at: null, claim: null, place: null, version: '', addresses: '' };
  await trx
    .insertInto('node')
    .values({ id, name, joined_at: database.clock, ...counts, ...absent })
    .execute();
  const nowMs = clock();
  const actor = `code:${invitation.id}`;
  const next = await keys.change(trx, { change: 'node-joined', name }, actor, ({ document, kek }) => {
    if (document.nodes.length >= NODES_MAX) throw new HubError('conflict', `node limit reached (${NODES_MAX})`);
    const slot = nodeSlot(document.hub, kek, { id, name, publicKey: nodeKey });
    const used = document.invitations.map((each) => (each.id === invitation.id ? { ...each, usedBy: id } : each));
    return { nodes: [...document.nodes, slot], invitations: used.filter(({ expiresAt }) => expiresAt > nowMs) };
  });
  const data = { id, code: invitation.id, key: sha256Hex(encodeSpki(nodeKey)) };
  await appendEntry(trx, { at: nowMs, kind: 'node-joined', actor, subject: `node:${name}`, data });
  return { id, name, keys: knownOf(next) };
}

function refused(): HubError {
  return new HubError(
    'join-refused',
    'this code lets no node join: it is wrong, was used, or has expired. `edgekeep hub invite` makes another one',
  );
}
