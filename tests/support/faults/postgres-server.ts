// A PostgreSQL server that a test kills, cuts off, fills the disk of, and replaces by its standby: with the durability that a hub wants, on a disk, and
// started again as a service manager would. Its clients find it in one folder, whichever server of a pair has the socket there: as by a virtual address.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { PostgresPlace } from '@edgekeep/hub/store/engine/postgres-place';
import { clusterUser, ordinaryUser, serverPrograms } from '@edgekeep/hub/store/testing-cluster';
import { Client } from 'pg';
import { endChild } from '../child.ts';

const RETRY_MS = 100;
const database = 'edgekeep';
const socketName = '.s.PGSQL.5432';

export interface ServerOptions {
  /** Added to its settings, as `name=value`. */
  readonly config?: readonly string[];
  /** Words before the program: `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
}

export class PostgresServer implements AsyncDisposable {
  readonly folder: string;
  /** The folder of its own socket. */
  readonly sockets: string;
  readonly #options: ServerOptions;
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(folder: string, options: ServerOptions) {
    this.folder = folder;
    this.sockets = join(folder, 's');
    this.#options = options;
  }

  /** Makes a server in a new folder with a database for a hub, and starts it. */
  static async make(folder: string, options: ServerOptions = {}): Promise<PostgresServer> {
    const server = PostgresServer.#in(folder, options);
    const init = ['-U', clusterUser, '--auth=trust', '--encoding=UTF8', '--no-locale'];
    server.#runs('initdb', '-D', server.#data, ...init);
    await server.start();
    await server.ask(
      (client) =>
        client.query(`create database ${database} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`),
      'postgres',
    );
    return server;
  }

  /** Makes a standby that follows `primary`, and starts it. */
  static async follow(primary: PostgresServer, folder: string, options: ServerOptions = {}): Promise<PostgresServer> {
    const server = PostgresServer.#in(folder, options);
    const from = ['-h', primary.sockets, '-U', clusterUser];
    server.#runs('pg_basebackup', ...from, '-D', server.#data, '-R', '-X', 'stream', '-c', 'fast');
    await server.start();
    return server;
  }

  static #in(folder: string, options: ServerOptions): PostgresServer {
    const server = new PostgresServer(folder, options);
    for (const each of [folder, server.sockets]) {
      mkdirSync(each, { recursive: true, mode: 0o755 });
      const { ids } = ordinaryUser();
      if (ids !== undefined) chownSync(each, ids.uid, ids.gid);
    }
    return server;
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  /** For a hub that reaches it by the socket in this folder. */
  placeIn(host: string): PostgresPlace {
    return { kind: 'postgres', host, port: 5432, database, user: clusterUser, lookupMs: 30_000 };
  }

  get place(): PostgresPlace {
    return this.placeIn(this.sockets);
  }

  /** Puts its socket into `folder`, in the place of another server's. */
  serveIn(folder: string): void {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    rmSync(join(folder, socketName), { force: true });
    symlinkSync(join(this.sockets, socketName), join(folder, socketName));
  }

  /** Starts it, again and again while what was killed still ends, as a service manager does; resolves once it answers. */
  async start(): Promise<void> {
    const { config = [], prefix = [] } = this.#options;
    const settings = [`unix_socket_directories=${this.sockets}`, 'listen_addresses=', 'shared_buffers=32MB', ...config];
    const words = [
      ...prefix,
      ...this.#asUser('postgres'),
      '-D',
      this.#data,
      ...settings.flatMap((each) => ['-c', each]),
    ];
    for (;;) {
      const [program, ...args] = ['setpriv', '--pdeathsig', 'INT', ...words];
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/tmp' });
      this.#process = child;
      child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log = `${this.#log}${text}`.slice(-4_000)));
      const ended = once(child, 'exit').then(() => 'ended' as const);
      if ((await Promise.race([this.#answers(child), ended])) !== 'ended') return;
      await setTimeout(RETRY_MS);
    }
  }

  /** The end of what it said. */
  get log(): string {
    return this.#log;
  }

  async #answers(child: ChildProcess): Promise<'answers' | 'ended'> {
    while (child.exitCode === null && child.signalCode === null) {
      try {
        await this.ask((client) => client.query('select 1'), 'postgres');
        return 'answers';
      } catch {
        // It is starting, or recovers what was committed.
        await setTimeout(RETRY_MS);
      }
    }
    return 'ended';
  }

  /** kill -9 of its first process. The others end when they notice. */
  async kill(): Promise<void> {
    if (this.#process !== undefined) await endChild(this.#process, 'SIGKILL');
  }

  /** kill -9 of a process that works for a hub: the server ends all others, and recovers. Returns how many there were. */
  async killBackend(): Promise<number> {
    const pids = await this.ask(async (client) => {
      const { rows } = await client.query<{ pid: number }>(
        "select pid from pg_stat_activity where application_name like 'edgekeep%' order by backend_start",
      );
      return rows.map(({ pid }) => pid);
    }, 'postgres');
    const [first] = pids;
    if (first !== undefined) process.kill(first, 'SIGKILL');
    return pids.length;
  }

  /** Resolves once its standby has everything that it has. */
  async isFollowed(): Promise<void> {
    const state = async (client: Client) => {
      const { rows } = await client.query<{ state: string }>('select sync_state as state from pg_stat_replication');
      return rows.some((row) => row.state === 'sync');
    };
    while (!(await this.ask(state))) await setTimeout(RETRY_MS);
  }

  /** Makes a standby the server that writes; resolves once it is one. */
  async becomePrimary(): Promise<void> {
    // Not in the folder of another user, whose name root may not read there.
    await this.ask((client) => client.query("alter system set synchronous_standby_names = ''"));
    this.#runs('pg_ctl', 'promote', '-w', '-D', this.#data);
  }

  async ask<T>(work: (client: Client) => Promise<T>, name = database): Promise<T> {
    const client = new Client({ host: this.sockets, user: clusterUser, database: name, password: '' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  #asUser(program: string): readonly string[] {
    const bin = serverPrograms();
    if (bin === undefined) throw new TypeError('PostgreSQL is not installed: `node scripts/setup.mjs test`');
    return [...ordinaryUser().drop, join(bin, program)];
  }

  #runs(name: string, ...args: readonly string[]): void {
    const [program = '', ...words] = this.#asUser(name);
    execFileSync(program, [...words, ...args], { cwd: '/tmp', stdio: ['ignore', 'ignore', 'pipe'] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process === undefined) return;
    this.#process.kill('SIGQUIT');
    await endChild(this.#process, 'SIGKILL');
  }
}
