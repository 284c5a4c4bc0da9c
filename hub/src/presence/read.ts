// Reads the present connections (spec/presence.md): for operators, for alerts, and for decisions that depend on whether an identity is in
// use elsewhere.
import type { Kysely } from 'kysely';
import { prepared } from '../store/prepared.ts';
import type { PresenceRow } from '../store/tables/presence.ts';
import type { Tables } from '../store/schema.ts';
import { isSameOrigin, type SessionOrigin } from './sessions.ts';

/** A node without a heartbeat for this long has ended, and its connections with it. */
export const nodeSilentMs = 15_000;

/** A node counts as running when it was seen since this time; a clock that was just set forward does not make all of them silent. */
export async function nodesLiveSince(db: Kysely<Tables>, nowMs: number): Promise<number> {
  const [row] = await newestNode(db, {});
  return Math.min(nowMs, row?.newest ?? nowMs) - nodeSilentMs;
}

const newestNode = prepared<object, { newest: number | null }>((db) =>
  db.selectFrom('hub_node').select((q) => q.fn.max('seen_at').as('newest')),
);

/** Roots of trust whose keys exist in one piece of hardware: a client that signs with one is at that hardware and nowhere else. */
export function cannotBeCopied(tier: string): boolean {
  return tier === 'tpm' || tier === 'secure-element';
}

/** A live bound connection, on any node. */
export interface SessionView extends SessionOrigin {
  readonly id: string;
  readonly serial: string;
  readonly sinceMs: number;
  /** It was used beside a conflicting session. */
  readonly contested: boolean;
}

export interface DevicePresence {
  /** Oldest first. */
  readonly sessions: readonly SessionView[];
  /** Bound connections come from more than one place: for some seconds when a device moves, permanently when there are two clients. */
  readonly elsewhere: boolean;
}

/** The address from which a device is connected now. */
export async function presenceOf(db: Kysely<Tables>, deviceId: string, nowMs: number): Promise<DevicePresence> {
  const since = await nodesLiveSince(db, nowMs);
  const rows = await presences(db, { deviceId, since });
  const sessions = rows.map(({ id, address, lineage, serial, bound_at: sinceMs, contested }) => {
    return { id, address, lineage, serial, sinceMs, contested: contested === 1 };
  });
  const [first] = sessions;
  const elsewhere =
    first !== undefined && sessions.some((session) => session.contested || !isSameOrigin(session, first));
  return { sessions, elsewhere };
}

const presences = prepared<{ deviceId: string; since: number }, PresenceRow>((db, value) =>
  db
    .selectFrom('presence')
    .innerJoin('hub_node', 'hub_node.id', 'presence.node_id')
    .selectAll('presence')
    .where('presence.device_id', '=', value('deviceId'))
    .where('presence.ends', '=', 0)
    .where('hub_node.seen_at', '>=', value('since'))
    .orderBy('presence.bound_at'),
);

/** The devices that are connected now, on any node. */
export async function onlineAmong(
  db: Kysely<Tables>,
  deviceIds: readonly string[],
  nowMs: number,
): Promise<ReadonlySet<string>> {
  if (deviceIds.length === 0) return new Set();
  const since = await nodesLiveSince(db, nowMs);
  const rows = await db
    .selectFrom('presence')
    .innerJoin('hub_node', 'hub_node.id', 'presence.node_id')
    .select('presence.device_id')
    .distinct()
    .where('presence.device_id', 'in', deviceIds)
    .where('presence.ends', '=', 0)
    .where('hub_node.seen_at', '>=', since)
    .execute();
  return new Set(rows.map((row) => row.device_id));
}
