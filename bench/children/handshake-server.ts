// A TLS server with the hub's settings, in a process of its own so that its processor time is its own. Answers each message of its parent:
// first its port, then the processor time so far in milliseconds.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import { tlsServerOptions } from '@edgekeep/wire/link/tls';
import { z } from 'zod';

const [file = ''] = process.argv.slice(2);
const input = z
  .object({ certificateChainPem: z.string(), privateKeyPem: z.string(), authorityPem: z.string() })
  .parse(JSON.parse(readFileSync(file, 'utf8')));
const { certificateChainPem, privateKeyPem, authorityPem } = input;
const server = createServer(
  tlsServerOptions({
    certificateChainPem,
    privateKeyPem,
    clientAuthoritiesPem: [authorityPem],
    clientCertificate: 'required',
  }),
  (socket) => socket.on('error', () => socket.destroy()).end('!'),
);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
process.send?.(typeof address === 'object' ? address?.port : undefined);
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.((user + system) / 1000);
});
process.on('disconnect', () => process.exit());
