// PostgreSQL over a network: the server proves its name by a CA that the operator gave, or the hub does not speak to it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { clusterUser, startTestCluster } from '../testing-cluster.ts';
import { certify, freePort, onServer, useCertificate } from '../testing-server.ts';
import { clientConfig } from './postgres-client.ts';
import type { PostgresPlace } from './postgres-place.ts';

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
