// Nobody reads what the agent, the hub and the command line write: the pipe to a log collector broke, `head` had enough, the disk is full.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { findProgram } from '@edgekeep/cli/program';
import { z } from 'zod';
import { edgekeep } from '../main-job/edgekeep.ts';
import { ending } from '../support/child.ts';
import { closeAll } from '../support/closing.ts';
import { HubWorld, operatorAt } from '../support/hub-world.ts';

const cli = findProgram('@edgekeep/cli/main').file;
const agentMain = findProgram('@edgekeep/agent/main').file;
const hubMain = findProgram('@edgekeep/hub/main').file;
const status = z.looseObject({ state: z.string() });
const ready = z.looseObject({ operator: z.looseObject({ host: z.string(), port: z.number() }) });
let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => closeAll(world));

async function statusOf(socketPath: string): Promise<string> {
  const asked = request({ socketPath, path: '/status', agent: false }).end();
  const [answer] = await once(asked, 'response');
  return status.parse(JSON.parse(await text(answer))).state;
}

// Each turn asks once.
const TURNS_MAX = 5_000;

test('an agent goes on when its output is lost, and ends in order', async () => {
  const state = join(world.folder, 'press-1');
  const made = await edgekeep(
    'enroll',
    'kit',
    'press-1',
    '--out',
    state,
    '--software',
    '--operator',
    world.operatorFile,
  );
  assert.equal(made.code, 0, made.stderr);
  const agent = spawn(process.execPath, [agentMain, '--state', state], { stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(agent);
  await once(agent.stdout, 'data');
  // From here on each event is written to a broken pipe.
  agent.stdout.destroy();
  agent.stderr.destroy();
  let found = '';
  for (let turn = 0; found !== 'online' && turn < TURNS_MAX && agent.exitCode === null; turn += 1) {
    found = await statusOf(join(state, 'run/agent.sock')).catch(() => '');
  }
  assert.deepEqual([agent.exitCode, found], [null, 'online']);
  await world.restart();
  assert.equal(await statusOf(join(state, 'run/agent.sock')).then(() => agent.exitCode), null);
  agent.kill('SIGTERM');
  assert.deepEqual(await once(agent, 'exit'), [0, null]);
});

test('a hub goes on when its output is lost, and ends in order', async () => {
  await world.stop();
  const words = [hubMain, 'run', '--data', world.hubFolder, '--json'];
  const hub = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(hub);
  const [line] = await once(hub.stdout, 'data');
  const { operator: address } = ready.parse(JSON.parse(String(line).split('\n')[0] ?? ''));
  hub.stdout.destroy();
  hub.stderr.destroy();
  // Bytes that are not TLS are a line in the log.
  for (let turn = 0; turn < 3; turn += 1) {
    const socket = connect(address.port, address.host);
    socket.on('error', () => undefined).end('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
  }
  const operator = await operatorAt(world.operatorFile, address);
  assert.ok(await operator.get('/v1/audit', z.looseObject({ size: z.number() })));
  hub.kill('SIGTERM');
  assert.deepEqual(await once(hub, 'exit'), [0, null]);
  await world.start();
});

test('a verb whose reader had enough ends without a word, by the status of a broken pipe', async () => {
  for (const words of [['help'], ['device', 'list', '--operator', world.operatorFile]]) {
    const child = spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    await using _ = ending(child);
    child.stdout.destroy();
    const said = text(child.stderr);
    assert.deepEqual(await once(child, 'exit'), [141, null]);
    assert.equal(await said, '');
  }
});

test('a verb whose output does not fit on the disk says so and fails', async () => {
  await using full = await open('/dev/full', 'w');
  const child = spawn(process.execPath, [cli, 'help'], { stdio: ['ignore', full.fd, 'pipe'] });
  await using _ = ending(child);
  const { stderr } = child;
  assert.ok(stderr !== null);
  const said = text(stderr);
  assert.deepEqual(await once(child, 'exit'), [6, null]);
  assert.match(await said, /^edgekeep: the output is not complete: no space is left on the disk/);
});

test('a verb whose messages nobody reads does its work', async () => {
  const out = join(world.folder, 'press-2');
  const words = ['enroll', 'kit', 'press-2', '--out', out, '--software', '--operator', world.operatorFile];
  const child = spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  await using _ = ending(child);
  child.stderr.destroy();
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});
