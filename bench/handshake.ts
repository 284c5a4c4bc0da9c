// What the hybrid key exchange costs the hub: full TLS handshakes with certificates on both sides, from clients that know X25519MLKEM768 and
// from clients that know X25519 only. One server, the hub's settings; only what the client offers differs. The time is the processor time
// of the server's process.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { tlsClientOptions } from '@edgekeep/wire/link/tls';
import { type Benchmark, type Harness, type Measurement, type Peer, spread } from './harness.ts';
import { ownProcess } from './fleet/owned.ts';

/** Beyond this a hub that was sized for classical handshakes would be too small. */
const TIMES_MAX = 1.5;
const atOnce = 8;

interface Server {
  readonly port: number;
  cpuMs(): Promise<number>;
}

export const bench: Benchmark = {
  name: 'handshake',
  title: 'The hybrid handshake',
  budget: `at most ${TIMES_MAX} times the server's processor time of the classical one`,
  async run(harness) {
    const handshakes = harness.quick ? 200 : 1_000;
    const rounds = harness.quick ? 5 : 11;
    const authority = await makeTestAuthority('Bench Root');
    const file = join(harness.scratch, 'server.json');
    await writeFile(file, JSON.stringify({ ...authority.server, authorityPem: authority.authorityPem }), {
      mode: 0o600,
    });
    const child = ownProcess(fork(join(import.meta.dirname, 'children/handshake-server.ts'), [file]));
    try {
      const server: Server = { port: await numberFrom(child), cpuMs: () => asked(child) };
      const own = tlsClientOptions({
        authoritiesPem: [authority.authorityPem],
        serverName: 'localhost',
        credential: authority.device,
      });
      await compare(harness, server, own, { handshakes, rounds });
    } finally {
      child.disconnect();
    }
  },
};

async function compare(
  harness: Harness,
  server: Server,
  own: ConnectionOptions,
  { handshakes, rounds }: { readonly handshakes: number; readonly rounds: number },
): Promise<void> {
  const taken: Readonly<Record<'classical' | 'hybrid', number[]>> = { classical: [], hybrid: [] };
  const peer = (name: string, kept: number[], options: ConnectionOptions, group: RegExp): Peer => ({
    name,
    run: async (): Promise<Measurement> => {
      const before = await server.cpuMs();
      await shake(server.port, options, handshakes, group);
      const cpuMs = (await server.cpuMs()) - before;
      kept.push(cpuMs);
      return { wallMs: cpuMs, cpuMs };
    },
  });
  await harness.compare({
    title: `${handshakes} full handshakes with certificates on both sides, processor time of the server`,
    rounds,
    work: { amount: handshakes, unit: 'handshakes' },
    peers: [
      peer('X25519', taken.classical, { ...own, ecdhCurve: 'X25519' }, /^X25519$/),
      peer('X25519MLKEM768', taken.hybrid, own, /^X25519MLKEM768$/),
    ],
  });
  // Round by round; the first one is not measured.
  const ratios = taken.hybrid.slice(1).map((mine, index) => mine / (taken.classical[index + 1] ?? Number.NaN));
  const times = spread(ratios);
  const between = `${times.least.toFixed(2)} to ${times.most.toFixed(2)}`;
  harness.figure('hybrid : classical, processor time of the server', times.median, 'times');
  harness.verdict(
    times.median <= TIMES_MAX,
    `a hybrid handshake takes ${times.median.toFixed(2)} times the processor time of a classical one (${between}); the budget is ${TIMES_MAX}.`,
  );
}

/** Makes the handshakes, a few at a time. Fails when one has another group than it should. */
async function shake(port: number, options: ConnectionOptions, count: number, group: RegExp): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const socket = connect({ ...options, host: '127.0.0.1', port });
      await once(socket, 'secureConnect');
      const name = groupOf(socket.getEphemeralKeyInfo());
      if (!group.test(name)) throw new Error(`the group of the handshake is ${name}`);
      socket.resume();
      await once(socket, 'close');
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

function groupOf(info: object | null): string {
  return info !== null && 'name' in info ? String(info.name) : 'unknown';
}

async function asked(child: ChildProcess): Promise<number> {
  child.send('processor time');
  return numberFrom(child);
}

async function numberFrom(child: ChildProcess): Promise<number> {
  const [value]: readonly unknown[] = await once(child, 'message');
  if (typeof value !== 'number') throw new Error(`the server answered ${String(value)}`);
  return value;
}
