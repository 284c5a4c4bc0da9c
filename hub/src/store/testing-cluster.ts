// For tests: a PostgreSQL server of its own in a temporary folder, on a Unix socket, which ends with the process that started it. What Debian
// installed runs no server.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';

const programs = '/usr/lib/postgresql';
const prefix = 'ek-pg-';
/** Has the number of the process that a server is for, and the namespace in which that number counts: containers can share /dev/shm. */
const ownerFile = 'owner';
/** A database of a test takes 10 MB until the test ends. */
const MEMORY_BYTES_MIN = 2 ** 31;
export const clusterUser = 'edgekeep';

export interface TestCluster {
  /** The folder of its socket. */
  readonly folder: string;
  /** Shuts it down, as for a restart. */
  halt(): Promise<void>;
  /** Starts it again on its data. */
  launch(): Promise<void>;
  [Symbol.dispose](): void;
}

/** The programs of the newest server that is installed. */
export function serverPrograms(): string | undefined {
  if (!existsSync(programs)) return undefined;
  const versions = readdirSync(programs).toSorted((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(programs, version, 'bin')).find((each) => existsSync(join(each, 'initdb')));
}

/** Makes one and starts it. `config` is added to its settings. */
export async function startTestCluster(config: readonly string[] = [], port = 5432): Promise<TestCluster> {
  const bin = serverPrograms();
  if (bin === undefined) throw new TypeError('PostgreSQL is not installed: `node scripts/setup.mjs test`');
  removeLeft(parent());
  const folder = mkdtempSync(join(parent(), prefix));
  writeFileSync(join(folder, ownerFile), `${namespace()} ${process.pid}`);
  const data = join(folder, 'data');
  const { drop, ids } = ordinaryUser();
  if (ids !== undefined) chownSync(folder, ids.uid, ids.gid);
  const init = ['-D', data, '-U', clusterUser, '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync'];
  run([...drop, join(bin, 'initdb'), ...init]);
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${folder}`,
    `port=${port}`,
    'max_connections=200',
    'shared_buffers=64MB',
  ];
  const words = [...settings, 'wal_level=minimal', 'max_wal_senders=0', ...config].flatMap((each) => ['-c', each]);
  const args = ['--pdeathsig', 'INT', ...drop.slice(1), join(bin, 'postgres'), '-D', data, ...words];
  let server: ChildProcess | undefined;
  const launch = async () => {
    server = await launched(args, () => isReady(folder, port));
  };
  const stop = () => {
    // An immediate shutdown: nobody needs what is in it.
    server?.kill('SIGQUIT');
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    } catch {
      // It is still ending, and leaves a few files in memory.
    }
  };
  process.once('exit', stop);
  await launch();
  return {
    folder,
    launch,
    halt: async () => {
      if (server === undefined || server.exitCode !== null) return;
      const ended = once(server, 'exit');
      // Ends the connections and writes everything.
      server.kill('SIGINT');
      await ended;
    },
    [Symbol.dispose]() {
      process.removeListener('exit', stop);
      stop();
    },
  };
}

async function launched(args: readonly string[], ready: () => Promise<void>): Promise<ChildProcess> {
  const server = spawn('setpriv', [...args], { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/tmp' });
  const ended = once(server, 'exit');
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => (log = `${log}${text}`.slice(-4_000)));
  // Neither keeps this process alive.
  server.unref();
  if ('unref' in server.stderr && typeof server.stderr.unref === 'function') server.stderr.unref();
  await Promise.race([ready(), ended.then(() => Promise.reject(new TypeError(`PostgreSQL did not start:\n${log}`)))]);
  return server;
}

// In memory, where each commit waits for no disk; paths of sockets are short.
function parent(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > MEMORY_BYTES_MIN) return '/dev/shm';
  } catch {
    // No such file system.
  }
  return '/tmp';
}

/** What processes left that were killed: their servers have ended with them. */
function removeLeft(where: string): void {
  for (const name of readdirSync(where).filter((each) => each.startsWith(prefix))) {
    try {
      const [space, owner] = readFileSync(join(where, name, ownerFile), 'utf8').split(' ');
      if (space === namespace() && !existsSync(`/proc/${owner}`))
        rmSync(join(where, name), { recursive: true, force: true });
    } catch {
      // It is another user's, or just begins.
    }
  }
}

function namespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

export interface OrdinaryUser {
  readonly drop: readonly string[];
  readonly ids: { readonly uid: number; readonly gid: number } | undefined;
}

/** PostgreSQL does not run as root: words that run a program as an ordinary user. */
export function ordinaryUser(): OrdinaryUser {
  if (process.getuid?.() !== 0) return { drop: [], ids: undefined };
  const { status, stdout } = spawnSync('id', ['-u', 'postgres'], { encoding: 'utf8' });
  if (status !== 0) throw new TypeError('there is no user postgres: `node scripts/setup.mjs test` installs PostgreSQL');
  const uid = Number(stdout);
  const gid = Number(spawnSync('id', ['-g', 'postgres'], { encoding: 'utf8' }).stdout);
  return { drop: ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups'], ids: { uid, gid } };
}

function run([program = '', ...args]: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: '/tmp' });
  if (status !== 0) throw new TypeError(`${program} failed: ${stderr}`);
}

async function isReady(folder: string, port: number): Promise<void> {
  for (;;) {
    const client = new Client({ host: folder, port, user: clusterUser, database: 'postgres', password: '' });
    try {
      await client.connect();
      return;
    } catch {
      // It is starting: the race with its end bounds this.
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
