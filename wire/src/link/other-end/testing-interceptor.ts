// For tests: a proxy that inspects TLS, as companies have. It makes a certificate for the name under an authority of its own, and passes on
// what it reads.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';

const newKey = ['-newkey', 'rsa:2048', '-nodes', '-days', '30'];

export class TlsInterceptor {
  readonly port: number;
  /** What clients sent, in the clear. */
  readonly read: readonly Buffer[];
  readonly #server: Server;
  readonly #open: Set<TLSSocket>;

  private constructor(server: Server, port: number, read: readonly Buffer[], open: Set<TLSSocket>) {
    this.#server = server;
    this.port = port;
    this.read = read;
    this.#open = open;
  }

  /** On 127.0.0.1, between clients and the server at this port. */
  static async open(hubPort: number, options: TlsOptions = {}): Promise<TlsInterceptor> {
    const read: Buffer[] = [];
    const open = new Set<TLSSocket>();
    const server = createServer({ ...forgedCertificate(), ...options }, (socket) => {
      const onward = connect({ host: '127.0.0.1', port: hubPort, rejectUnauthorized: false });
      for (const end of [socket, onward]) open.add(end.on('error', () => {}));
      socket.on('data', (chunk: Buffer) => read.push(chunk));
      socket.pipe(onward).pipe(socket);
      socket.once('close', () => onward.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    return new TlsInterceptor(server, port, read, open);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function forgedCertificate(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-interceptor-'));
  try {
    const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    const authority = ['-subj', '/O=Corp/CN=Corp TLS "Inspection" CA', '-keyout', 'ca.key', '-out', 'ca.pem'];
    openssl('req', '-x509', ...newKey, ...authority);
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    openssl('req', ...newKey, ...names, '-keyout', 'leaf.key', '-out', 'leaf.csr');
    const issuer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-copy_extensions', 'copy', '-days', '30'];
    openssl('x509', '-req', '-in', 'leaf.csr', ...issuer, '-out', 'leaf.pem');
    const text = (name: string) => readFileSync(join(folder, name), 'utf8');
    return { cert: text('leaf.pem') + text('ca.pem'), key: text('leaf.key') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
