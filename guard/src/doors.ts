// Listening sockets that the guard inherited: it accepts connections from them once it serves, without help from another process.
import { createServer, type Server } from 'node:net';
import type { GuardDoor } from '@edgekeep/core/model/guard-protocol';
import { GuardError } from './error.ts';
import type { InferenceServer } from './inference-server.ts';

/** Connections that wait to be accepted. */
const backlog = 64;

export class Doors {
  readonly #servers: readonly Server[];

  /** Connections go to `server` from now on; throws `order-invalid` for a descriptor that is no listening socket. */
  static async open(doors: readonly GuardDoor[], server: Pick<InferenceServer, 'accept'>): Promise<Doors> {
    return new Doors(await Promise.all(doors.map((door) => listen(door, server))));
  }

  private constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  /** Accepts the connections that exist now, and no more. */
  async close(): Promise<void> {
    // One turn of the event loop accepts what the kernel holds already.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    for (const server of this.#servers) server.close();
  }
}

async function listen({ kind, descriptor }: GuardDoor, server: Pick<InferenceServer, 'accept'>): Promise<Server> {
  const door = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    server.accept(socket, kind);
  });
  const listening = Promise.withResolvers<void>();
  door.once('error', listening.reject);
  try {
    door.listen({ fd: descriptor, backlog }, listening.resolve);
    await listening.promise;
  } catch (cause) {
    throw new GuardError('order-invalid', `descriptor ${descriptor} is no listening socket`, { cause });
  }
  return door;
}
