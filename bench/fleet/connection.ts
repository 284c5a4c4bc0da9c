// A device's connection: TLS 1.3 with its certificate, one HTTP/1.1 request at a time. Smaller than the agent's, so that ten thousand of
// them use as little of the machine as possible beside the measured hub.
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { channelBinding } from '@edgekeep/wire/link/channel-binding';
import { tlsClientOptions } from '@edgekeep/wire/link/tls';
import { DeviceFailure } from './failures.ts';
import type { FleetFile, Member } from './member.ts';

export interface HubAddress {
  readonly host: string;
  readonly port: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class DeviceConnection {
  readonly exporter: Uint8Array;
  readonly closed: Promise<void>;
  readonly #socket: TLSSocket;
  #waiting: Waiting | undefined;
  #received: Buffer = Buffer.alloc(0);
  #bodyEnd = 0;
  #bodyStart = 0;
  #open = true;
  /** Bytes of HTTP on all connections so far: what TLS protects in records. */
  static bytesSent = 0;
  static bytesReceived = 0;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.exporter = channelBinding(socket);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#open = false;
      this.#waiting?.reject(new DeviceFailure('connection-lost', 'the hub closed the connection'));
      this.#waiting = undefined;
      resolve();
    });
  }

  /** Throws `DeviceFailure` when the hub cannot be reached or ends the handshake. */
  static async open(address: HubAddress, fleet: FleetFile, { tlsChain, tlsKey }: Member): Promise<DeviceConnection> {
    const credential = { certificateChainPem: tlsChain, privateKeyPem: tlsKey };
    const options: SecureContextOptions = tlsClientOptions({
      authoritiesPem: [fleet.root],
      serverName: fleet.serverName,
      credential,
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ ...options, ...address }, resolve);
    socket.setNoDelay(true);
    const fail = (cause?: Error) => reject(new DeviceFailure('connection-lost', 'no connection was made', { cause }));
    const closed = () => fail();
    socket.once('error', fail).once('close', closed);
    await promise;
    socket.off('error', fail).off('close', closed);
    return new DeviceConnection(socket);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** `headers` are whole lines, each with its end. */
  post(path: string, body: string, headers = ''): Promise<HttpAnswer> {
    if (!this.#open) return Promise.reject(new DeviceFailure('connection-lost', 'the connection has ended'));
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    this.#waiting = { resolve, reject };
    const type = body === '' ? '' : 'content-type: application/json\r\n';
    const length = Buffer.byteLength(body);
    const text = `POST ${path} HTTP/1.1\r\nhost: hub\r\n${headers}${type}content-length: ${length}\r\n\r\n${body}`;
    DeviceConnection.bytesSent += text.length;
    this.#socket.write(text);
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    DeviceConnection.bytesReceived += chunk.length;
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (this.#bodyEnd === 0) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = this.#received.toString('latin1', 0, end);
      this.#bodyStart = end + 4;
      this.#bodyEnd = this.#bodyStart + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    }
    if (this.#received.length < this.#bodyEnd) return;
    const status = Number(this.#received.toString('latin1', 9, 12));
    const body = this.#received.toString('utf8', this.#bodyStart, this.#bodyEnd);
    this.#received = Buffer.alloc(0);
    this.#bodyEnd = 0;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status, body });
  }
}
