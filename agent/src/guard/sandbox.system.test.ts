// What a compromised guard could do behind the walls: guard/src/fixtures/attempts-main.ts tries it in place of the guard.
import assert from 'node:assert/strict';
import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { openFixtures, settings, startGuard } from './testing.ts';
import { guardProgram } from './program.ts';
import { sandboxCommand, sandboxParts, type Sandbox } from './sandbox.ts';
import { findSandbox, unprivilegedUserId } from './sandbox-probe.ts';
import { spawnGuard } from './spawned.ts';

const run = promisify(execFile);
const attempts = guardProgram('fixtures/attempts-main.ts');
const own = fileURLToPath(import.meta.url);
const resultsSchema = z.record(z.string(), z.unknown());

/** Where the machine lacks walls the test names them; in CI that is a failure. */
async function fullSandbox(t: TestContext): Promise<Sandbox | undefined> {
  const sandbox = await findSandbox(guardProgram());
  if (sandbox.degraded.length === 0) return sandbox;
  const reason = `this machine does not give: ${sandbox.degraded.join(', ')}`;
  assert.notEqual(process.env['CI'], 'true', reason);
  t.skip(reason);
  return undefined;
}

async function attemptIn(sandbox: Sandbox, nodePermissions: boolean): Promise<z.infer<typeof resultsSchema>> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = z.custom<AddressInfo>((value) => typeof value === 'object').parse(server.address());
  try {
    const { command, args, environment } = sandboxCommand(sandbox, attempts, {
      nodePermissions,
      maxMemoryBytes: 4 * 1024 ** 3,
    });
    const options = { env: { ...environment }, cwd: '/' };
    const { stdout } = await run(command, [...args, String(port), own, '/nowhere'], options);
    return resultsSchema.parse(JSON.parse(stdout));
  } finally {
    server.close();
  }
}

// SECURITY.md: DEV-32
test('the guard can read its own code and nothing else, write nothing, run nothing, reach nothing', async (t) => {
  const sandbox = await fullSandbox(t);
  if (sandbox === undefined) return;
  const results = await attemptIn(sandbox, true);
  const { evaluate } = results;
  assert.match(String(evaluate), /disallowed/);
  assert.deepEqual(results, {
    ...results,
    userId: unprivilegedUserId,
    groups: [unprivilegedUserId],
    interfaces: [],
    readPasswd: 'ERR_ACCESS_DENIED',
    readHostFile: 'ERR_ACCESS_DENIED',
    readOtherProcess: 'ERR_ACCESS_DENIED',
    listRoot: 'ERR_ACCESS_DENIED',
    readOwnCode: 'worked',
    writeTemporary: 'ERR_ACCESS_DENIED',
    writeOwnCode: 'ERR_ACCESS_DENIED',
    runProgram: 'ERR_ACCESS_DENIED',
    startWorker: 'ERR_ACCESS_DENIED',
    becomeRoot: 'EPERM',
    signalParent: 'EPERM',
    connectLoopback: 'EPERM',
  });
});

// SECURITY.md: DEV-37
test('the kernel alone stops what native code would try after getting past Node', async (t) => {
  const sandbox = await fullSandbox(t);
  if (sandbox === undefined) return;
  const results = await attemptIn(sandbox, false);
  // In a checkout below /tmp that folder exists, read-only; elsewhere it does not exist.
  assert.ok(['ENOENT', 'EROFS'].includes(String(results['writeTemporary'])), String(results['writeTemporary']));
  assert.deepEqual(results, {
    ...results,
    readPasswd: 'ENOENT',
    readHostFile: 'ENOENT',
    readOtherProcess: 'ENOENT',
    writeOwnCode: 'EROFS',
    runProgram: 'EPERM',
    becomeRoot: 'EPERM',
    signalParent: 'EPERM',
    connectLoopback: 'EPERM',
  });
});

test('nothing of the agent environment reaches the guard', async () => {
  process.env['EDGEKEEP_TEST_SECRET'] = 'token';
  const results = await attemptIn(await findSandbox(guardProgram()), true);
  const environment = z.array(z.string()).parse(results['environment']);
  const expected = ['ORT_DISABLE_TELEMETRY', 'PATH', 'PWD'];
  assert.deepEqual(
    environment.filter((name) => !expected.includes(name)),
    [],
  );
});

test('without walls the same attempts work: the test can tell', async () => {
  const none: Sandbox = {
    parts: new Set(),
    degraded: [...sandboxParts],
    root: process.getuid?.() === 0,
    userId: unprivilegedUserId,
  };
  const results = await attemptIn(none, false);
  assert.deepEqual(
    [results['readPasswd'], results['runProgram'], results['connectLoopback']],
    ['worked', 'worked', 'worked'],
  );
});

// SECURITY.md: DEV-37
test('what was left out is reported by name', async () => {
  const sandbox = await findSandbox(guardProgram(), { exclude: ['file-system', 'core-limit'] });
  assert(sandbox.degraded.includes('file-system') && sandbox.degraded.includes('core-limit'));
  assert(!sandbox.parts.has('file-system'));
});

test('the running guard has no capabilities, no new privileges, no core dump and namespaces of its own', async (t) => {
  const sandbox = await fullSandbox(t);
  if (sandbox === undefined) return;
  await using guard = await startGuard(await openFixtures('primary'), { program: guardProgram(), sandbox, settings });
  const status = await readFile(`/proc/${guard.processId}/status`, 'utf8');
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    assert.match(status, new RegExp(`^${set}:\\s0{16}$`, 'm'));
  assert.match(status, /^NoNewPrivs:\s1$/m);
  assert.match(status, /^Seccomp:\s2$/m);
  const limits = await readFile(`/proc/${guard.processId}/limits`, 'utf8');
  assert.match(limits, /^Max core file size\s+1\s+1\s/m);
  assert.match(limits, /^Max data size\s+\d+\s+\d+\s/m);
  for (const kind of ['net', 'ipc', 'mnt', 'pid']) {
    assert.notEqual(await readlink(`/proc/${guard.processId}/ns/${kind}`), await readlink(`/proc/self/ns/${kind}`));
  }
  // The descriptors of the model files are closed: the guard can no longer read them.
  const descriptors = await run('ls', ['-l', `/proc/${guard.processId}/fd`]);
  assert.doesNotMatch(descriptors.stdout, /\/dev\/shm/);
});

test('when the agent is killed the guard is gone', async (t) => {
  const sandbox = await fullSandbox(t);
  if (sandbox === undefined) return;
  // A killed agent cannot remove the empty folder on which its guard's file system was mounted.
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-killed-'));
  t.after(async () => rm(folder, { recursive: true, force: true }));
  const agent = fork(fileURLToPath(new URL('fixtures-agent-main.ts', import.meta.url)), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, TMPDIR: folder },
  });
  const [guardId]: unknown[] = await once(agent, 'message');
  const processId = z.int().positive().parse(guardId);
  const gone = spawn('tail', ['--pid', String(processId), '-f', '/dev/null']);
  const ended = once(gone, 'exit');
  agent.kill('SIGKILL');
  await ended;
  assert.throws(() => process.kill(processId, 0), { code: 'ESRCH' });
});

/** The attacker's program, built for this test; undefined without a compiler. */
async function buildAttempts(folder: string): Promise<string | undefined> {
  const program = join(folder, 'attempts');
  const source = fileURLToPath(new URL('../../native/attempts.c', import.meta.url));
  return run('cc', ['-O2', '-o', program, source]).then(
    () => program,
    () => undefined,
  );
}

/** The results of the native code, by attempt. */
async function nativeAttempts(sandbox: Sandbox, node: string): Promise<Readonly<Record<string, string>>> {
  const guard = spawnGuard({ program: { ...guardProgram(), node }, sandbox }, [], 1024 * 1024 * 1024);
  const { errorText, startError } = await guard.ended;
  assert.equal(startError, undefined);
  return Object.fromEntries(
    errorText
      .trim()
      .split('\n')
      .map((line): [string, string] => {
        const [name = '', result = ''] = line.split(' ');
        return [name, result];
      }),
  );
}

// SECURITY.md: DEV-38
test('native code in the guard’s place reaches no process, file, socket or memory beyond its own', async (t) => {
  const sandbox = await fullSandbox(t);
  if (sandbox === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-attempts-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const node = await buildAttempts(folder);
  if (node === undefined) return t.skip('a C compiler is not installed');
  await chmod(folder, 0o755);
  const before = await nativeAttempts({ ...sandbox, parts: new Set(['parent-death-signal']) }, node);
  assert.deepEqual(
    [before['signal-group'], before['new-process'], before['read-passwords']],
    ['worked', 'worked', 'worked'],
  );
  assert.deepEqual(await nativeAttempts(sandbox, node), {
    parent: '0',
    'signal-parent': 'ESRCH',
    'signal-group': 'EPERM',
    'trace-parent': 'EPERM',
    'new-socket': 'EPERM',
    'new-network-socket': 'EPERM',
    'new-namespace': 'EPERM',
    // Its own program is below that folder, read-only like everything else.
    'write-file': 'EROFS',
    'read-passwords': 'ENOENT',
    'new-process': 'EPERM',
    'raise-memory-limit': 'EPERM',
    'two-gigabytes': 'ENOMEM',
  });
});

// SECURITY.md: DEV-38
test('without the native helper no signal reaches the agent all the same, also one to the whole process group', async (t) => {
  const sandbox = await fullSandbox(t);
  if (sandbox === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-attempts-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const node = await buildAttempts(folder);
  if (node === undefined) return t.skip('a C compiler is not installed');
  await chmod(folder, 0o755);
  let reached = 0;
  const count = () => (reached += 1);
  process.on('SIGUSR1', count);
  t.after(() => process.off('SIGUSR1', count));
  const parts = new Set([...sandbox.parts].filter((part) => part !== 'system-calls' && part !== 'landlock'));
  // The same user as the agent, as under the shipped unit.
  parts.delete('own-user');
  const results = await nativeAttempts({ ...sandbox, parts }, node);
  assert.equal(results['signal-parent'], 'ESRCH');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(reached, 0);
});

const wallsMain = fileURLToPath(new URL('fixtures-walls-main.ts', import.meta.url));
const wallsSchema = z.strictObject({ parts: z.array(z.string()), degraded: z.array(z.string()) });

/** What an agent started by `before` finds; undefined where `before` does not work on this machine. */
async function wallsUnder(before: readonly string[]): Promise<z.infer<typeof wallsSchema> | undefined> {
  const [command, ...args] = [...before, process.execPath, wallsMain];
  return run(command, args, { cwd: '/' }).then(
    ({ stdout }) => wallsSchema.parse(JSON.parse(stdout)),
    () => undefined,
  );
}

// SECURITY.md: DEV-37
test('an agent with the rights of the shipped unit gets every wall but a user of the guard’s own', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('another user takes root');
  if ((await fullSandbox(t)) === undefined) return;
  // No capability, no privilege, a separate user: as in the unit.
  const asUnit = ['setpriv', `--reuid=${unprivilegedUserId}`, `--regid=${unprivilegedUserId}`, '--clear-groups'];
  const walls = await wallsUnder([...asUnit, '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--']);
  if (walls === undefined) return t.skip('that user cannot read this source tree');
  assert.deepEqual(walls.degraded, ['own-user']);
});

// SECURITY.md: DEV-37
test('in a container without user namespaces and capabilities each wall that is missing is named, and the others stand', async (t) => {
  if ((await fullSandbox(t)) === undefined) return;
  const closed = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"';
  const container = ['unshare', '--user', '--map-root-user', 'sh', '-c', closed, 'sh'];
  const walls = await wallsUnder([...container, 'setpriv', '--bounding-set=-all', '--inh-caps=-all', '--']);
  if (walls === undefined) return t.skip('this machine gives no user namespace to close');
  const namespaces = ['network-namespace', 'ipc-namespace', 'process-namespace', 'file-system'];
  for (const part of namespaces) assert.ok(walls.degraded.includes(part), part);
  const own = ['no-new-privileges', 'parent-death-signal', 'core-limit', 'memory-limit', 'system-calls', 'landlock'];
  for (const part of own) assert.ok(walls.parts.includes(part), part);
});
