// One agent per state folder: two would increment one root of trust's counters, compete for its sockets, and look like a copy to their hub.
// The lock is a socket on which its holder answers with its process id. It ends with that process, and the socket of a killed process does
// not answer.
import { messageOf } from '@edgekeep/core/message-of';
import { link, lstat, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { AgentError } from './error.ts';

/** No longer than the names of the other sockets in this folder. */
const lockName = 'lock.sock';
const ANSWER_MILLISECONDS_MAX = 2_000;
/** The number of attempts to take the name: a killed process left it, and several agents may find that at once. */
const ATTEMPTS_MAX = 100;

let made = 0;

export class StateLock {
  readonly #server: Server;
  readonly #path: string;
  readonly #file: string | undefined;

  private constructor(server: Server, path: string, file: string | undefined) {
    this.#server = server;
    this.#path = path;
    this.#file = file;
  }

  /**
   * Locks the folder; `runFolder` is its folder of sockets. Throws `state-in-use`, with the process that holds it, and `local-listener`.
   */
  static async take(runFolder: string): Promise<StateLock> {
    const path = join(runFolder, lockName);
    // It answers before it gets the name that other processes query.
    const own = join(runFolder, `.${process.pid.toString(36)}-l${made++}`);
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(`${process.pid}\n`);
    });
    // It keeps no process alive.
    server.unref();
    try {
      // A file that a killed process with the same id left.
      await rm(own, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ path: own }, resolve);
      });
      await takeName(own, path);
      return new StateLock(server, path, await fileAt(path));
    } catch (cause) {
      server.close();
      if (cause instanceof AgentError) throw cause;
      const message = messageOf(cause);
      throw new AgentError('local-listener', `cannot listen for local requests: ${message}`, { cause });
    } finally {
      await rm(own, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file !== undefined && (await fileAt(this.#path)) === this.#file) await rm(this.#path, { force: true });
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A link is made only where nothing exists: of several processes that want the name, one gets it. */
async function takeName(own: string, path: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (await linked(own, path)) return;
    const found = await ask(path);
    if (found.is === 'held') throw inUse(path, found.by);
    if (found.is === 'left') await removeLeft(own, path);
  }
  throw inUse(path, '');
}

/** Removes the socket of a killed process. One process at a time, which checks again: another that removed it may have the name already. */
async function removeLeft(own: string, path: string): Promise<void> {
  const removing = `${path}.old`;
  if (!(await linked(own, removing))) {
    // Killed while it removed it.
    if ((await ask(removing)).is === 'left') await rm(removing, { force: true });
    return;
  }
  try {
    if ((await ask(path)).is === 'left') await rm(path, { force: true });
  } finally {
    await rm(removing, { force: true });
  }
}

async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** The file that has the name now. */
async function fileAt(path: string): Promise<string | undefined> {
  try {
    const { ino, birthtimeNs } = await lstat(path, { bigint: true });
    return `${ino} ${birthtimeNs}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/**
 * `left` by a killed process: the socket exists, and no process listens. `by` is what the holder says about itself, empty when it says
 * nothing.
 */
type Found = { readonly is: 'free' | 'left' } | { readonly is: 'held'; readonly by: string };

async function ask(path: string): Promise<Found> {
  const { promise, resolve } = Promise.withResolvers<Found>();
  const socket = connect({ path });
  let found: Found = { is: 'held', by: '' };
  let text = '';
  socket.setTimeout(ANSWER_MILLISECONDS_MAX, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('latin1')).slice(0, 20);
    found = { is: 'held', by: /^\d{1,10}$/.exec(text.trim())?.[0] ?? '' };
  });
  // Any other failure does not prove that no process is there.
  socket.on('error', (error) => {
    if (codeOf(error) === 'ENOENT') found = { is: 'free' };
    if (codeOf(error) === 'ECONNREFUSED') found = { is: 'left' };
  });
  socket.once('close', () => resolve(found));
  return promise;
}

function inUse(path: string, holder: string): AgentError {
  const who = holder === '' ? 'another process' : `process ${holder}`;
  return new AgentError(
    'state-in-use',
    `an agent runs on this state folder already (${who}, at ${path}): end it first`,
  );
}
