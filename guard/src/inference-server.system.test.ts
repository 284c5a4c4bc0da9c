// The inference server against curl, and against a slow client (seconds, so not among the quick tests).
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ask, sendRaw } from './fixtures/client.ts';
import { flatImage, serve, settings } from './fixtures/serve.ts';
import { BODIES_BYTES_MAX, BODY_BYTES_MAX } from './limits.ts';

const run = promisify(execFile);
const infer = '/v2/models/light/infer';

const hasCurl = spawnSync('curl', ['--version']).error === undefined;
const hasPython = spawnSync('python3', ['--version']).error === undefined;
const skipPython = hasPython || process.env['CI'] === 'true' ? false : 'python3 is not installed';
/** Debian's, which has its packages. */
const python = '/usr/bin/python3';
/** Set-up installs these on request only. */
async function skipWithoutGrpc(): Promise<string | false> {
  const tools = [run('protoc', ['--version']), run(python, ['-c', 'import grpc, google.protobuf'])];
  const found = await Promise.allSettled(tools);
  return found.every(({ status }) => status === 'fulfilled') ? false : 'protoc or grpc for Python is not installed';
}
const skip = hasCurl || process.env['CI'] === 'true' ? false : 'curl is not installed';

test('curl gets an inference with its verdict', { skip }, async () => {
  await using served = await serve('primary', { settings });
  const body = JSON.stringify({
    inputs: [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data: flatImage(0.25) }],
  });
  const url = `http://localhost${infer}`;
  const { stdout } = await run('curl', ['-sS', '--unix-socket', served.socketPath, url, '-d', body]);
  const answer = z.looseObject({ parameters: z.looseObject({ verdict: z.string() }) }).parse(JSON.parse(stdout));
  assert.equal(answer.parameters.verdict, 'accepted');
});

test(
  'Python’s http.client, which sends a whole body before it reads, gets each refusal',
  { skip: skipPython },
  async () => {
    await using served = await serve('primary', { settings });
    const script = fileURLToPath(new URL('fixtures/python-client.py', import.meta.url));
    const { stdout } = await run('python3', [script, served.socketPath]);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => z.tuple([z.int(), z.string()]).parse(JSON.parse(line)));
    assert.deepEqual(
      answers.map(([status]) => status),
      [413, 404, 415, 413],
    );
  },
);

test('a client that protoc made from spec/inference.proto is answered', { skip: await skipWithoutGrpc() }, async () => {
  await using served = await serve('primary', { settings });
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-grpc-'));
  try {
    const spec = fileURLToPath(new URL('../../spec', import.meta.url));
    await run('protoc', [`--proto_path=${spec}`, `--python_out=${folder}`, 'inference.proto']);
    const script = fileURLToPath(new URL('fixtures/grpc-client.py', import.meta.url));
    const { stdout } = await run(python, [script, served.socketPath, folder]);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line): unknown => JSON.parse(line)),
      [
        [true, true, true, [-1, 1, 8, 8], 'onnxruntime'],
        ['7', 'accepted', [1, 2], 8],
        'accepted',
        ['NOT_FOUND', 'model-unknown: this guard serves light 1.0.0'],
        ['', 'model-unknown', ''],
      ],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a client that never finishes its headers is cut off within the limit', async () => {
  await using served = await serve('primary', { settings });
  const answer = await sendRaw(served.socketPath, 'GET /v2 HTTP/1.1\r\nHost: guard\r\nX-Slow: ', false);
  assert.match(answer, /^HTTP\/1\.1 408 /);
});

test('a client that never finishes its body is cut off within the limit', async () => {
  await using served = await serve('primary', { settings });
  const head = `POST ${infer} HTTP/1.1\r\nHost: guard\r\nContent-Length: 100\r\n\r\n{`;
  const answer = await sendRaw(served.socketPath, head, false);
  assert.match(answer, /^HTTP\/1\.1 408 /);
});

// SECURITY.md: DEV-33
test('gRPC calls that never finish their messages give back the memory that they hold, within the limit', async () => {
  await using served = await serve('primary', { settings });
  const session = connectHttp2('http://localhost', { createConnection: () => connect(served.socketPath) });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(BODY_BYTES_MAX, 1);
  const path = '/inference.GRPCInferenceService/ModelStreamInfer';
  const stall = async () => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    stream.write(head);
    const trickle = setInterval(() => stream.writable && stream.write('x'), 200);
    stream.once('close', () => clearInterval(trickle));
    const [headers] = z
      .tuple([z.looseObject({})])
      .rest(z.unknown())
      .parse(await once(stream, 'response'));
    return headers['grpc-status'];
  };
  try {
    // Together they hold all of it.
    const all = Array.from({ length: BODIES_BYTES_MAX / BODY_BYTES_MAX }, stall);
    assert.deepEqual(new Set(await Promise.all(all)), new Set(['4']));
    const inputs = [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data: flatImage(0.25) }];
    assert.equal((await ask(served.socketPath, 'POST', infer, JSON.stringify({ inputs }))).status, 200);
  } finally {
    session.destroy();
  }
});
