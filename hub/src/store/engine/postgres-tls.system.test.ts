// PostgreSQL over a network: the server proves its name by a CA that the operator gave, or the hub does not speak to it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { clusterUser, serverPrograms, startTestCluster, type TestCluster } from '../testing-cluster.ts';
import { clientConfig } from './postgres-client.ts';
import type { PostgresPlace } from './postgres-place.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const onServer = { skip: serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false };

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port }: Partial<AddressInfo> = Object(server.address());
  server.close();
  await once(server, 'close');
  return port ?? 0;
}

/** A self-signed certificate for the address, in the folder of the server's data. */
function certify({ folder }: TestCluster, name: string, address: string): string {
  const [key, certificate] = ['key', 'pem'].map((end) => join(folder, 'data', `${name}.${end}`));
  if (key === undefined || certificate === undefined) throw new TypeError('two files');
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const about = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${address}`];
  execFileSync('openssl', [...words, ...about, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const { uid, gid } = statSync(join(folder, 'data'));
  for (const file of [key, certificate]) chownSync(file, uid, gid);
  return readFileSync(certificate, 'utf8');
}

async function useCertificate({ folder }: TestCluster, port: number, name: string): Promise<void> {
  const client = new Client({ host: folder, port, user: clusterUser, database: 'postgres', password: '' });
  await client.connect();
  try {
    await client.query(`alter system set ssl_cert_file = '${name}.pem'`);
    await client.query(`alter system set ssl_key_file = '${name}.key'`);
    await client.query('alter system set ssl = on');
    await client.query('select pg_reload_conf()');
    // The postmaster reads them for connections that begin after this.
    for (let on = ''; on !== `${name}.pem`;) {
      const { rows } = await client.query<{ file: string }>("select current_setting('ssl_cert_file') as file");
      on = rows[0]?.file ?? '';
    }
  } finally {
    await client.end();
  }
}

async function encrypted(place: PostgresPlace): Promise<unknown> {
  const client = new Client(clientConfig(place, 'read'));
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ ssl: number }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    return rows[0]?.ssl;
  } finally {
    await client.end();
  }
}

test(
  'a server without TLS, of another CA or of another name is refused, and the right one is spoken to in TLS',
  onServer,
  async () => {
    const port = await freePort();
    using cluster = await startTestCluster(['listen_addresses=127.0.0.1'], port);
    const place = {
      kind: 'postgres',
      host: '127.0.0.1',
      port,
      database: 'postgres',
      user: clusterUser,
      lookupMs: 1,
    } as const;
    await assert.rejects(encrypted(place), /does not support SSL/);
    const right = certify(cluster, 'right', '127.0.0.1');
    const other = certify(cluster, 'other', '192.0.2.7');
    await useCertificate(cluster, port, 'right');
    await assert.rejects(encrypted(place), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await assert.rejects(encrypted({ ...place, authorities: other }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    assert.equal(await encrypted({ ...place, authorities: right }), 1);
    await useCertificate(cluster, port, 'other');
    await assert.rejects(encrypted({ ...place, authorities: other }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  },
);
