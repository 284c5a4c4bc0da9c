// One agent a state folder: two would count up one root of trust, fight for its sockets, and look like a copy to their hub. The lock is a socket
// that its holder answers with the number of its process; it ends with that process, and what a killed one leaves behind answers nobody.
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { AgentError } from './error.ts';

/** No longer than the names of the other sockets in this folder. */
const lockName = 'lock.sock';
const answerMillisecondsMax = 2_000;

export class StateLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Takes the folder; `runFolder` is its folder of sockets. Throws `state-in-use`, with the process that has it, and `local-listener`. */
  static async take(runFolder: string): Promise<StateLock> {
    const path = join(runFolder, lockName);
    const holder = await askHolder(path);
    if (holder !== undefined) throw inUse(path, holder);
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(`${process.pid}\n`);
    });
    // It keeps no process alive.
    server.unref();
    try {
      await rm(path, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ path }, resolve);
      });
    } catch (cause) {
      server.close();
      // Another one was faster.
      if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') throw inUse(path, '');
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new AgentError('local-listener', `cannot listen for local requests: ${message}`, { cause });
    }
    return new StateLock(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** What the holder says of itself, the empty text when it says nothing; undefined when there is none. */
async function askHolder(path: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ path });
  let isAnswered = false;
  let text = '';
  socket.setTimeout(answerMillisecondsMax, () => socket.destroy());
  socket.once('connect', () => {
    isAnswered = true;
  });
  socket.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('latin1')).slice(0, 20);
  });
  socket.on('error', () => undefined);
  socket.once('close', () => resolve(isAnswered ? (/^\d{1,10}$/.exec(text.trim())?.[0] ?? '') : undefined));
  return promise;
}

function inUse(path: string, holder: string): AgentError {
  const who = holder === '' ? 'another process' : `process ${holder}`;
  return new AgentError(
    'state-in-use',
    `an agent runs on this state folder already (${who}, at ${path}): end it first`,
  );
}
