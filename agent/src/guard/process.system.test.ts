// The guard as the agent runs it: real models in memory files, real walls, real sockets.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { before, test } from 'node:test';
import { onnxMediaType } from '@edgekeep/core/model/guard-files';
import type { GuardCounts } from '@edgekeep/core/model/guard-protocol';
import { ask, imageRequest, openBytes, openFixtures, settings, startGuard } from './testing.ts';
import { GuardListener } from './listener.ts';
import { guardProgram } from './program.ts';
import type { Sandbox } from './sandbox.ts';
import { findSandbox } from './sandbox-probe.ts';

const program = guardProgram();
const infer = '/v2/models/light/infer';
let sandbox: Sandbox;

before(async () => {
  sandbox = await findSandbox(program);
});

async function withListener(use: (listener: GuardListener, socketPath: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-listener-'));
  const socketPath = join(folder, 'light.sock');
  try {
    using listener = await GuardListener.open({ socketPath, loopbackPort: 0 });
    await use(listener, socketPath);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('a guarded model answers on the Unix socket and on loopback, and its counts arrive', async () => {
  await withListener(async (listener, socketPath) => {
    const counts: GuardCounts[] = [];
    const guard = await startGuard(await openFixtures('primary', 'fallback'), {
      doors: await listener.prepare(),
      program,
      sandbox,
      settings,
      onCounts: (total) => counts.push(total),
    });
    assert.deepEqual([guard.guarded, guard.fallback], [true, true]);
    listener.serve(guard);
    const unix = await ask({ socketPath }, infer, imageRequest(0.75));
    assert.match(unix.text, /"verdict":"accepted"/);
    const tcp = await ask({ host: '127.0.0.1', port: listener.loopbackPort ?? 0 }, infer, imageRequest(0.52));
    assert.match(tcp.text, /"verdict":"fallback"/);
    const exit = await guard.stop();
    assert.deepEqual([exit.asked, exit.exitCode, exit.signal, exit.errorText], [true, 0, null, '']);
    assert.deepEqual(exit.counts, {
      accepted: 1,
      fallback: 1,
      review: 0,
      unguarded: 0,
      refused: 0,
      failed: 0,
      reasons: { 'confidence-low': 1, 'fallback-agrees': 1 },
    });
    assert.deepEqual(counts.at(-1), exit.counts);
  });
});

test('a guarded model answers gRPC behind its walls, on the Unix socket and on loopback', async () => {
  await withListener(async (listener, socketPath) => {
    const doors = await listener.prepare();
    const guard = await startGuard(await openFixtures('primary'), { doors, program, sandbox, settings });
    listener.serve(guard);
    for (const where of [{ path: socketPath }, { host: '127.0.0.1', port: listener.loopbackPort ?? 0 }])
      assert.equal(await isLive(where), true);
    assert.equal((await guard.stop()).exitCode, 0);
    // ServerLive of a model that no guard serves.
    assert.equal(await isLive({ path: socketPath }), false);
  });
});

test('external data is found by its name beside the model', async () => {
  await withListener(async (listener, socketPath) => {
    await using guard = await startGuard(await openFixtures('external'), {
      program,
      sandbox,
      doors: await listener.prepare(),
      settings,
    });
    listener.serve(guard);
    assert.match((await ask({ socketPath }, infer, imageRequest(0.25))).text, /"label":"dark"/);
  });
});

test('without a guard, and after it stopped, requests are answered with 503', async () => {
  await withListener(async (listener, socketPath) => {
    assert.equal((await ask({ socketPath }, '/v2/health/ready')).status, 503);
    const guard = await startGuard(await openFixtures('primary'), {
      program,
      sandbox,
      doors: await listener.prepare(),
    });
    listener.serve(guard);
    assert.equal((await ask({ socketPath }, '/v2/health/ready')).status, 200);
    await guard.stop();
    assert.equal((await ask({ socketPath }, '/v2/health/ready')).status, 503);
  });
});

test('a new guard takes over new connections while the old one finishes', async () => {
  await withListener(async (listener, socketPath) => {
    const first = await startGuard(await openFixtures('primary'), {
      program,
      sandbox,
      doors: await listener.prepare(),
    });
    listener.serve(first);
    await using second = await startGuard(await openFixtures('primary'), {
      program,
      sandbox,
      doors: await listener.prepare(),
      settings,
    });
    assert.match((await ask({ socketPath }, infer, imageRequest(0.75))).text, /"verdict":"unguarded"/);
    listener.serve(second);
    await first.stop();
    assert.match((await ask({ socketPath }, infer, imageRequest(0.75))).text, /"verdict":"accepted"/);
  });
});

test('the agent learns that the files are read before the models are loaded', async () => {
  const opened = await openFixtures('primary');
  const events: string[] = [];
  const guard = await startGuard(opened, { program, sandbox, onFilesRead: () => events.push('read') });
  events.push('ready');
  assert.deepEqual(events, ['read', 'ready']);
  await guard.stop();
});

test('bytes that are no model are refused by name, and the guard is gone', async () => {
  const memory = [await openBytes(Buffer.from('not a model'))];
  const file = {
    path: 'a.onnx',
    role: 'primary',
    mediaType: onnxMediaType,
    size: 11,
    descriptor: memory[0]?.descriptor ?? -1,
  } as const;
  await assert.rejects(startGuard({ memory, files: [file] }, { program, sandbox }), {
    name: 'AgentError',
    code: 'guard-failed',
    message: /^model-load: /,
  });
});

test('a file shorter than the manifest says is refused', async () => {
  const memory = [await openBytes(Buffer.from('short'))];
  const file = {
    path: 'a.onnx',
    role: 'primary',
    mediaType: onnxMediaType,
    size: 6,
    descriptor: memory[0]?.descriptor ?? -1,
  } as const;
  await assert.rejects(startGuard({ memory, files: [file] }, { program, sandbox }), { message: /^file-read: / });
});

test('settings that name what the model does not have are refused', async () => {
  const wrong = { ...settings, input: { ...settings.input, name: 'picture' } };
  await assert.rejects(startGuard(await openFixtures('primary'), { program, sandbox, settings: wrong }), {
    message: /^model-interface: /,
  });
});

test('a guard that dies is noticed, with nobody having asked for it', async () => {
  const guard = await startGuard(await openFixtures('primary'), { program, sandbox });
  process.kill(guard.processId ?? 0, 'SIGKILL');
  const exit = await guard.exited;
  // `unshare`, which waits for a guard in a process namespace, ends with its own status.
  assert.deepEqual([exit.asked, exit.exitCode === 0], [false, false]);
});

test('a guard that does not stop in time is killed', async () => {
  const guard = await startGuard(await openFixtures('primary'), { program, sandbox, maxStopMs: 1 });
  process.kill(guard.processId ?? 0, 'SIGSTOP');
  assert.equal((await guard.stop()).signal, 'SIGKILL');
});

test('a guard that is not ready in time is killed and named', async () => {
  const starting = startGuard(await openFixtures('primary'), { program, sandbox, maxReadyMs: 1 });
  await assert.rejects(starting, { code: 'guard-start' });
});

test('a program that cannot be run is named', async () => {
  const nowhere = { ...program, node: '/nowhere/node' };
  const bare = { ...sandbox, parts: new Set<never>() };
  const opened = await openFixtures('primary');
  await assert.rejects(startGuard(opened, { program: nowhere, sandbox: bare }), { code: 'guard-start' });
});

test('a client that stays connected does not keep the guard from stopping', async () => {
  await withListener(async (listener, socketPath) => {
    const guard = await startGuard(await openFixtures('primary'), {
      program,
      sandbox,
      doors: await listener.prepare(),
    });
    listener.serve(guard);
    const client = connect(socketPath);
    await new Promise((resolve) => client.once('connect', resolve));
    client.on('error', () => undefined);
    assert.equal((await ask({ socketPath }, '/v2')).status, 200);
    const closed = new Promise((resolve) => client.once('close', resolve));
    assert.equal((await guard.stop()).exitCode, 0);
    await closed;
  });
});

/** inference.GRPCInferenceService/ServerLive of spec/inference.proto, without a client library. */
async function isLive(where: NetConnectOpts): Promise<boolean> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(where) });
  try {
    const path = '/inference.GRPCInferenceService/ServerLive';
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
    stream.end(Buffer.alloc(5));
    return (await buffer(stream)).equals(Buffer.of(0, 0, 0, 0, 2, 8, 1));
  } finally {
    session.destroy();
  }
}
