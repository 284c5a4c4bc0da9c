import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { exists, isMissing, orIfMissing } from './missing-file.ts';

test('what is not there becomes the other value, and what is there is given', async () => {
  assert.equal(await orIfMissing(readFile('/nonexistent/file', 'utf8'), 'none'), 'none');
  assert.equal(await orIfMissing(Promise.resolve('text'), 'none'), 'text');
});

test('a path exists, or it does not, and one that cannot be looked at is an error', async () => {
  assert.equal(await exists('/'), true);
  assert.equal(await exists('/nonexistent/file'), false);
  await assert.rejects(exists('/proc/self/status/below'), { code: 'ENOTDIR' });
});

test('every other failure is thrown: a folder in place of a file, a path through a file, an error without a code', async () => {
  await assert.rejects(orIfMissing(readFile('/', 'utf8'), 'none'), { code: 'EISDIR' });
  await assert.rejects(orIfMissing(stat('/proc/self/status/below'), 'none'), { code: 'ENOTDIR' });
  await assert.rejects(orIfMissing(Promise.reject(new TypeError('ours')), 'none'), TypeError);
  assert.equal(isMissing({ code: 'ENOENT' }), false);
});
