// What operators order about nodes: a code with which one joins, and the removal of one. Each is one transaction with its entry.
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { joinCodeId } from '@edgekeep/core/authority/join-code';
import { ed25519Length } from '@edgekeep/core/identity/ed25519-seed';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { NodeRow } from '../store/tables/node.ts';
import { INVITATIONS_MAX, type Invitation, type NodeSlot, NODES_MAX } from './key-document.ts';
import type { SharedKeys } from './shared-keys.ts';

export interface NodeOrderDependencies {
  readonly database: Database;
  readonly keys: SharedKeys;
  readonly clock: Clock;
  /** Of the node that answers. */
  readonly self: string;
}

export interface InviteOrder {
  readonly name: string;
  /** Ed25519, base64url. */
  readonly publicKey: string;
  readonly lifeSeconds: number;
  readonly actor: string;
}

/** Lets the holder of a code join as a node of this name, once. Throws `conflict`, also while the keys are in the data folder. */
export async function inviteNode(
  { database, keys, clock }: NodeOrderDependencies,
  { name, publicKey, lifeSeconds, actor }: InviteOrder,
): Promise<Invitation> {
  const raw = parseBase64url(publicKey, 'public key');
  if (raw.length !== ed25519Length) throw new HubError('request-invalid', 'publicKey: expected 32 bytes');
  await keys.refresh();
  // Says what to do where the keys are not in the store.
  void keys.document;
  const expiresAt = clock() + lifeSeconds * 1_000;
  const invitation: Invitation = { id: joinCodeId(raw), name, publicKey: toBase64url(raw), expiresAt, usedBy: null };
  await database.write(async (trx) => {
    await assertFreeName(trx, name);
    const change = { change: 'node-invited', name };
    await keys.change(trx, change, actor, ({ document }) => ({
      invitations: withInvitation(document, invitation, clock()),
    }));
    const data = { code: invitation.id, expiresAt };
    await appendEntry(trx, { at: clock(), kind: 'node-invited', actor, subject: `node:${name}`, data });
  });
  await keys.refresh();
  return invitation;
}

function withInvitation(
  { nodes, invitations }: SharedKeys['document'],
  invitation: Invitation,
  nowMs: number,
): Invitation[] {
  if (nodes.length >= NODES_MAX) throw new HubError('conflict', `node limit reached (${NODES_MAX})`);
  const open = invitations.filter(({ expiresAt, name }) => expiresAt > nowMs && name !== invitation.name);
  if (open.some(({ id }) => id === invitation.id)) throw new HubError('conflict', 'this code was registered before');
  if (open.length < INVITATIONS_MAX) return [...open, invitation];
  throw new HubError('conflict', `${INVITATIONS_MAX} codes are open: wait until one is used or has expired`);
}

/** A name is of one node for ever: metrics and the log keep it. */
export async function assertFreeName(trx: WriteTransaction, name: string): Promise<void> {
  const row = await trx.selectFrom('node').select('removed_at').where('name', '=', name).executeTakeFirst();
  if (row === undefined) return;
  const what = row.removed_at === null ? 'is a node of this hub' : 'was a node that was removed';
  throw new HubError('conflict', `${name} ${what}: take another name`);
}

export interface RemoveOrder {
  readonly name: string;
  readonly reason: string;
  readonly actor: string;
}

/**
 * Ends a node for ever: its process ends, and what is sealed from now on is under a key-encryption key that it does not get. The signed document says
 * which key is that of the name: every node can write the rows. Throws `not-found`, and `conflict` for the node that answers.
 */
export async function removeNode(
  { database, keys, clock, self }: NodeOrderDependencies,
  { name, reason, actor }: RemoveOrder,
): Promise<{ readonly keysVersion: number }> {
  await keys.refresh();
  await database.write(async (trx) => {
    const rows = await trx.selectFrom('node').select(['id', 'name', 'removed_at']).execute();
    const slot = keys.areShared ? (await keys.documentIn(trx)).nodes.find((node) => node.name === name) : undefined;
    const id = slot?.id ?? needRow(rows, name).id;
    if (id === self) throw new HubError('conflict', `${name} is the node that answers: ask another one to remove it`);
    await trx
      .updateTable('node')
      .set({ removed_at: database.clock, claim: null, place: null })
      .where((where) => where.or([where('id', '=', id), where('name', '=', name)]))
      .where('id', '<>', self)
      .execute();
    const isListed = (node: NodeSlot) =>
      rows.some((row) => row.id === node.id && row.name === node.name && row.removed_at === null);
    const stays = (node: NodeSlot) => node.id === self || (node.id !== id && isListed(node));
    if (keys.areShared) await keys.rewrap(trx, stays, actor);
    await appendEntry(trx, {
      at: clock(),
      kind: 'node-removed',
      actor,
      subject: `node:${name}`,
      data: { id, reason },
    });
  });
  await keys.refresh();
  return { keysVersion: keys.version };
}

type ListedRow = Pick<NodeRow, 'id' | 'name' | 'removed_at'>;

function needRow(rows: readonly ListedRow[], name: string): ListedRow {
  const row = rows.find((each) => each.name === name);
  if (row === undefined || row.removed_at !== null)
    throw new HubError('not-found', `no node ${name}: \`edgekeep hub nodes list\` shows all`);
  return row;
}
