// What a running node does for its place among the others: it renews its claim and says how far it is, looks whether it was removed, and the one that
// leads raises an alert about a node that is silent.
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Job } from '../common/subject.ts';
import { productVersion } from '../common/version.ts';
import type { Database } from '../store/database.ts';
import { assertFloor } from '../store/migrate.ts';
import type { Claim } from './claim.ts';
import type { SharedKeys } from './shared-keys.ts';
import { listNodes, type NodeView } from './nodes.ts';

const beatMs = 2_000;
/** A node that was removed ends within twice this. */
const lookMs = 400;
const silenceMs = 10_000;
/** A node looks for new keys several times a second. */
const KEYS_WAIT_MS = 30_000;

export interface NodeWatchDependencies {
  readonly database: Database;
  readonly claim: Claim;
  readonly clock: Clock;
  readonly settings: { readonly nodes: { readonly silentSeconds: number } };
  readonly keys: Pick<SharedKeys, 'refresh' | 'version'>;
}

/** What this node tells the others. */
export interface NodeProgress {
  readonly logSize: () => number;
  readonly connections: () => number;
}

export class NodeWatch {
  readonly #dependencies: NodeWatchDependencies;
  readonly #ended = Promise.withResolvers<HubError>();
  #progress: NodeProgress | undefined;
  readonly #followers: (() => Promise<void>)[] = [];
  #nodes: readonly NodeView[] = [];
  /** The version of the keys that everything in this process uses. */
  #keysVersion = -1;

  constructor(dependencies: NodeWatchDependencies) {
    this.#dependencies = dependencies;
    dependencies.database.onFenced = () => this.#ended.resolve(endedError());
  }

  /** Resolves when this process is no node any more: it must end. */
  get ended(): Promise<HubError> {
    return this.#ended.promise;
  }

  /** From now on the others learn how far this node is. */
  report(progress: NodeProgress): void {
    this.#progress = progress;
  }

  /** `follower` reads the hub's keys again; it runs soon after each change of them. */
  followKeys(follower: () => Promise<void>): void {
    this.#followers.push(follower);
  }

  /** Waits until every node uses the newest keys. Throws `conflict` where one does not within `waitMs`. */
  async assertKeysUsed(signal: AbortSignal, waitMs = KEYS_WAIT_MS): Promise<void> {
    const { database, keys } = this.#dependencies;
    const untilMs = performance.now() + waitMs;
    for (;;) {
      const nodes = await listNodes(database.read, database.clock);
      const late = nodes.find(
        ({ state, keysVersion }) => (state === 'running' || state === 'silent') && keysVersion < keys.version,
      );
      if (late === undefined || signal.aborted) return;
      if (performance.now() > untilMs) throw lateError(late);
      await pause(lookMs);
    }
  }

  get jobs(): readonly Job[] {
    return [
      {
        name: 'node-claim',
        summary: 'renews the claim of this node and says how far it is',
        everyMilliseconds: beatMs,
        runsOn: 'every-node',
        run: () => this.#beat(),
      },
      {
        name: 'node-watch',
        summary: 'looks whether this node was removed, and what the others do',
        everyMilliseconds: lookMs,
        runsOn: 'every-node',
        run: () => this.look(),
      },
      {
        name: 'node-silence',
        summary: 'raises an alert about a node that is silent',
        everyMilliseconds: silenceMs,
        runsOn: 'one-node',
        run: () => this.weighSilence(),
      },
    ];
  }

  readonly metrics = (registry: Registry): void => {
    const each = (name: string, help: string, value: (node: NodeView) => number, labels: readonly string[] = []) => {
      const gauge: Gauge = new Gauge({
        name,
        help,
        labelNames: ['node', ...labels],
        registers: [registry],
        collect: () => {
          gauge.reset();
          for (const node of this.#nodes.filter(({ state }) => state !== 'removed')) {
            const { name: label, version } = node;
            gauge.set(labels.length === 0 ? { node: label } : { node: label, version }, value(node));
          }
        },
      });
    };
    each('edgekeep_node_up', 'Whether this node renews its claim.', ({ state }) => (state === 'running' ? 1 : 0), [
      'version',
    ]);
    each('edgekeep_node_silent_seconds', 'Seconds since a node was seen.', ({ silentMs = 0 }) => silentMs / 1_000);
    each('edgekeep_node_log_lag', 'Entries that the tiles of a node do not have yet.', ({ logLag }) => logLag);
    each('edgekeep_node_connections', 'Connections of devices on a node.', ({ connections }) => connections);
  };

  /** Reads the nodes, and ends this one where it was removed or replaced. */
  async look(): Promise<void> {
    const { database, claim } = this.#dependencies;
    const own = await database.read
      .selectFrom('node')
      .select(['claim', 'removed_at'])
      .where('id', '=', claim.id)
      .executeTakeFirst();
    if (own?.claim !== claim.claim || own.removed_at !== null) {
      this.#ended.resolve(endedError());
      return;
    }
    await assertFloor(database.read).catch((error: unknown) => {
      if (!(error instanceof HubError)) throw error;
      this.#ended.resolve(error);
    });
    this.#nodes = await listNodes(database.read, database.clock);
    await this.#followKeys();
  }

  async #followKeys(): Promise<void> {
    const { keys } = this.#dependencies;
    await keys.refresh();
    const { version } = keys;
    if (version === this.#keysVersion) return;
    for (const follower of this.#followers) await follower();
    // Told to the others when nothing here uses the ones before.
    this.#keysVersion = version;
    await this.#beat();
  }

  async weighSilence(): Promise<void> {
    const { database, clock, settings } = this.#dependencies;
    for (const { name, state, silentMs = 0, addresses } of await listNodes(database.read, database.clock)) {
      const about = { kind: 'node-silent', subject: { part: `node:${name}` }, nowMs: clock() } as const;
      const isSilent = state === 'silent' && silentMs > settings.nodes.silentSeconds * 1_000;
      const silent = {
        severity: 'high',
        title: `node ${name} of this hub is silent`,
        data: { node: name, ...(addresses === undefined ? {} : { device: addresses.device }) },
      } as const;
      await weighAlert(database, about, isSilent ? silent : { settled: `the node is ${state}` });
    }
  }

  async #beat(): Promise<void> {
    const { database, claim } = this.#dependencies;
    const row = {
      seen_at: database.clock,
      version: productVersion,
      keys_version: Math.max(0, this.#keysVersion),
      ...(this.#progress === undefined
        ? {}
        : { log_size: this.#progress.logSize(), connections: this.#progress.connections() }),
    };
    await database.writeAsHub((trx) =>
      trx.updateTable('node').set(row).where('id', '=', claim.id).where('claim', '=', claim.claim).execute(),
    );
  }
}

function lateError({ name, state }: NodeView): HubError {
  return new HubError(
    'conflict',
    `node ${name} (${state}) does not use the newest keys yet: if its machine is lost, \`edgekeep hub nodes remove ${name}\``,
  );
}

function endedError(): HubError {
  return new HubError(
    'node-ended',
    'this node was removed, or another process is this node now: `edgekeep hub nodes list` on another node shows it',
  );
}
