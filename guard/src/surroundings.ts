// What the guard finds when it starts: the channel to the agent that spawned it, or the sockets that systemd opened for it
// (deploy/edgekeep-guard@.socket). Follows spec/guard.md sections 5 and 7.
import { createServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GuardDoor } from '@edgekeep/core/model/guard-protocol';

export interface Surroundings {
  readonly stream: Duplex;
  /** Where connections are taken when the agent's order names no door. */
  readonly doors: readonly GuardDoor[];
}

const channelDescriptor = 3;
/** sd_listen_fds(3): sockets of the unit have these numbers, in the order of its file. */
const activated = { control: 3, local: 4, loopback: 5 } as const;
/** Made by the sandbox; in it there is no file that a model could name. */
const emptyFolder = '/empty';

/** Undefined when there is neither. */
export async function openSurroundings(): Promise<Surroundings | undefined> {
  leaveForEmptyFolder();
  const { LISTEN_FDS: count, LISTEN_PID: processId } = process.env;
  if (count !== undefined && Number(processId) === process.pid) return acceptAgent(Number(count));
  try {
    const stream = new Socket({ fd: channelDescriptor, readable: true, writable: true });
    return { stream, doors: [] };
  } catch {
    // The descriptor is none, or no socket: there is no channel, and the guard does not start.
    return undefined;
  }
}

/** The first that connects is the agent: who may is the mode of the socket. */
async function acceptAgent(sockets: number): Promise<Surroundings> {
  const server = createServer();
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve));
  server.listen({ fd: activated.control });
  const stream = await connected;
  server.on('connection', (socket) => socket.destroy());
  const doors: readonly GuardDoor[] = [
    { kind: 'local', descriptor: activated.local },
    { kind: 'loopback', descriptor: activated.loopback },
  ];
  return { stream, doors: doors.slice(0, Math.max(0, sockets - 1)) };
}

function leaveForEmptyFolder(): void {
  try {
    process.chdir(emptyFolder);
  } catch {
    // Without a file system of its own the guard stays where the agent put it; the missing wall has a name.
  }
}
