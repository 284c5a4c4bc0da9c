// A compromised guard, and models that should not have been signed, against the agent that runs them.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { onnxMediaType } from '@edgekeep/core/model/guard-files';
import { endlessModel, greedyModel } from '@edgekeep/guard/fixtures/hostile-models';
import { ask, openBytes, startGuard } from '@edgekeep/agent/guard/testing';
import { GuardListener } from '@edgekeep/agent/guard/listener';
import { GuardProcess, type GuardOptions } from '@edgekeep/agent/guard/process';
import { guardProgram } from '@edgekeep/agent/guard/program';
import type { Sandbox } from '@edgekeep/agent/guard/sandbox';
import { findSandbox } from '@edgekeep/agent/guard/sandbox-probe';

const program = guardProgram();
const hostile = guardProgram('fixtures/hostile-main.ts');
let sandbox: Sandbox;

before(async () => {
  sandbox = await findSandbox(program);
});

async function startHostile(name: string, more: Partial<GuardOptions> = {}): Promise<GuardProcess> {
  const file = await openBytes(Buffer.from('model'));
  try {
    return await GuardProcess.start({
      program: hostile,
      sandbox,
      model: { name, version: '1.0.0' },
      files: [{ path: 'm.onnx', role: 'primary', mediaType: onnxMediaType, size: 5, descriptor: file.descriptor }],
      ...more,
    });
  } finally {
    await file[Symbol.asyncDispose]();
  }
}

async function startModel(bytes: Buffer, more: Partial<GuardOptions>): Promise<GuardProcess> {
  const file = await openBytes(bytes);
  const { descriptor } = file;
  const files = [
    { path: 'm.onnx', role: 'primary', mediaType: onnxMediaType, size: bytes.length, descriptor },
  ] as const;
  return startGuard({ files, memory: [file] }, { program, sandbox, ...more });
}

async function withListener(
  use: (listener: GuardListener, socketPath: string) => Promise<void>,
  loopbackPort?: number,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-hostile-'));
  const socketPath = join(folder, 'light.sock');
  try {
    using listener = await GuardListener.open({ socketPath, loopbackPort });
    await use(listener, socketPath);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

for (const name of ['endless-line', 'many-messages', 'no-message', 'node-handle', 'wrong-counts']) {
  test(`a guard that sends ${name.replaceAll('-', ' ')} is ended by name, and the agent holds none of it`, async () => {
    await assert.rejects(startHostile(name), {
      name: 'AgentError',
      code: 'guard-failed',
      message: /^protocol-violation: /,
    });
  });
}

// SECURITY.md: DEV-39
test('a guard that writes to stderr without end is read no further than explains something, and serves on', async () => {
  await using guard = await startHostile('noise-on-stderr', { maxStopMs: 1 });
  const exit = await guard.stop();
  assert.ok(exit.errorText.length <= 4_096);
});

test('a guard that answers no more is ended as the deadline of an inference says', async () => {
  await using guard = await startHostile('never-answers', { maxInferenceMs: 50 });
  const exit = await guard.exited;
  assert.deepEqual([exit.asked, exit.fault], [false, 'inference-timeout']);
});

// SECURITY.md: DEV-40
test('a model that never comes to an end is noticed, its guard ended, and the name leads to 503 again', async () => {
  await withListener(async (listener, socketPath) => {
    await using guard = await startModel(endlessModel(), { doors: await listener.prepare(), maxInferenceMs: 300 });
    listener.serve(guard);
    const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }] });
    await assert.rejects(ask({ socketPath }, '/v2/models/light/infer', body));
    assert.equal((await guard.exited).fault, 'inference-timeout');
    assert.equal((await ask({ socketPath }, '/v2/health/ready')).status, 503);
  });
});

// SECURITY.md: DEV-40
test('one number in a request does not make the guard take gigabytes: the inference fails, and the next one is answered', async (t) => {
  if (!sandbox.parts.has('memory-limit')) return t.skip('this machine gives no memory limit');
  await withListener(async (listener, socketPath) => {
    await using guard = await startModel(greedyModel(), { doors: await listener.prepare() });
    listener.serve(guard);
    const zeros = (count: number) =>
      ask(
        { socketPath },
        '/v2/models/light/infer',
        JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'INT64', data: [count] }] }),
      );
    const refused = await zeros(400_000_000);
    assert.deepEqual([refused.status, /model-run/.test(refused.text)], [500, true], refused.text.slice(0, 200));
    const answered = await zeros(3);
    assert.equal(answered.status, 200, answered.text);
  });
});

// SECURITY.md: DEV-43
test('a web page gets nothing from a model’s loopback port, under any name for 127.0.0.1', async () => {
  await withListener(async (listener) => {
    await using guard = await startModel(greedyModel(), { doors: await listener.prepare() });
    listener.serve(guard);
    const { loopbackPort: port = 0 } = listener;
    const asked = async (headers: Readonly<Record<string, string>>, method = 'GET') => {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const sent = request({ host: '127.0.0.1', port, path: '/v2', method, headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.end();
      return promise;
    };
    const own = `127.0.0.1:${port}`;
    assert.equal(await asked({ host: own }), 200);
    assert.equal(await asked({ host: `localhost:${port}` }), 200);
    assert.equal(await asked({ host: 'rebind.evil.example' }), 403);
    assert.equal(await asked({ host: own, origin: 'https://evil.example' }), 403);
    assert.equal(await asked({ host: own, origin: 'null', 'content-type': 'text/plain' }, 'POST'), 403);
  }, 0);
});

test('a runtime that says something on stderr first is healthy all the same', async () => {
  const found = await findSandbox(hostile);
  assert.deepEqual(found.degraded, sandbox.degraded);
});

test('a guard that does not answer the probe in time is named as late, and no wall is given up for it', async () => {
  await assert.rejects(findSandbox(program, { maxProbeMs: 1 }), {
    code: 'guard-start',
    message: /guard\.maxProbeSeconds/,
  });
});
