import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { failureEvent } from './event.ts';
import { localFailureOf } from './local-failure.ts';

const system = (code: string, syscall: string, path?: string) =>
  Object.assign(new Error(`${code}: what Node says`), { code, syscall, ...(path !== undefined && { path }) });

const named = {
  ENOSPC: 'disk-full',
  EDQUOT: 'disk-full',
  EROFS: 'disk-failed',
  EACCES: 'disk-failed',
  EPERM: 'disk-failed',
  EIO: 'disk-failed',
  EMFILE: 'descriptors-short',
  ENFILE: 'descriptors-short',
  ENOMEM: 'memory-short',
};

for (const [code, expected] of Object.entries(named)) {
  test(`a check-in that fails with ${code} is reported as ${expected}, with what was done to which file`, () => {
    const event = failureEvent('check-in', system(code, 'open', '/state/checkpoint.new'));
    assert.ok(event.kind === 'failed');
    assert.deepEqual([event.step, event.code], ['check-in', expected]);
    assert.match(event.message, /^[a-z].* \(open \/state\/checkpoint\.new\)$/);
    assert.ok(!event.message.includes(code));
  });
}

test('a full disk is named as Node throws it', async () => {
  const error: unknown = await writeFile('/dev/full', 'x').catch((thrown: unknown) => thrown);
  assert.deepEqual(localFailureOf(error), {
    code: 'disk-full',
    message: 'no space is left on the disk of the state folder (write)',
  });
});

test('what the network refuses is no failure of the disk, and an error with a code of its own keeps it', () => {
  assert.equal(localFailureOf(system('EACCES', 'connect')), undefined);
  assert.equal(localFailureOf(system('ECONNREFUSED', 'connect')), undefined);
  assert.equal(localFailureOf(Object.assign(new Error('no'), { code: 'EIO' })), undefined);
  const event = failureEvent('check-in', Object.assign(new Error('no'), { code: 'hub-offline' }));
  assert.ok(event.kind === 'failed' && event.code === 'hub-offline');
});
