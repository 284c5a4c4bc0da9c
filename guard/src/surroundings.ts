// The environment of the guard at its start: the channel to the agent that spawned it, or the sockets that systemd opened for it (deploy/).
// Follows spec/guard.md sections 5 and 7.
import { readFileSync, readlinkSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { totalmem } from 'node:os';
import type { Duplex } from 'node:stream';
import type { GuardDoor, GuardSurroundings } from '@edgekeep/core/model/guard-protocol';
import { GuardError } from './error.ts';

export interface Surroundings {
  readonly stream: Duplex;
  /** Where connections are accepted when the agent's order names no socket. */
  readonly doors: readonly GuardDoor[];
  /** The environment of a guard that systemd started. */
  readonly own: GuardSurroundings | undefined;
}

/** The channel of a spawned guard, and the first socket of an activated one (sd_listen_fds(3)). */
const firstDescriptor = 3;
/** Made by the sandbox; it contains no file that a model could name. */
const emptyFolder = '/empty';

/** Undefined when there is neither. */
export async function openSurroundings(): Promise<Surroundings | undefined> {
  leaveForEmptyFolder();
  const { LISTEN_FDS: count, LISTEN_PID: processId, LISTEN_FDNAMES: names } = process.env;
  if (count !== undefined && Number(processId) === process.pid) return acceptAgent((names ?? '').split(':'));
  try {
    const stream = new Socket({ fd: firstDescriptor, readable: true, writable: true });
    return { stream, doors: [], own: undefined };
  } catch {
    // The descriptor is invalid or no socket: there is no channel, and the guard does not start.
    return undefined;
  }
}

/** The first client is the agent: the mode of the socket decides who may connect. */
async function acceptAgent(names: readonly string[]): Promise<Surroundings> {
  const descriptorOf = (name: string) => (names.includes(name) ? firstDescriptor + names.indexOf(name) : undefined);
  const control = descriptorOf('control');
  if (control === undefined) throw new GuardError('order-invalid', 'systemd gave no socket named control');
  const server = createServer();
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve));
  server.listen({ fd: control });
  const stream = await connected;
  server.on('connection', (socket) => socket.destroy());
  const doors = (['local', 'loopback'] as const).flatMap((kind) => {
    const descriptor = descriptorOf(kind);
    return descriptor === undefined ? [] : [{ kind, descriptor }];
  });
  return { stream, doors, own: ownSurroundings() };
}

function ownSurroundings(): GuardSurroundings {
  const status = readFileSync('/proc/self/status', 'utf8');
  const has = (pattern: RegExp) => pattern.test(status);
  const named = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`);
  return {
    userId: process.getuid?.() ?? 0,
    noNewPrivileges: has(/^NoNewPrivs:\s1$/m),
    capabilities: !has(/^CapPrm:\s0{16}$/m) || !has(/^CapBnd:\s0{16}$/m),
    systemCallFilter: has(/^Seccomp:\s2$/m),
    // At 0 the kernel still starts a program that collects core files.
    coreFiles: !/^Max core file size\s+1\s/m.test(readFileSync('/proc/self/limits', 'utf8')),
    memoryLimit: process.constrainedMemory() > 0 && process.constrainedMemory() < totalmem(),
    namespaces: { net: named('net'), ipc: named('ipc'), mnt: named('mnt'), pid: named('pid') },
  };
}

function leaveForEmptyFolder(): void {
  try {
    process.chdir(emptyFolder);
  } catch {
    // Without a separate file system the guard stays where it was started, and reports the missing wall by name.
  }
}
