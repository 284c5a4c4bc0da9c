// A PostgreSQL server in a network of its own, which a test cuts off: a network namespace with one virtual cable. Only root can make one.
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ordinaryUser } from '@edgekeep/hub/store/testing-cluster';
import { PostgresServer } from '../../tests/support/faults/postgres-server.ts';

const name = `ek-db-${process.pid}`;
const [near, far] = [`ekn${process.pid}`, `ekf${process.pid}`];
// 198.18.0.0/15 is for tests of networks (RFC 2544).
const [hubAddress, serverAddress] = ['198.18.7.1', '198.18.7.2'];

const run = (program: string, ...args: readonly string[]) => void execFileSync(program, args, { stdio: 'pipe' });
const inside = (...args: readonly string[]) => run('ip', 'netns', 'exec', name, ...args);

/** Why there can be none, or false. */
export function withoutNetwork(): string | false {
  if (process.getuid?.() !== 0) return 'only root can make a network namespace';
  try {
    run('ip', 'netns', 'add', `${name}-probe`);
    run('ip', 'netns', 'del', `${name}-probe`);
    return false;
  } catch {
    return 'this machine lets nobody make a network namespace';
  }
}

export class CutOffServer implements AsyncDisposable {
  readonly server: PostgresServer;
  /** PEM file of the CA that certifies it. */
  readonly caFile: string;

  private constructor(server: PostgresServer, caFile: string) {
    this.server = server;
    this.caFile = caFile;
  }

  static async make(folder: string): Promise<CutOffServer> {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    run('ip', 'netns', 'add', name);
    run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
    run('ip', 'address', 'add', `${hubAddress}/30`, 'dev', near);
    run('ip', 'link', 'set', near, 'up');
    inside('ip', 'address', 'add', `${serverAddress}/30`, 'dev', far);
    inside('ip', 'link', 'set', far, 'up');
    inside('ip', 'link', 'set', 'lo', 'up');
    const certificate = makeCertificate(folder);
    const config = [
      `listen_addresses=${serverAddress}`,
      'ssl=on',
      `ssl_cert_file=${certificate.file}`,
      `ssl_key_file=${certificate.key}`,
    ];
    const server = await PostgresServer.make(join(folder, 'server'), { config, prefix: ['ip', 'netns', 'exec', name] });
    appendFileSync(join(server.folder, 'data', 'pg_hba.conf'), `hostssl all all ${hubAddress}/32 trust\n`);
    await server.ask((client) => client.query('select pg_reload_conf()'));
    return new CutOffServer(server, certificate.file);
  }

  get url(): string {
    const { user, database } = this.server.place;
    return `postgres://${user}@${serverAddress}:5432/${database}`;
  }

  /** Nothing passes, in either direction, and nobody hears of it. */
  cut(): void {
    inside('ip', 'link', 'set', far, 'down');
  }

  mend(): void {
    inside('ip', 'link', 'set', far, 'up');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    run('ip', 'netns', 'del', name);
  }
}

function makeCertificate(folder: string): { readonly file: string; readonly key: string } {
  const [file, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  const names = ['-subj', '/CN=database', '-addext', `subjectAltName=IP:${serverAddress}`];
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
  run('openssl', 'req', ...made, ...names, '-keyout', key, '-out', file);
  const { ids } = ordinaryUser();
  if (ids !== undefined) chownSync(key, ids.uid, ids.gid);
  chmodSync(key, 0o600);
  if (!readFileSync(file, 'utf8').startsWith('-----BEGIN')) throw new TypeError('openssl made no certificate');
  return { file, key };
}
