// A connection that breaks in the middle of an upload.
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { HubWorld } from './hub-world.ts';

/**
 * A TCP proxy that ends each of the first connections after this many bytes from the client, and then goes on to the next of these ports: to
 * another node, or to the same hub.
 */
export async function breakingProxy(ports: readonly number[], breaks: readonly number[]) {
  const sockets = new Set<Socket>();
  let large = 0;
  const server = createServer((client) => {
    const port = ports[Math.min(large, ports.length - 1)];
    if (port === undefined) throw new TypeError('no port');
    const upstream = connect(port, '127.0.0.1');
    let bytes = 0;
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
    client.on('data', (chunk) => {
      bytes += chunk.length;
      const maxBytes = breaks[large];
      if (maxBytes !== undefined && bytes > maxBytes) {
        large += 1;
        client.destroy();
        upstream.destroy();
      } else upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk)).on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no TCP address');
  return {
    port: address.port,
    broken: () => large,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The operator file of a hub, at another port of this machine. */
export async function operatorFileAt(world: HubWorld, folder: string, port: number): Promise<string> {
  const access: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  const file = join(folder, 'operator.json');
  const url = `https://127.0.0.1:${port}`;
  await writeFile(file, JSON.stringify({ ...access, url, serverName: 'localhost' }), { mode: 0o600 });
  return file;
}
