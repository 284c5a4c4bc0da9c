// For tests: a PostgreSQL server as an operator sets it up (docs/postgresql.md): over a network, in TLS, with a password, and a role that has the rights
// of that page and no others.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { clusterUser, serverPrograms, startTestCluster, type TestCluster } from './testing-cluster.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
/** The options of a test that needs a server. */
export const onServer = { skip: serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false };

export interface NetworkServer extends TestCluster {
  readonly port: number;
  /** Where a hub's store is; `?` and further options may follow. */
  readonly url: string;
  readonly password: string;
  /** PEM; it signs itself. */
  readonly certificate: string;
  /** Runs statements as the server's administrator, in the hub's database unless another is named. */
  admin(statements: readonly string[], database?: string): Promise<void>;
}

/** Its certificate is for 127.0.0.1. */
export async function startNetworkServer(): Promise<NetworkServer> {
  const port = await freePort();
  const cluster = await startTestCluster(['listen_addresses=127.0.0.1'], port);
  const { folder } = cluster;
  const certificate = certify(cluster, 'right', '127.0.0.1');
  await useCertificate(cluster, port, 'right');
  const password = 'correct horse \u{1f40e}';
  const lines = ['local all all trust', 'hostssl edgekeep hub 127.0.0.1/32 scram-sha-256'];
  writeFileSync(join(folder, 'data', 'pg_hba.conf'), `${lines.join('\n')}\n`);
  const admin = (statements: readonly string[], database = 'edgekeep') => asAdmin(cluster, port, database, statements);
  await admin(
    [
      'select pg_reload_conf()',
      `create role hub login password '${password}'`,
      "create database edgekeep template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'",
      'revoke all on database edgekeep from public',
      'grant connect, create on database edgekeep to hub',
    ],
    'postgres',
  );
  await admin(['revoke all on schema public from public', 'grant usage, create on schema public to hub']);
  return { ...cluster, port, password, certificate, admin, url: `postgres://hub@127.0.0.1:${port}/edgekeep` };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port }: Partial<AddressInfo> = Object(server.address());
  server.close();
  await once(server, 'close');
  return port ?? 0;
}

/** A self-signed certificate for the address, in the folder of the server's data. */
export function certify({ folder }: TestCluster, name: string, address: string): string {
  const [key, certificate] = ['key', 'pem'].map((end) => join(folder, 'data', `${name}.${end}`));
  if (key === undefined || certificate === undefined) throw new TypeError('two files');
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const about = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${address}`];
  execFileSync('openssl', [...words, ...about, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const { uid, gid } = statSync(join(folder, 'data'));
  for (const file of [key, certificate]) chownSync(file, uid, gid);
  return readFileSync(certificate, 'utf8');
}

/** Connections that begin after this are shown that certificate. */
export async function useCertificate(cluster: TestCluster, port: number, name: string): Promise<void> {
  const client = new Client({ host: cluster.folder, port, user: clusterUser, database: 'postgres', password: '' });
  await client.connect();
  try {
    await client.query(`alter system set ssl_cert_file = '${name}.pem'`);
    await client.query(`alter system set ssl_key_file = '${name}.key'`);
    await client.query('alter system set ssl = on');
    await client.query('select pg_reload_conf()');
    for (let on = ''; on !== `${name}.pem`;) {
      const { rows } = await client.query<{ file: string }>("select current_setting('ssl_cert_file') as file");
      on = rows[0]?.file ?? '';
    }
  } finally {
    await client.end();
  }
}

async function asAdmin({ folder }: TestCluster, port: number, database: string, statements: readonly string[]) {
  const client = new Client({ host: folder, port, user: clusterUser, database, password: '' });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
