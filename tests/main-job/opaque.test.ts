// A model that only its own program understands, delivered into memory by `edgekeep model run`.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { ending } from '../support/child.ts';
import { edgekeep, type Ended, startEdgekeep } from './edgekeep.ts';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';

const name = 'engine';
const mebibyte = 2 ** 20;
const content = randomBytes(20 * mebibyte);
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('edgekeep model run', jobTest, () => {
  let world: JobWorld;
  let device: JobDevice;

  before(async () => {
    world = await JobWorld.open();
    await world.publish({ path: await world.source('engine.plan', content), name, version: '1.0.0' });
    device = await JobDevice.prepare(world, 'press-1', [{ name }]);
    await (await device.start()).next('ready');
  });
  after(() => world?.[Symbol.asyncDispose]());

  const words = (script: string) => [
    ['model', 'run', name, '--socket', device.socket('admin')],
    ['--', 'sh', '-c', script],
  ];
  const lines = ({ code, stdout, stderr }: Ended) => {
    assert.equal(code, 0, stderr);
    return stdout.trim().split('\n');
  };

  test('a program reads the very bytes that were published, anywhere in the file and as often as it likes', async () => {
    const read = (skip: number) => `dd if=/proc/self/fd/3 bs=1M skip=${skip} count=2 status=none | sha256sum`;
    const ended = await edgekeep(
      ...words(`sha256sum < /proc/self/fd/3; ${read(13)}; ${read(2)}; head -c 100 <&3 | sha256sum`),
    );
    const part = (start: number, length: number) => content.subarray(start, start + length);
    const expected = [content, part(13 * mebibyte, 2 * mebibyte), part(2 * mebibyte, 2 * mebibyte), part(0, 100)];
    assert.deepEqual(
      lines(ended).map((line) => line.split(' ')[0]),
      expected.map(digestOf),
    );
  });

  test('the plaintext is in memory, has no name and cannot get one', async () => {
    const link = 'ln -L /proc/self/fd/3 /dev/shm/edgekeep-test-name 2>/dev/null && echo linked || echo nameless';
    const held = "ls -l /proc/self/fd | grep -c '/dev/shm/.* (deleted)'";
    const ended = await edgekeep(
      ...words(`readlink /proc/self/fd/3; stat -L -c '%h %a' /proc/self/fd/3; ${link}; ${held}`),
    );
    const [place = '', links, named, descriptors] = lines(ended);
    assert.match(place, /^\/dev\/shm\/.* \(deleted\)$/);
    assert.equal(links, '0 600');
    assert.equal(named, 'nameless');
    assert.equal(descriptors, '1', 'one descriptor leads to it');
  });

  test("the program's exit code is passed on", async () => {
    assert.equal((await edgekeep(...words('exit 7'))).code, 7);
  });

  test('quarantine ends the running program with exit code 1, and release brings the model back', async () => {
    const { story } = device;
    const child = startEdgekeep(...words('echo started; exec sleep 600'));
    await using _ = ending(child);
    const ended = once(child, 'close');
    const errors = text(child.stderr);
    await once(child.stdout, 'data');
    await world.hub.setState('press-1', 'quarantine');
    const [code] = await ended;
    assert.equal(code, 1);
    assert.match(await errors, /locked/);
    const refused = await edgekeep(...words('true'));
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /model-unavailable: no key of engine/);

    await world.hub.setState('press-1', 'release');
    await story.next('ready');
    const again = await edgekeep(...words('sha256sum < /proc/self/fd/3'));
    assert.equal(lines(again)[0]?.split(' ')[0], digestOf(content));
  });

  test('what outlives the program holds nothing any more', async () => {
    const { story } = device;
    // The program leaves a child process that has the descriptor too, and reads it after the program has ended.
    const late = 'while kill -0 $PPID 2>/dev/null; do sleep 0.05; done; sleep 0.2; wc -c < /proc/self/fd/3';
    const child = startEdgekeep(...words(`wc -c < /proc/self/fd/3; sh -c '${late}' & exec sleep 600`));
    await using _ = ending(child);
    const output = text(child.stdout);
    await once(child.stdout, 'data');
    await world.hub.setState('press-1', 'quarantine');
    assert.deepEqual((await output).trim().split('\n'), [String(content.length), '0']);
    await world.hub.setState('press-1', 'release');
    await story.next('ready');
  });
});
