// The nodes of a hub as the store has them, for people and monitoring.
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { parseJson } from '@edgekeep/core/json';
import { utf8 } from '@edgekeep/core/bytes';
import { z } from 'zod';
import type { Tables } from '../store/schema.ts';
import { CLAIM_MS } from './claim.ts';

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

/** Every node, by name; `now` is the clock of the store. */
export async function listNodes(db: Kysely<Tables>, now: RawBuilder<number>): Promise<readonly NodeView[]> {
  const { size } = await db
    .selectFrom('audit_entry')
    .select((q) => q.fn.max<number | null>('log_index').as('size'))
    .executeTakeFirstOrThrow();
  const rows = await db
    .selectFrom('node')
    .selectAll()
    .select(sql<number | null>`${now} - seen_at`.as('silent'))
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: stateOf(row),
    version: row.version,
    addresses: addressesOf(row.addresses),
    joinedAtMs: row.joined_at,
    seenAtMs: row.seen_at ?? undefined,
    silentMs: row.silent === null ? undefined : Math.max(0, row.silent),
    logLag: row.removed_at === null ? Math.max(0, (size ?? -1) + 1 - row.log_size) : 0,
    connections: stateOf(row) === 'running' ? row.connections : 0,
    keysVersion: row.keys_version,
    removedAtMs: row.removed_at ?? undefined,
  }));
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
  return (row.silent ?? 0) > CLAIM_MS ? 'silent' : 'running';
}

function addressesOf(text: string): z.infer<typeof nodeAddresses> | undefined {
  return text === '' ? undefined : parseJson(utf8(text), nodeAddresses, 'addresses of a node');
}
