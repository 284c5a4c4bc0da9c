import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { systemFailureText } from './system-failure.ts';

const failure = (code: string, syscall: string, path?: string) =>
  Object.assign(new Error(`${code}: words of the system`), { code, syscall, ...(path === undefined ? {} : { path }) });

for (const [code, syscall, path, expected] of [
  ['ENOENT', 'open', '/gone', 'there is no file or folder /gone: correct the path, or make it first'],
  [
    'ENOENT',
    'open',
    '/gone/file',
    'there is no folder /gone for /gone/file: correct the path, or make the folder first',
  ],
  ['ENOENT', 'spawn prog', 'prog', 'the program prog is not installed here: install it, or correct its name'],
  [
    'EACCES',
    'open',
    '/f',
    'this user may not open /f: change its permissions, or start this as the user it belongs to',
  ],
  ['EISDIR', 'open', '/f', '/f is a folder: give a file'],
  ['EISDIR', 'read', undefined, 'a folder was given where a file is expected: give a file'],
  ['ENOTDIR', 'open', '/f/x', 'a part of /f/x is a file where a folder is expected: correct the path'],
  ['ENOTDIR', 'scandir', '/f', '/f is a file: give a folder'],
  ['ENOSPC', 'write', undefined, 'no space is left on the disk: free some, or give another place'],
  ['ENOSPC', 'open', '/f', 'no space is left on the disk of /f: free some, or give another place'],
  ['EROFS', 'open', '/f', 'the disk of /f is read-only: give another place, or mount it for writing'],
  ['EMFILE', 'open', '/f', 'this process has too many files open, for /f: raise its limit (ulimit -n)'],
  ['EEXIST', 'open', '/f', '/f exists already, and is not replaced: give another place, or move it away first'],
] as const) {
  test(`${code} of ${syscall}: ${expected}`, () => {
    assert.equal(systemFailureText(failure(code, syscall, path)), expected);
  });
}

test('failures of the network, of other codes, and without a path to correct keep their own words', () => {
  for (const other of [
    failure('ECONNREFUSED', 'connect'),
    failure('EACCES', 'bind', '/f'),
    failure('EMFILE', 'getaddrinfo'),
    failure('ENOENT', 'open'),
    failure('EXDEV', 'rename', '/f'),
    failure('toString', 'open', '/f'),
    new Error('ours'),
    'text',
    undefined,
  ])
    assert.equal(systemFailureText(other), undefined);
});

test('what Node itself throws becomes a sentence', async () => {
  const textOf = (doing: Promise<unknown>) => doing.then(() => 'no failure', systemFailureText);
  assert.match((await textOf(readFile('/'))) ?? '', /^a folder was given/);
  assert.match((await textOf(open('/', 'w'))) ?? '', /^\/ is a folder/);
  assert.match((await textOf(readdir(import.meta.filename))) ?? '', /test\.ts is a file: give a folder$/);
  const [error] = await once(spawn('edgekeep-no-such-program').on('spawn', assert.fail), 'error').catch(
    (e: unknown) => [e],
  );
  assert.match(systemFailureText(error) ?? '', /^the program edgekeep-no-such-program is not installed here/);
});
