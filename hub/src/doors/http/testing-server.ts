// For tests: a listener on a real TLS socket, and a client that controls every byte it sends.
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { systemClock } from '../../common/clock.ts';
import { BodyRoom, PayerClass, type PayerLimits } from './payer.ts';
import { createServer, type HttpServer } from './server.ts';

export interface TestingListener {
  readonly app: HttpServer;
  readonly payers: PayerClass;
  connect(): Promise<TestingClient>;
  [Symbol.asyncDispose](): Promise<void>;
}

const roomyLimits: PayerLimits = {
  requestsPerSecond: 1_000,
  workPerSecond: undefined,
  bytesPerSecond: 2 ** 30,
  turns: 100,
  bodies: 100,
};

/** One payer with these limits pays for all requests. */
export async function openTestingListener(
  routes: (app: HttpServer) => void,
  limits: Partial<PayerLimits> = {},
  { roomBytes = 2 ** 30, maxBodyBytes = 1 }: { roomBytes?: number; maxBodyBytes?: number } = {},
): Promise<TestingListener> {
  const authority = await makeTestAuthority('a test');
  const payers = new PayerClass({ ...roomyLimits, ...limits }, maxBodyBytes, new BodyRoom(roomBytes), systemClock);
  const tls = { cert: authority.server.certificateChainPem, key: authority.server.privateKeyPem };
  const app = createServer(tls, 'silent', 'test', {
    streams: { idleSeconds: 1, minBytesPerSecond: 1_000 },
    payerOf: () => ({ class: payers, key: 'the payer' }),
    claimOf: () => undefined,
    onRefused: () => {},
    onFormerName: () => {},
  });
  routes(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no TCP address');
  const clients: TestingClient[] = [];
  return {
    app,
    payers,
    async connect() {
      const socket = connect({
        host: '127.0.0.1',
        port: address.port,
        ca: authority.authorityPem,
        servername: 'localhost',
      });
      await once(socket, 'secureConnect');
      const client = new TestingClient(socket);
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of clients) socket.destroy();
      await app.close();
    },
  };
}

export class TestingClient {
  readonly socket: TLSSocket;
  #text = '';

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => (this.#text += chunk.toString('latin1'))).on('error', () => {});
  }

  /** Everything that the server has sent. */
  get text(): string {
    return this.#text;
  }

  /** The head of a POST with a JSON body of this many bytes, or chunked. */
  head(path: string, length: number | 'chunked', method = 'POST'): void {
    const framing = length === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${length}`;
    this.socket.write(
      `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`,
    );
  }

  chunk(text: string): void {
    this.socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
  }

  /** Resolves with the statuses and codes of the responses, once this many have arrived. */
  async answers(count: number): Promise<readonly string[]> {
    const found = () =>
      this.#text
        .split('HTTP/1.1 ')
        .slice(1)
        .map((each) => `${each.slice(0, 3)} ${/"code":"([^"]+)"/.exec(each)?.[1] ?? ''}`.trim());
    while (found().length < count) {
      if (this.socket.closed) return [...found(), 'closed'];
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
    return found();
  }
}
