// The present connections, on every hub node (spec/presence.md): each bound connection is a row, each node a heartbeat. A new client is
// judged in the transaction that binds it, so no two of them pass at the same time. A node that holds the conflicting session learns of it
// from the row.
import { randomUUID } from 'node:crypto';
import { Budgets } from '../common/budget.ts';
import { appendEntry } from '../audit/append.ts';
import type { CosignatureCollector } from '../audit/witness.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import type { Connections, DeviceConnection, ConflictingSession } from './connections.ts';
import { judgeSession, type LiveSession, type SessionVerdict } from './sessions.ts';
import { cannotBeCopied } from './read.ts';
import { PresenceRows } from './rows.ts';
import { reportConcurrentSessions, type ConcurrentSessionsRule } from './concurrent-sessions.ts';

// The interval at which a node reads the requests of other nodes and removes its connections that ended.
const tickMs = 1_000;
// A heartbeat is written every this many ticks: each write waits for the disk.
const ticksPerHeartbeat = 5;
// Ended connections are deleted together: a restart of the network ends thousands at once.
const flushMs = 50;
// A request that was under way when the conflicting session came proves nothing; a later one shows that the first place is alive.
const graceMs = 2_000;
// Make-before-break: an older connection may be used beside a newer one of the same device for this long.
const handOverMs = 60_000;
// An established conflict is reported at most at this interval.
const reportedEveryMs = 1_000;
// TCP's own probes find a vanished peer within about ten seconds after another client claims its identity.
const probeAfterMs = 1_000;

// A refused client tries repeatedly: the first attempts are logged, then one each minute.
const entryRate = { perSecond: 1 / 60, burstSeconds: 600 };
const ADDRESSES_LOGGED_MAX = 4;

export interface PresenceDependencies {
  readonly database: Database;
  readonly connections: Pick<Connections, 'cut'>;
  readonly witnesses: Pick<CosignatureCollector, 'remove'>;
  readonly settings: { readonly concurrentSessions: ConcurrentSessionsRule; readonly silentSeconds: number };
  readonly clock: Clock;
}

interface Held {
  readonly connection: DeviceConnection;
  readonly tier: string;
}

/** A client that asks to be let in beside the present ones. */
export interface NewSession {
  readonly id: string;
  readonly connection: DeviceConnection;
  readonly device: Pick<DeviceRecord, 'id' | 'tier'>;
  readonly serial: string;
  readonly lineage: number;
  readonly nowMs: number;
}

export class Presence implements AsyncDisposable {
  readonly #dependencies: PresenceDependencies;
  readonly #rows: PresenceRows;
  readonly #held = new Map<string, Held>();
  readonly #ended = new Set<string>();
  readonly #entries = new Budgets(entryRate);
  #flushing: NodeJS.Timeout | undefined;
  #ticks = 0;
  #stopped = false;

  private constructor(dependencies: PresenceDependencies, rows: PresenceRows) {
    this.#dependencies = dependencies;
    this.#rows = rows;
  }

  static async start(dependencies: PresenceDependencies): Promise<Presence> {
    const { database } = dependencies;
    const rows = new PresenceRows(randomUUID(), database.isShared ? database.clock : undefined);
    await database.writeAsHub((trx) => rows.beat(trx, dependencies.clock()));
    return new Presence(dependencies, rows);
  }

  /**
   * Judges a new client, inside the transaction that binds it. Unless it is `taken`, it counts as connected from now on: `settle` or
   * `withdraw` must follow.
   */
  async arrive(trx: WriteTransaction, arrival: NewSession): Promise<SessionVerdict> {
    const { id, connection, device, serial, lineage, nowMs } = arrival;
    const origin = { address: connection.remoteAddress, lineage };
    const live = (await this.#rows.liveOf(trx, device.id, nowMs)).flatMap((row) => this.#seen(row));
    const verdict = judgeSession(
      origin,
      live.filter((session) => session.id !== id),
      {
        cannotBeCopied: cannotBeCopied(device.tier),
        silentMs: this.#dependencies.settings.silentSeconds * 1_000,
        nowMs,
      },
    );
    const elsewhere = verdict.kind === 'alone' ? [] : verdict.others.filter((session) => !this.#held.has(session.id));
    const conflict = { address: origin.address, serial, id: verdict.kind === 'moved' ? id : undefined };
    if (verdict.kind === 'replaced') await this.#rows.end(trx, idsOf(verdict.others));
    else await this.#rows.tell(trx, idsOf(elsewhere), conflict);
    if (verdict.kind === 'taken') {
      await this.#recordTaken(trx, arrival, verdict.others);
      return verdict;
    }
    await this.#rows.insert(trx, { id, deviceId: device.id, serial, nowMs, ...origin });
    connection.session = { id, lineage, boundAtMs: nowMs, usedAtMs: nowMs, conflict: undefined, contested: false };
    this.#held.set(id, { connection, tier: device.tier });
    return verdict;
  }

  /** Call it once the verdict is durable: applies the verdict to the connections of this node. */
  settle(arrival: NewSession, verdict: SessionVerdict): void {
    const { id, connection, serial, nowMs } = arrival;
    for (const { id: other } of verdict.kind === 'alone' ? [] : verdict.others) {
      const held = this.#held.get(other)?.connection;
      if (held === undefined) continue;
      if (verdict.kind === 'replaced') held.socket.destroy();
      else
        this.#meet(
          held,
          { address: connection.remoteAddress, serial, id: verdict.kind === 'moved' ? id : undefined },
          nowMs,
        );
    }
    if (verdict.kind === 'taken') return;
    if (connection.socket.destroyed) this.#end(id);
    else connection.socket.once('close', () => this.#end(id));
  }

  /** The bind failed after `arrive`, before or after it was durable. */
  withdraw({ id, connection }: NewSession): void {
    if (!this.#held.has(id)) return;
    connection.session = undefined;
    this.#end(id);
  }

  /** A connection was used beside a conflicting session: the identity is in two places. Called by the connections. */
  readonly contested = (connection: DeviceConnection): void => {
    const { session, certificate } = connection;
    const conflict = session?.conflict;
    const held = session === undefined ? undefined : this.#held.get(session.id);
    if (session === undefined || conflict === undefined || held === undefined || certificate === undefined) return;
    session.conflict = undefined;
    const nowMs = this.#dependencies.clock();
    const first = { address: connection.remoteAddress, since: session.boundAtMs, serial: certificate.serial };
    const seen = {
      deviceId: certificate.deviceId,
      tier: held.tier,
      first,
      second: conflict,
      times: conflict.times,
      nowMs,
    };
    this.#report(session.id, seen, conflict).then(
      () => (session.contested = true),
      // Not durable, so not recorded: the next request on this connection reports it again.
      () => (session.conflict ??= conflict),
    );
  };

  /** If the store fails now, the next turn asks again; requests are refused meanwhile. */
  get jobs(): readonly Job[] {
    return [
      {
        name: 'presence',
        summary: 'reports that this node is running, and answers what other nodes ask about its connections',
        everyMilliseconds: tickMs,
        runsOn: 'every-node',
        run: () => this.tick(),
      },
    ];
  }

  /** Writes the heartbeat, forgets ended connections, and answers what other nodes ask about its connections. */
  async tick(): Promise<void> {
    const { database, clock } = this.#dependencies;
    const nowMs = clock();
    for (const order of await this.#rows.ordersFor(database.read)) {
      const held = this.#held.get(order.id)?.connection;
      if (held === undefined) continue;
      if (order.ends) held.socket.destroy();
      else if (order.conflict !== undefined) this.#meet(held, order.conflict, nowMs);
      const { usedAtMs = nowMs } = held.session ?? {};
      await database.writeAsHub((trx) => this.#rows.answer(trx, order.id, { usedAtMs, nowMs }));
    }
    this.#ticks += 1;
    if (this.#ticks % ticksPerHeartbeat !== 0) return;
    await database.writeAsHub(async (trx) => {
      // Another node considered this one dead and cleared its rows, because the machine slept or its clock was set.
      const known = await this.#rows.beat(trx, nowMs);
      if (!known) for (const { connection } of this.#held.values()) await this.#insertAgain(trx, connection);
      await this.#rows.clearSilentNodes(trx, nowMs);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#flushing);
    await this.#dependencies.database.writeAsHub((trx) => this.#rows.leave(trx));
  }

  async #report(
    id: string,
    seen: Parameters<typeof reportConcurrentSessions>[1],
    conflict: ConflictingSession,
  ): Promise<void> {
    const { database, settings, connections, witnesses } = this.#dependencies;
    const rule = settings.concurrentSessions;
    await database.writeAsHub(async (trx) => {
      await this.#rows.contest(trx, id);
      await reportConcurrentSessions(trx, seen, rule);
      if (conflict.id !== undefined) await this.#rows.end(trx, [conflict.id]);
    });
    if (rule === 'hold-both') {
      witnesses.remove(seen.deviceId);
      connections.cut(seen.deviceId);
    } else if (conflict.id !== undefined) {
      this.#held.get(conflict.id)?.connection.socket.destroy();
    }
  }

  async #recordTaken(trx: WriteTransaction, arrival: NewSession, others: readonly LiveSession[]): Promise<void> {
    const { connection, device, nowMs } = arrival;
    if (!this.#entries.spend(device.id, nowMs)) return;
    const addresses = [...new Set(others.map(({ address }) => address))].slice(0, ADDRESSES_LOGGED_MAX).join(', ');
    await appendEntry(trx, {
      at: nowMs,
      kind: 'bind-refused',
      actor: `address:${connection.remoteAddress}`,
      subject: `device:${device.id}`,
      data: { reason: `this identity is in use at ${addresses}` },
    });
  }

  // What this node knows about a row: for its own connections from memory, for others from their last report.
  #seen(row: LiveSession & { readonly own: boolean }): readonly LiveSession[] {
    if (!row.own) return [row];
    const held = this.#held.get(row.id)?.connection;
    if (held?.session === undefined || held.socket.destroyed) return [];
    return [{ ...row, usedAtMs: held.session.usedAtMs, contested: held.session.contested }];
  }

  #meet(
    { socket, session }: DeviceConnection,
    conflict: Pick<ConflictingSession, 'address' | 'serial' | 'id'>,
    nowMs: number,
  ): void {
    if (session === undefined) return;
    socket.setKeepAlive(true, probeAfterMs);
    const { times = 0, provesAtMs } = session.conflict ?? {};
    const wait = session.contested ? reportedEveryMs : conflict.id === undefined ? graceMs : handOverMs;
    // Keeps the first claim's deadline, so that an attacker who retries cannot postpone detection.
    session.conflict = { ...conflict, times: times + 1, provesAtMs: provesAtMs ?? nowMs + wait };
  }

  #end(id: string): void {
    this.#held.delete(id);
    if (this.#stopped) return;
    this.#ended.add(id);
    this.#flushing ??= setTimeout(() => void this.#flush(), flushMs).unref();
  }

  async #flush(): Promise<void> {
    this.#flushing = undefined;
    const ids = [...this.#ended];
    this.#ended.clear();
    try {
      await this.#dependencies.database.writeAsHub((trx) => this.#rows.delete(trx, ids));
    } catch {
      // This node knows without the rows; other nodes learn of it once the store takes writes again.
      if (!this.#stopped) for (const id of ids) this.#end(id);
    }
  }

  async #insertAgain(
    trx: WriteTransaction,
    { session, certificate, remoteAddress: address }: DeviceConnection,
  ): Promise<void> {
    if (session === undefined || certificate === undefined) return;
    const { id, lineage, boundAtMs: nowMs } = session;
    const { deviceId, serial } = certificate;
    await this.#rows.delete(trx, [id]);
    await this.#rows.insert(trx, { id, deviceId, serial, address, lineage, nowMs });
  }
}

function idsOf(sessions: readonly LiveSession[]): readonly string[] {
  return sessions.map(({ id }) => id);
}
