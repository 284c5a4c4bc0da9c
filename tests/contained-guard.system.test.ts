// Guards in containers. One that takes more memory than there is for it is killed by the kernel, and the agent goes on: the limit of a container
// is tested in place of the one that systemd gives to a unit (deploy/edgekeep-guard@.service, `MemoryMax`): both are limits of a control group.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { onnxMediaType } from '@edgekeep/core/model/guard-files';
import { greedyModel } from '@edgekeep/guard/fixtures/hostile-models';
import { ask, openBytes, startGuard } from '@edgekeep/agent/guard/testing';
import { GuardListener } from '@edgekeep/agent/guard/listener';
import { guardProgram } from '@edgekeep/agent/guard/program';
import { findUnitWalls, guardUnit } from '@edgekeep/agent/guard/unit';
import { z } from 'zod';
import { containedTree, Podman } from './support/podman.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const node = `${containedTree}/node_modules/.bin/node`;
const nobody = ['--user=65534', '--cap-drop=all', '--security-opt=no-new-privileges'];
/** Enough to load the guard, and less than the model takes. */
const memoryMebibytes = 700;

async function openPodman(t: TestContext): Promise<Podman | undefined> {
  const podman = await Podman.open();
  if (typeof podman !== 'string') return podman;
  t.skip(podman);
  return undefined;
}

// SECURITY.md: DEV-40
test('a guard beyond the memory of its container is killed, and the agent in the same container answers on', async (t) => {
  await using podman = await openPodman(t);
  if (podman === undefined) return;
  const inside = [node, `${containedTree}/tests/support/greedy-guard-main.ts`];
  const [command = '', ...args] = podman.command({ memoryMebibytes, options: ['--tmpfs=/run'] }, inside);
  const { stdout } = await run(command, args);
  assert.deepEqual(JSON.parse(stdout), {
    small: 200,
    large: 'connection lost',
    asked: false,
    signal: 'SIGKILL',
    afterwards: 503,
  });
});

interface Activated {
  readonly folder: string;
  /** With the exit code of the container, once it has ended. */
  readonly ended: Promise<number | null>;
}

/** The unit's sockets and, behind the first connection, its command in a container. */
async function activated(podman: Podman, use: (unit: Activated) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-guard-memory-'));
  const names = ['control', 'local', 'loopback'];
  const text = await readFile(join(root, 'deploy/edgekeep-guard@.service'), 'utf8');
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(text) ?? [];
  const installed = '/usr/lib/edgekeep/agent';
  const own = line
    .replace(`${installed}/bin/node`, node)
    .replaceAll(installed, containedTree)
    .replace('main.js', 'main.ts');
  const options = [...nobody, '--env=ORT_DISABLE_TELEMETRY=1'];
  const command = podman.command({ memoryMebibytes, options }, own.split(' '));
  const sockets = names.flatMap((name) => ['-l', join(folder, `light.${name}`)]);
  const child = spawn('systemd-socket-activate', [...sockets, `--fdname=${names.join(':')}`, ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const { promise: ended, resolve } = Promise.withResolvers<number | null>();
  child.once('exit', resolve);
  try {
    const listens = Promise.withResolvers<undefined>();
    child.stderr.on('data', () => {
      if (names.every((name) => existsSync(join(folder, `light.${name}`)))) listens.resolve(undefined);
    });
    await Promise.race([listens.promise, ended]);
    await use({ folder, ended });
  } finally {
    child.kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

// SECURITY.md: DEV-40
test('a guard beyond the memory of its unit is killed, and the agent outside answers on', async (t) => {
  if (spawnSync('systemd-socket-activate', ['--version']).error !== undefined)
    return t.skip('systemd-socket-activate is not installed');
  await using podman = await openPodman(t);
  if (podman === undefined) return;
  await activated(podman, async ({ folder, ended }) => {
    const socketPath = join(folder, 'public.sock');
    using listener = await GuardListener.open({ socketPath, loopbackPort: undefined });
    const bytes = greedyModel();
    const file = await openBytes(bytes);
    const { descriptor } = file;
    const size = bytes.length;
    const files = [{ path: 'm.onnx', role: 'primary', mediaType: onnxMediaType, size, descriptor }] as const;
    const sandbox = { parts: new Set<never>(), degraded: [], root: false, userId: 65534 };
    const unit = guardUnit(folder, 'light');
    const guard = await startGuard({ files, memory: [file] }, { program: guardProgram(), sandbox, unit });
    listener.serve(guard);
    const zeros = (count: number) =>
      ask(
        { socketPath },
        '/v2/models/light/infer',
        JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'INT64', data: [count] }] }),
      );
    assert.equal((await zeros(3)).status, 200);
    await assert.rejects(zeros(400_000_000));
    assert.equal((await guard.exited).asked, false);
    assert.equal((await ask({ socketPath }, '/v2/health/ready')).status, 503);
    // By SIGKILL.
    assert.equal(await ended, 137);
  });
});

// SECURITY.md: DEV-41
test('a unit whose control group has a limit of memory has that wall', async (t) => {
  if (spawnSync('systemd-socket-activate', ['--version']).error !== undefined)
    return t.skip('systemd-socket-activate is not installed');
  await using podman = await openPodman(t);
  if (podman === undefined) return;
  await activated(podman, async ({ folder }) => {
    const { parts, degraded } = await findUnitWalls(guardUnit(folder, 'light'), 60_000);
    assert.ok(parts.has('memory-limit'));
    // Nothing that a process can read says whether it is behind Landlock, and systemd does not put it there.
    // The limit of core files is the one of the process that started the container: the unit's own is LimitCORE.
    const ofUnit = degraded.filter((part) => part !== 'core-limit');
    assert.deepEqual(ofUnit, ['landlock']);
  });
});

// What Docker's own profile refuses to a container without capabilities.
const noNamespaces = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: ['unshare', 'setns', 'mount'], action: 'SCMP_ACT_ERRNO' }],
};

// SECURITY.md: DEV-37
test('native code in the guard’s place, in a container without user namespaces: the missing walls are named, and the others stop it', async (t) => {
  if (!existsSync(join(root, 'agent/native/guard-filter'))) return t.skip('agent/native/guard-filter is not built');
  await using podman = await openPodman(t);
  if (podman === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-attacker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const profile = join(folder, 'seccomp.json');
  await writeFile(profile, JSON.stringify(noNamespaces));
  await run('cc', ['-O2', '-o', join(folder, 'attempts'), join(root, 'agent/native/attempts.c')]);
  await chmod(folder, 0o755);
  const options = [...nobody, `--security-opt=seccomp=${profile}`, `--volume=${folder}:/srv:ro`, '--tmpfs=/tmp'];
  const inside = [node, `${containedTree}/tests/support/attacker-main.ts`, '/srv/attempts'];
  const [command = '', ...args] = podman.command({ memoryMebibytes, options }, inside);
  const { missing, attempts } = attackSchema.parse(JSON.parse((await run(command, args)).stdout));
  assert.deepEqual(missing, ['network-namespace', 'ipc-namespace', 'process-namespace', 'file-system', 'own-user']);
  const { parent: _, ...tried } = attempts;
  assert.deepEqual(tried, {
    'signal-parent': 'EPERM',
    'signal-group': 'EPERM',
    'trace-parent': 'EPERM',
    'new-socket': 'EPERM',
    'new-network-socket': 'EPERM',
    'new-namespace': 'EPERM',
    // By Landlock: the folder can be written.
    'write-file': 'EACCES',
    // Without a file system of its own it reads what the container has.
    'read-passwords': 'worked',
    'new-process': 'EPERM',
    'raise-memory-limit': 'EPERM',
    'two-gigabytes': 'ENOMEM',
  });
});

const attackSchema = z.object({ missing: z.array(z.string()), attempts: z.record(z.string(), z.string()) });
