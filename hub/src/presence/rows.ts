// The statements behind `Presence`, as one hub node runs them.
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { LiveSession } from './sessions.ts';
import { nodeSilentMs, nodesLiveSince } from './read.ts';
import { inBatches } from '../store/batches.ts';

// Longer than a refused client waits between two attempts. Any use since then would have shown that there are two clients.
const toldForMs = 90_000;

interface SessionClaim {
  readonly address: string;
  readonly serial: string;
  /** Its own row, if it was let in. */
  readonly id: string | undefined;
}

export interface PresenceOrder {
  readonly id: string;
  readonly ends: boolean;
  readonly conflict: SessionClaim | undefined;
}

export class PresenceRows {
  readonly #node: string;
  readonly #clock: RawBuilder<number> | undefined;

  /** `clock` is that of the store, where several nodes share it: their own may differ. */
  constructor(node: string, clock?: RawBuilder<number>) {
    this.#node = node;
    this.#clock = clock;
  }

  /** Writes the heartbeat of this node; false when it has no row. */
  async beat(trx: WriteTransaction, nowMs: number): Promise<boolean> {
    const seen_at = this.#clock ?? nowMs;
    const { numUpdatedRows } = await trx
      .updateTable('hub_node')
      .set({ seen_at })
      .where('id', '=', this.#node)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return true;
    await trx.insertInto('hub_node').values({ id: this.#node, seen_at }).execute();
    return false;
  }

  /** Removes all rows of this node, when it ends. */
  async leave(trx: WriteTransaction): Promise<void> {
    await trx.deleteFrom('presence').where('node_id', '=', this.#node).execute();
    await trx.deleteFrom('hub_node').where('id', '=', this.#node).execute();
  }

  /**
   * Removes the rows of nodes that ended without notice. A node that was seen at a time that has not come wrote that before the clock was set back; one
   * that lives writes its rows again.
   */
  async clearSilentNodes(trx: WriteTransaction, nowMs: number): Promise<void> {
    const liveSince = await nodesLiveSince(trx, nowMs);
    const silent = await trx
      .selectFrom('hub_node')
      .select('id')
      .where((q) =>
        q.or([
          q('seen_at', '<', liveSince),
          q('seen_at', '>', sql<number>`${this.#clock ?? nowMs} + ${sql.lit(nodeSilentMs)}`),
        ]),
      )
      .where('id', '<>', this.#node)
      .execute();
    for (const { id } of silent) {
      await trx.deleteFrom('presence').where('node_id', '=', id).execute();
      await trx.deleteFrom('hub_node').where('id', '=', id).execute();
    }
  }

  async liveOf(
    trx: WriteTransaction,
    deviceId: string,
    nowMs: number,
  ): Promise<readonly (LiveSession & { readonly own: boolean })[]> {
    const rows = await trx
      .selectFrom('presence')
      .innerJoin('hub_node', 'hub_node.id', 'presence.node_id')
      .selectAll('presence')
      .where('presence.device_id', '=', deviceId)
      .where('presence.ends', '=', 0)
      .where('hub_node.seen_at', '>=', await nodesLiveSince(trx, nowMs))
      .execute();
    return rows.map((row) => {
      // An old report of another node proves nothing now: its connection counts as just used until that node reports again.
      const isTold = row.asked === 0 && row.told_at > row.bound_at && nowMs - row.told_at < toldForMs;
      const usedAtMs = isTold ? nowMs - (row.told_at - row.used_at) : nowMs;
      const { id, address, lineage, node_id: node } = row;
      return { id, address, lineage, usedAtMs, contested: row.contested === 1, own: node === this.#node };
    });
  }

  async insert(
    trx: WriteTransaction,
    session: { id: string; deviceId: string; serial: string; address: string; lineage: number; nowMs: number },
  ): Promise<void> {
    await trx
      .insertInto('presence')
      .values({
        id: session.id,
        node_id: this.#node,
        device_id: session.deviceId,
        address: session.address,
        serial: session.serial,
        lineage: session.lineage,
        bound_at: session.nowMs,
        used_at: session.nowMs,
        told_at: session.nowMs,
        asked: 0,
        rival_address: null,
        rival_serial: null,
        rival_id: null,
        contested: 0,
        ends: 0,
      })
      // Binds once more on the same connection.
      .onConflict((c) => c.column('id').doNothing())
      .execute();
  }

  async delete(trx: WriteTransaction, ids: readonly string[]): Promise<void> {
    await inBatches(ids, async (some) => {
      await trx.deleteFrom('presence').where('id', 'in', some).execute();
      return [];
    });
  }

  /** Notifies the nodes of these connections about a conflicting session, and asks when the connections were last used. */
  async tell(trx: WriteTransaction, ids: readonly string[], conflict: SessionClaim): Promise<void> {
    if (ids.length === 0) return;
    const claim = { rival_address: conflict.address, rival_serial: conflict.serial, rival_id: conflict.id ?? null };
    await trx
      .updateTable('presence')
      .set({ asked: 1, ...claim })
      .where('id', 'in', ids)
      .execute();
  }

  /** Tells their nodes to end these connections. */
  async end(trx: WriteTransaction, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await trx.updateTable('presence').set({ asked: 1, ends: 1 }).where('id', 'in', ids).execute();
  }

  async contest(trx: WriteTransaction, id: string): Promise<void> {
    await trx.updateTable('presence').set({ contested: 1 }).where('id', '=', id).execute();
  }

  /** What other nodes ask of this one. */
  async ordersFor(read: Kysely<Tables>): Promise<readonly PresenceOrder[]> {
    const rows = await read
      .selectFrom('presence')
      .select(['id', 'ends', 'rival_address', 'rival_serial', 'rival_id'])
      .where('node_id', '=', this.#node)
      .where('asked', '=', 1)
      .execute();
    return rows.map(({ id, ends, rival_address: address, rival_serial: serial, rival_id: conflictId }) => {
      const conflict = address === null ? undefined : { address, serial: serial ?? '', id: conflictId ?? undefined };
      return { id, ends: ends === 1, conflict };
    });
  }

  async answer(trx: WriteTransaction, id: string, told: { usedAtMs: number; nowMs: number }): Promise<void> {
    const answer = { asked: 0, used_at: told.usedAtMs, told_at: told.nowMs } as const;
    await trx.updateTable('presence').set(answer).where('id', '=', id).execute();
  }
}
