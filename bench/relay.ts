// How long a device takes to prove itself, as its hub measures it, with its TPM nearby and far away: what a relay adds
// (docs/design/relay.md). Every command to the TPM simulator goes through a proxy that delays it; the network to the hub stays loopback.
import { connect, createServer, type Socket } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { testSimulators } from '@edgekeep/hardware/tpm/testing';
import type { TpmAddress } from '@edgekeep/hardware/tpm/transport';
import { healthyBoot, referenceValuesOf } from '../tests/support/boot.ts';
import { HubWorld } from '../tests/support/hub-world.ts';
import { TestDevice } from '../tests/support/test-device.ts';
import { type Benchmark, number } from './harness.ts';

/** The round trip to the TPM, milliseconds. */
const ways = [0, 1, 5, 20, 50] as const;
const model = { name: 'surface', version: '1.0.0' } as const;

export const bench: Benchmark = {
  name: 'relay',
  title: 'A TPM that is far from its device',
  budget: 'what a way to the TPM adds to the time of a proof is known, with its error',
  async run(harness) {
    const releases = harness.quick ? 6 : 24;
    const simulators = await testSimulators();
    await using closing = new AsyncDisposableStack();
    closing.use(simulators);
    const simulator = await simulators.start('relayed');
    const vendor = await simulator.vendorCertificates();
    const settings = { lease: { maxPerWindow: 10_000 } };
    const world = closing.use(await HubWorld.open({ vendorRoots: [vendor.root, vendor.intermediate], settings }));
    await world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0'));
    await world.publishModel(model.name, model.version, 'weights');
    const proxy = closing.use(await DelayingProxy.open(simulator.address));
    const { address } = proxy;
    const device = closing.use(await TestDevice.withTpm('press-1', { address }));
    await device.enroll(world);
    const rows: string[] = [];
    for (const wayMs of ways) {
      proxy.wayMs = wayMs;
      const commands = proxy.commands;
      await using link = await device.connect(world.hub);
      await device.askForKey(link, model.name, model.version);
      for (let count = 0; count < releases; count += 1) await device.release(link, model.name, model.version);
      const times = proofTimes(world.storeFile, releases).toSorted((a, b) => a - b);
      const median = times[Math.floor(times.length / 2)] ?? 0;
      const deviation =
        times.map((ms) => Math.abs(ms - median)).toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
      const each = (proxy.commands - commands) / (releases + 2);
      rows.push(
        `| ${wayMs} | ${number(median)} | ${number(deviation)} | ${number(times[0] ?? 0)} to ${number(times.at(-1) ?? 0)} | ${number(each)} |`,
      );
    }
    const head =
      '| way to the TPM and back, ms | proof, median ms | median deviation, ms | least to most, ms | TPM commands a release |';
    harness.note(`${head}\n|---|---|---|---|---|\n${rows.join('\n')}`);
  },
};

function proofTimes(storeFile: string, count: number): readonly number[] {
  using store = new DatabaseSync(storeFile, { readOnly: true });
  return store
    .prepare('select round_trip_ms as ms from lease where round_trip_ms is not null order by granted_at desc limit ?')
    .all(count)
    .map(({ ms }) => Number(ms));
}

/** Forwards bytes after half the round trip, in both directions. */
class DelayingProxy {
  readonly address: TpmAddress;
  wayMs = 0;
  /** Chunks sent to the TPM: a command is one. */
  commands = 0;
  readonly #close: () => void;

  private constructor(address: TpmAddress, close: () => void) {
    this.address = address;
    this.#close = close;
  }

  static async open(to: TpmAddress): Promise<DelayingProxy> {
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = to.kind === 'tcp' ? connect(to.port, to.host) : connect(to.path);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => socket.destroy());
      }
      near.on('data', (bytes) => {
        proxy.commands += 1;
        setTimeout(() => far.write(bytes), proxy.wayMs / 2);
      });
      far.on('data', (bytes) => setTimeout(() => near.write(bytes), proxy.wayMs / 2));
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const own = server.address();
    if (own === null || typeof own === 'string') throw new TypeError('the proxy has no TCP address');
    const proxy = new DelayingProxy({ kind: 'tcp', host: '127.0.0.1', port: own.port }, () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return proxy;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}
