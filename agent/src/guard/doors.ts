// Listening Unix sockets that a guard inherits. A guard accepts connections from its own socket, without the agent; a rename decides which
// socket a public name leads to.
import { linkSync, renameSync, rmSync } from 'node:fs';
import { chmod, readdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { GuardDoor } from '@edgekeep/core/model/guard-protocol';
import { z } from 'zod';

/** Owner and group may query the model: the operator chooses the group by the folder's ownership. */
export const socketMode = 0o660;
/** Only the agent uses this one, to pass on what arrives over TCP. */
const loopbackMode = 0o600;
/** Connections that wait to be accepted. */
export const backlog = 64;

/** What Node keeps behind a listening server; a child can inherit its descriptor. */
const handleSchema = z.object({ _handle: z.object({ fd: z.int().min(0) }) });

let made = 0;

/** The listening sockets of a guard that systemd runs: names that stay. */
export interface UnitDoors {
  readonly kind: 'unit';
  readonly local: string;
  readonly loopback: string;
}

/** The listening sockets of one guard, under names that are not public yet. */
export class GuardDoors {
  readonly kind = 'own';
  readonly doors: readonly GuardDoor[];
  readonly local: string;
  readonly loopback: string | undefined;
  readonly #servers: readonly Server[];

  static async make(folder: string, withLoopback: boolean): Promise<GuardDoors> {
    const local = await Door.listen(folder, socketMode);
    const loopback = withLoopback ? await Door.listen(folder, loopbackMode) : undefined;
    return new GuardDoors(local, loopback);
  }

  private constructor(local: Door, loopback: Door | undefined) {
    const all = loopback === undefined ? [local] : [local, loopback];
    this.local = local.path;
    this.loopback = loopback?.path;
    this.#servers = all.map(({ server }) => server);
    this.doors = all.map(({ descriptor }, at) => ({ kind: at === 0 ? 'local' : 'loopback', descriptor }));
  }

  /** The guard listens on them now: closes the agent's own descriptors. */
  handedOver(): void {
    for (const server of this.#servers) server.close();
  }

  [Symbol.dispose](): void {
    this.handedOver();
    for (const path of [this.local, this.loopback]) if (path !== undefined) rmSync(path, { force: true });
  }
}

/** A listening Unix socket in a folder, under a name that `close` of the server does not remove. */
export class Door {
  readonly server: Server;
  readonly path: string;

  static async listen(
    folder: string,
    mode: number,
    accept: (socket: Socket) => void = (socket) => socket.destroy(),
  ): Promise<Door> {
    const bound = join(folder, `.${process.pid.toString(36)}-${made++}`);
    const path = join(folder, `.${process.pid.toString(36)}-${made++}`);
    // A file that a killed agent with the same process id left.
    await Promise.all([rm(bound, { force: true }), rm(path, { force: true })]);
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => undefined);
      accept(socket);
    });
    await listening(server, { path: bound, backlog });
    try {
      await chmod(bound, mode);
      linkSync(bound, path);
      return new Door(server, path);
    } catch (error) {
      server.close();
      throw error;
    }
  }

  private constructor(server: Server, path: string) {
    this.server = server;
    this.path = path;
  }

  get descriptor(): number {
    // oxlint-disable-next-line eslint/no-underscore-dangle -- Node gives a listening server's descriptor by no other name
    return handleSchema.parse(this.server)._handle.fd;
  }

  /** Takes a name from its present owner, in one step. */
  appearAs(name: string): void {
    const second = `${this.path}n`;
    linkSync(this.path, second);
    renameSync(second, name);
    // rename leaves two names of one socket alone.
    rmSync(second, { force: true });
  }

  [Symbol.dispose](): void {
    this.server.close();
    rmSync(this.path, { force: true });
  }
}

// The names of `Door`, of a link to a unit's socket and of the lock of the folder before they get a public name.
const hiddenName = /^\.[0-9a-z]+-(?:\d+n?|l\d+|link)$/;

/** Removes what a killed agent left in its folder of sockets. Call it only while holding the folder alone, and before listening there. */
export async function removeLeftDoors(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const left = entries.filter((entry) => hiddenName.test(entry.name) && (entry.isSocket() || entry.isSymbolicLink()));
  await Promise.all(left.map(({ name }) => rm(join(folder, name), { force: true })));
}

/** Resolves when the server listens. */
export async function listening(server: Server, where: object): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(where, resolve);
  await promise;
}
