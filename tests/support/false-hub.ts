// A server that is not the hub: it shows a certificate of the attacker's choice and notes what clients say to it.
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';

export interface FalseHub extends AsyncDisposable {
  readonly port: number;
  /** Method, path and authorization of each request. */
  readonly heard: readonly string[];
}

export async function openFalseHub({ certificateChainPem, privateKeyPem }: TlsClientCredential): Promise<FalseHub> {
  const heard: string[] = [];
  const tls = { cert: certificateChainPem, key: privateKeyPem, minVersion: 'TLSv1.3' } as const;
  const server = createServer({ ...tls, ALPNProtocols: ['http/1.1'] }, (request, response) => {
    heard.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  // A client that refuses the certificate resets the connection.
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    heard,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
