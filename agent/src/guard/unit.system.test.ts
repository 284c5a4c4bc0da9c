// The guard as its unit runs it: sockets passed as systemd does it, the unit's own command line, and another user if the test is allowed
// to.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, readFile, rm, watch } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, imageRequest, openFixtures, settings, startGuard } from './testing.ts';
import { GuardListener } from './listener.ts';
import { guardProgram } from './program.ts';
import { sandboxParts } from './sandbox.ts';
import { connectGuard, findUnitWalls, guardUnit } from './unit.ts';

const root = join(import.meta.dirname, '../../..');
const otherUser = 65534;
// Nobody else can read a project below root's own folder.
const asOther =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['--version'], { cwd: '/', uid: otherUser, gid: otherUser }).status === 0;
const hasTool = spawnSync('systemd-socket-activate', ['--version']).error === undefined;
const mustBeThere = process.env['CI'] === 'true';
const needsTool = hasTool || mustBeThere ? {} : { skip: 'systemd-socket-activate is not installed' };
const sandbox = { parts: new Set<never>(), degraded: [], root: false, userId: otherUser };

/** The words of the unit's `ExecStart`, for this source tree. */
async function unitCommand(): Promise<readonly string[]> {
  const unit = await readFile(join(root, 'deploy/edgekeep-guard@.service'), 'utf8');
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const words = line
    .replaceAll('/usr/lib/edgekeep/agent', root)
    .replace('guard/src/main.js', 'guard/src/main.ts')
    .split(' ');
  return [process.execPath, ...words.slice(1)];
}

/** Sockets of a unit for the model `light`, and the guard behind them, which starts with the first connection. */
async function activated(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-unit-'));
  const names = ['control', 'local', 'loopback'];
  const listen = names.flatMap((name) => ['-l', join(folder, `light.${name}`)]);
  if (asOther) await chown(folder, otherUser, otherUser);
  await chmod(folder, 0o755);
  const command = [...listen, `--fdname=${names.join(':')}`, '-E', 'ORT_DISABLE_TELEMETRY=1', ...(await unitCommand())];
  const child = spawn('systemd-socket-activate', command, {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(asOther ? { uid: otherUser, gid: otherUser } : {}),
  });
  const ended = once(child, 'exit');
  try {
    // It reports when it listens on all of them.
    await once(child.stderr, 'data');
    await socketsThere(folder, names.length);
    await use(folder);
  } finally {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function socketsThere(folder: string, count: number): Promise<void> {
  const isThere = () =>
    ['control', 'local', 'loopback'].filter((name) => existsSync(join(folder, `light.${name}`))).length;
  if (isThere() === count) return;
  for await (const _ of watch(folder)) if (isThere() === count) return;
}

// SECURITY.md: DEV-41
test(
  'a guard of a unit gets its model over the socket, and the public name leads to it until it ends',
  needsTool,
  async () => {
    await activated(async (folder) => {
      const socketPath = join(folder, 'public.sock');
      using listener = await GuardListener.open({ socketPath, loopbackPort: 0 });
      const unit = guardUnit(folder, 'light');
      const guard = await startGuard(await openFixtures('external'), {
        program: guardProgram(),
        sandbox,
        settings,
        unit,
      });
      assert.equal(guard.guarded, true);
      listener.serve(guard);
      const infer = '/v2/models/light/infer';
      assert.match((await ask({ socketPath }, infer, imageRequest(0.25))).text, /"label":"dark"/);
      const { loopbackPort: port = 0 } = listener;
      assert.match((await ask({ host: '127.0.0.1', port }, infer, imageRequest(0.25))).text, /"label":"dark"/);
      assert.equal((await guard.stop()).asked, true);
      assert.equal((await ask({ socketPath }, '/v2/health/ready')).status, 503);
    });
  },
);

// SECURITY.md: DEV-41
test('the walls around a unit are those that its guard finds before it sees a model', needsTool, async () => {
  await activated(async (folder) => {
    const found = await findUnitWalls(guardUnit(folder, 'light'), 30_000);
    assert.equal(found.parts.has('own-user'), asOther);
    // Without systemd around it the guard has no separate namespace, and reports that.
    for (const part of ['network-namespace', 'process-namespace', 'file-system', 'system-calls'] as const)
      assert.ok(found.degraded.includes(part), part);
    assert.ok([...found.parts, ...found.degraded].every((part) => sandboxParts.includes(part)));
  });
});

// SECURITY.md: DEV-40
test('a guard of a unit that is killed before it has read its orders has ended, and that is no failure of the agent', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-killed-unit-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const unit = guardUnit(folder, 'light');
  // A socket that is closed with bytes in it is reset, whether its process ended or was killed.
  const server = createServer({ pauseOnConnect: true });
  server.listen(unit.control);
  t.after(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const guard = connectGuard(unit);
  const sent = Promise.withResolvers<unknown>();
  guard.stream.write('{"kind":"stop"}\n', sent.resolve);
  const [peer]: unknown[] = await accepted;
  await sent.promise;
  assert.ok(peer instanceof Socket);
  peer.destroy();
  // A stream that is only written to reads nothing.
  guard.stream.resume();
  assert.deepEqual(await guard.ended, {
    exitCode: null,
    signal: null,
    errorText: 'read ECONNRESET',
    startError: undefined,
  });
});

test('a unit that is not there, or does not answer, is named', async () => {
  const unit = guardUnit('/nowhere', 'light');
  await assert.rejects(findUnitWalls(unit, 1_000), { code: 'guard-start', message: /nowhere.*is missing/ });
});
