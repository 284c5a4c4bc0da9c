// A fleet for tests of failures: a hub whose nodes are processes, devices and operators that work on it all the time, and at the end the check of
// every answer that they got against the log.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openLogSource } from '@edgekeep/cli/audit/log-source';
import { verifyLog } from '@edgekeep/cli/audit/verify-log';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import type { VerifierKey } from '@edgekeep/core/audit/note';
import type { StorePlace } from '@edgekeep/hub/store/engine/place';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { lifeProblems } from '../history/device-life.ts';
import { History } from '../history/history.ts';
import { checkpointProblems, logProblems } from '../history/log-content.ts';
import type { HubWorld } from '../hub-world.ts';
import { rowsIn } from '../outside-store.ts';
import { SoftwareWorld } from '../software-world.ts';
import { Steps } from '../steps.ts';
import { TestDevice } from '../test-device.ts';
import { askForKeys, followLog, moveStates, revokeDevice, type Work } from './clients.ts';
import { joinNodes, sealedKeys } from './joined.ts';
import { type HubNode, type NodePlace, Nodes } from './nodes.ts';

const POLL_MS = 100;

export interface FleetOptions {
  /** Devices that ask for keys while operators cut them off and let them back. */
  readonly movers?: number;
  /** Devices that ask for keys until each is revoked once. */
  readonly doomed?: number;
  /** Where its store is; left out: on the engine that this run is for. */
  readonly place?: StorePlace;
  /** Settings of the hub beside those of tests. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Left out: one. Several need PostgreSQL. */
  readonly nodes?: number;
}

export class FaultFleet implements AsyncDisposable {
  readonly world: HubWorld;
  readonly nodes: Nodes;
  readonly work: Work;
  readonly #over = new AbortController();
  readonly #devices: { readonly movers: readonly TestDevice[]; readonly doomed: readonly TestDevice[] };
  readonly #watcher: TestDevice;
  readonly #opened: AsyncDisposableStack;
  readonly #logKey: VerifierKey;
  readonly #since: number;
  #clients: Promise<unknown> = Promise.resolve();
  /** Revocations that are under way. */
  readonly #revoking: Promise<void>[] = [];
  #revoked = 0;

  private constructor(
    software: SoftwareWorld,
    places: readonly NodePlace[],
    devices: { readonly movers: readonly TestDevice[]; readonly doomed: readonly TestDevice[] },
    opened: AsyncDisposableStack,
    since: number,
  ) {
    this.world = software.world;
    this.nodes = new Nodes(places);
    this.#devices = devices;
    this.#watcher = software.device;
    this.#opened = opened;
    this.#since = since;
    this.#logKey = software.world.hub.logKey;
    const shared = { history: new History(), answers: new Steps(), keys: new Steps(), problems: [] };
    this.work = { nodes: this.nodes, over: this.#over.signal, ...shared };
  }

  /** Makes the hub and its devices. No node runs yet. */
  static async open({
    movers = 2,
    doomed = 1,
    settings = {},
    place,
    nodes = 1,
  }: FleetOptions = {}): Promise<FaultFleet> {
    await using opened = new AsyncDisposableStack();
    // One device asks for more keys here than any device needs.
    const lease = { leaseSeconds: 3_600, lease: { maxPerWindow: 1_000_000 } };
    const sealed = nodes > 1 ? await sealedKeys(opened) : undefined;
    const store = place === undefined ? {} : { place };
    const software = opened.use(
      await SoftwareWorld.open(
        { ...lease, ...sealed?.settings, ...settings },
        sealed === undefined ? store : { ...store, secret: sealed.secret },
      ),
    );
    const { world } = software;
    await world.publishModel('surface', '1.0.0', 'weights');
    const enrolled = async (id: string) => {
      const device = opened.use(await TestDevice.withoutTpm(id, join(world.folder, id)));
      await device.enroll(world);
      return device;
    };
    const all = async (name: string, count: number) =>
      Promise.all(Array.from({ length: count }, (_, at) => enrolled(`${name}-${at + 1}`)));
    const devices = { movers: await all('mover', movers), doomed: await all('doomed', doomed) };
    const own = { folder: world.hubFolder, operatorFile: world.operatorFile, rootPem: world.hub.rootPem };
    const places = [own, ...(sealed === undefined ? [] : await joinNodes(world, nodes - 1, sealed))];
    await software.link[Symbol.asyncDispose]();
    const since = (await rowsIn(world.place, 'select log_index from audit_entry')).length;
    const fleet = new FaultFleet(software, places, devices, opened.move(), since);
    await world.stop();
    return fleet;
  }

  /** Starts every node, and the clients. */
  async begin(): Promise<void> {
    await Promise.all(this.nodes.all.map((node) => node.start()));
    const { work } = this;
    this.#clients = Promise.all([
      followLog(work, this.#watcher, this.#logKey),
      ...[...this.#devices.movers, ...this.#devices.doomed].map((device) => askForKeys(work, device)),
      ...this.#devices.movers.map((device) => moveStates(work, device)),
    ]);
    // A failed client is reported by `end`.
    this.#clients.catch(() => undefined);
  }

  /** Has the next device revoked, if one is left. */
  revokeOne(): void {
    const device = this.#devices.doomed[this.#revoked];
    this.#revoked += 1;
    if (device === undefined) return;
    const revoking = revokeDevice(this.work, device);
    revoking.catch(() => undefined);
    this.#revoking.push(revoking);
  }

  /** Resolves once clients got a key and this many further answers; rejects where a client failed. */
  async progress(answers: number): Promise<void> {
    const { work } = this;
    const failed = this.#clients.then(() => Promise.reject(new Error('the clients are over')));
    const going = work.keys.more(1).then(() => work.answers.more(answers));
    await Promise.race([going, failed, this.nodes.lost]);
  }

  /** Resolves once every node runs and answers from the store, all at one time. */
  async allServe(): Promise<void> {
    for (const node of this.nodes.all) await Promise.race([serves(node), this.nodes.lost]);
  }

  /** Ends the clients and checks the answers that they got. The nodes must run; they are stopped in order. */
  async end(): Promise<FleetReport> {
    await Promise.all(this.#revoking);
    this.#over.abort();
    await this.#clients;
    for (const node of this.nodes.all) assert.equal(await node.stop(), 0, `${node.name} did not stop in order`);
    const { history, problems } = this.work;
    const rows = await rowsIn(this.world.place, 'select entry from audit_entry order by log_index');
    const entries = rows.map(({ entry }) => (entry instanceof Uint8Array ? entry : new Uint8Array(0)));
    const found = [
      ...problems,
      ...lifeProblems(history.operations),
      ...logProblems(history.operations, entries, this.#since),
      ...checkpointProblems(history.checkpoints, entries),
      ...(await leasesLost(this.world, history)),
    ];
    for (const node of this.nodes.all) await this.assertLogVerifies(node.folder);
    const lost = history.operations.filter(({ end }) => end === undefined).length;
    const keys = history.operations.filter(({ answer }) => answer?.kind === 'key').length;
    const refused = history.operations.filter(({ answer }) => answer?.kind === 'refused').length;
    const counts = {
      operations: history.operations.length,
      keys,
      refused,
      lost,
      checkpoints: history.checkpoints.length,
    };
    return { problems: found, ...counts };
  }

  /** The public files of a node, which a reader may fetch at any time. */
  async assertLogVerifies(hubFolder: string): Promise<void> {
    const folder = join(hubFolder, 'log');
    const opened = openCheckpoint(await readFile(join(folder, 'checkpoint')), this.#logKey);
    if (opened.kind !== 'verified') assert.fail(opened.reasons.join('; '));
    const options = { hashesOnly: false, progress: () => undefined };
    const verdict = await verifyLog(openLogSource(folder), opened.checkpoint, options);
    assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.nodes[Symbol.asyncDispose]();
    await this.#clients.catch(() => undefined);
    await this.#opened.disposeAsync();
  }
}

export interface FleetReport {
  readonly problems: readonly string[];
  readonly operations: number;
  readonly keys: number;
  readonly refused: number;
  readonly lost: number;
  readonly checkpoints: number;
}

export function reportText({ operations, keys, refused, lost, checkpoints }: FleetReport): string {
  return `${operations} operations, ${keys} keys released and ${refused} refused, ${lost} answers lost, ${checkpoints} checkpoints seen`;
}

async function serves(node: HubNode): Promise<void> {
  for (;;) {
    const isServing = node.process?.operator.send('POST', '/v1/enrollment-tokens', {}, enrollmentTokenResponse);
    if (
      await isServing?.then(
        () => true,
        () => false,
      )
    )
      return;
    await setTimeout(POLL_MS);
  }
}

/** A lease that was answered is in its table too. */
async function leasesLost({ place }: HubWorld, { operations }: History): Promise<readonly string[]> {
  const kept = new Set((await rowsIn(place, 'select id from lease')).map(({ id }) => id));
  const given = operations.flatMap(({ answer }) => (answer?.kind === 'key' ? [answer.lease] : []));
  const missing = given.filter((id) => !kept.has(id));
  return missing.length === 0
    ? []
    : [`${missing.length} leases that were answered are not in the store: ${missing[0]}`];
}
