// A TCP port that is free now: for a hub that must have the same one at every start, or a port that nobody listens on. It is below the ports that
// Linux gives to clients (32768 and up): one of those would be taken by the next connection of another test.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const [from, below] = [12_000, 32_000];

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(from, below);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    // In use.
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
