// The nodes of a hub as the store has them, for people and monitoring.
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { utf8 } from '@edgekeep/core/bytes';
import { z } from 'zod';
import { entryCount } from '../store/entries.ts';
import type { Tables } from '../store/schema.ts';
import type { NodeRow } from '../store/tables/node.ts';
import { CLAIM_MS } from './claim.ts';
import type { NodeSlot } from './key-document.ts';

/** `invited`: it joined and never started. `ended`: it was stopped. `silent`: it was killed, or cannot reach the store. */
export type NodeState = 'invited' | 'running' | 'silent' | 'ended' | 'removed';

const nodeAddresses = z.strictObject({ device: z.string().max(300), operator: z.string().max(300) });

export interface NodeView {
  readonly id: string;
  readonly name: string;
  readonly state: NodeState;
  readonly version: string;
  readonly addresses: z.infer<typeof nodeAddresses> | undefined;
  readonly joinedAtMs: number;
  readonly seenAtMs: number | undefined;
  /** Since it was seen, by the clock of the store. */
  readonly silentMs: number | undefined;
  /** Entries of the log that its tiles do not have yet. */
  readonly logLag: number;
  readonly connections: number;
  readonly keysVersion: number;
  readonly removedAtMs: number | undefined;
}

/**
 * Every node, by name; `now` is the clock of the store. `slots` are those that get the hub's keys: each is shown as one that was not removed,
 * also where its row says otherwise, because every node can change rows.
 */
export async function listNodes(
  db: Kysely<Tables>,
  now: RawBuilder<number>,
  slots: readonly Pick<NodeSlot, 'id' | 'name'>[] = [],
): Promise<readonly NodeView[]> {
  const logSize = await entryCount(db);
  const rows = await db
    .selectFrom('node')
    .selectAll()
    .select(sql<number | null>`${now} - seen_at`.as('silent'))
    .execute();
  const views = rows.map((row) =>
    viewOf(
      row,
      logSize,
      slots.some((slot) => isOf(slot, row)),
    ),
  );
  const unlisted = slots.filter((slot) => !rows.some((row) => isOf(slot, row)));
  return [...views, ...unlisted.map(unlistedView)].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

const isOf = (slot: Pick<NodeSlot, 'id' | 'name'>, row: Pick<NodeRow, 'id' | 'name'>) =>
  slot.id === row.id && slot.name === row.name;

function viewOf(row: NodeRow & { readonly silent: number | null }, logSize: number, hasSlot: boolean): NodeView {
  const removedAt = hasSlot ? null : row.removed_at;
  const state = stateOf({ ...row, removed_at: removedAt });
  return {
    id: row.id,
    name: row.name,
    state,
    version: row.version,
    addresses: addressesOf(row.addresses),
    joinedAtMs: row.joined_at,
    seenAtMs: row.seen_at ?? undefined,
    silentMs: row.silent === null ? undefined : Math.max(0, row.silent),
    logLag: removedAt === null ? Math.max(0, logSize - row.log_size) : 0,
    connections: state === 'running' ? row.connections : 0,
    keysVersion: row.keys_version,
    removedAtMs: removedAt ?? undefined,
  };
}

/** It gets the hub's keys, and has no row of its own. */
function unlistedView({ id, name }: Pick<NodeSlot, 'id' | 'name'>): NodeView {
  const nothing = { addresses: undefined, seenAtMs: undefined, silentMs: undefined, removedAtMs: undefined };
  const counts = { joinedAtMs: 0, logLag: 0, connections: 0, keysVersion: 0 };
  return { id, name, state: 'invited', version: '', ...nothing, ...counts };
}

function stateOf(row: {
  readonly removed_at: number | null;
  readonly claim: string | null;
  readonly seen_at: number | null;
  readonly silent: number | null;
}): NodeState {
  if (row.removed_at !== null) return 'removed';
  if (row.seen_at === null) return 'invited';
  if (row.claim === null) return 'ended';
  // Seen in the future: the clock of the store was ahead, and was set back since.
  return Math.abs(row.silent ?? 0) > CLAIM_MS ? 'silent' : 'running';
}

/** Undefined also for a text that is none: every node can change rows, and one must not hide all nodes. */
function addressesOf(text: string): z.infer<typeof nodeAddresses> | undefined {
  try {
    return text === '' ? undefined : parseJson(utf8(text), nodeAddresses, 'addresses of a node');
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
