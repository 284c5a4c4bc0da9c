// A proxy for tests: it connects where CONNECT asks, or sends what a hostile one would.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export interface TestProxy {
  readonly port: number;
  /** The head of each request, as it came. */
  readonly heads: readonly string[];
}

/** `answer` gets the head of a request and the connection; left out: a proxy that does its work. */
export async function startProxy(
  t: Pick<TestContext, 'after'>,
  answer: (head: string, socket: Socket) => void = relay,
  tls?: TlsOptions,
): Promise<TestProxy> {
  const heads: string[] = [];
  const open = new Set<Socket>();
  const serve = (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
    let head = '';
    const read = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      if (!head.endsWith('\r\n\r\n')) return;
      socket.off('data', read).pause();
      heads.push(head);
      answer(head, socket);
    };
    socket.on('data', read);
  };
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return { port: address.port, heads };
}

/** Connects, answers 200, and passes bytes both ways. */
export function relay(head: string, socket: Socket, answer = 'HTTP/1.1 200 Connection established\r\n\r\n'): void {
  const [, host = '', port] = /^CONNECT \[?([^\]\s]+?)\]?:(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
  const onward = connect(Number(port), host, () => {
    socket.write(answer);
    socket.pipe(onward).pipe(socket);
  });
  onward.on('error', () => socket.destroy());
  socket.once('close', () => onward.destroy());
  onward.once('close', () => socket.destroy());
}
