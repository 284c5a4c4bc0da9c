// The node that leads is a process that is killed, or stopped and continued, on PostgreSQL: another leads within seconds, and no work is done twice.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { appendEntry } from '../audit/append.ts';
import { Database } from '../store/database.ts';
import { serverPrograms } from '../store/testing-cluster.ts';
import { databaseOf, dropDatabase } from '../store/testing-place.ts';
import { auditEntries } from '../store/testing-store.ts';
import { Leader } from './leader.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
const onServer = { skip: missing };
const program = join(import.meta.dirname, 'testing-leader-main.ts');

class LeadingProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(place: object) {
    this.#child = spawn(process.execPath, [program, JSON.stringify(place), 'first'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new TypeError('no output');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    const { value } = await this.#lines.next();
    return String(value);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Takes the lead when it is free, and notes that in the log. */
async function takeOver(database: Database): Promise<void> {
  const second = new Leader(database, 'second');
  while (!second.leads()) await second.tick();
  const entry = { at: 1, kind: 'work', actor: 'hub', subject: 'second', data: {} };
  await database.writeAsHub((trx) => appendEntry(trx, entry));
}

async function workers(database: Database): Promise<readonly string[]> {
  return (await auditEntries(database)).map(({ subject }) => subject);
}

test('a leading node that is killed loses the lead, and another takes it', onServer, async () => {
  const place = await databaseOf(`leader-killed ${process.pid}`);
  await using opened = new AsyncDisposableStack();
  opened.defer(() => dropDatabase(place));
  const database = opened.use(await Database.open(place));
  await using leading = new LeadingProcess(place);
  assert.equal(await leading.next(), 'leads');
  leading.signal('SIGKILL');
  await takeOver(database);
  assert.equal((await workers(database)).at(-1), 'second');
});

// SECURITY.md: HUB-131
test(
  'a leading process that was stopped and goes on after another took its place writes nothing more',
  onServer,
  async () => {
    const place = await databaseOf(`leader-stopped ${process.pid}`);
    await using opened = new AsyncDisposableStack();
    opened.defer(() => dropDatabase(place));
    const database = opened.use(await Database.open(place));
    await using leading = new LeadingProcess(place);
    assert.equal(await leading.next(), 'leads');
    leading.signal('SIGSTOP');
    // Where it was stopped within a group of writes, the server ends that group first.
    await takeOver(database);
    leading.signal('SIGCONT');
    assert.equal(await leading.next(), 'refused not-leading');
    const all = await workers(database);
    assert.equal(all.indexOf('second'), all.length - 1, 'the former leader wrote behind the next one');
  },
);
