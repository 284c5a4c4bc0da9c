// A request whose last byte waits: an attacker who is let in now and acts later.
import { connect, type TLSSocket } from 'node:tls';

export interface HalfRequest {
  /** Settles once the hub has read the head and asks for the body. */
  readonly letIn: Promise<void>;
  /** Sends the missing part; returns the status, or undefined when the hub closed the connection without an answer. */
  finish(): Promise<{ readonly status: number | undefined; readonly text: string }>;
}

export interface RequestText {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** On a separate connection to the operator listener. */
export async function halfToOperator(
  hub: { readonly operatorAddress: { readonly host: string; readonly port: number }; readonly rootPem: string },
  request: RequestText,
): Promise<HalfRequest> {
  const { host, port } = hub.operatorAddress;
  const socket = connect({ host, port, ca: hub.rootPem, servername: 'localhost' });
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return halfOn(socket, request);
}

/** Everything but the last byte of the body, on this connection. */
export function halfOn(socket: TLSSocket, { method, path, headers = {}, body }: RequestText): HalfRequest {
  const bytes = Buffer.from(body);
  const fields = {
    host: 'localhost',
    connection: 'close',
    expect: '100-continue',
    'content-length': String(bytes.length),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  // Cut off: equivalent to a refusal.
  socket.on('error', () => undefined);
  const letIn = new Promise<void>((resolve) => socket.once('data', () => resolve()).once('close', () => resolve()));
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  socket.write(bytes.subarray(0, -1));
  return {
    letIn,
    async finish() {
      if (!socket.destroyed) socket.write(bytes.subarray(-1));
      await ended;
      const [, status] = [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].findLast(([, code]) => code !== '100') ?? [];
      return { status: status === undefined ? undefined : Number(status), text };
    },
  };
}
