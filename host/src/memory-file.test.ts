import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, open, readlink } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { HostError } from './error.ts';
import { MemoryFile } from './memory-file.ts';

const skip = await access('/dev/shm', constants.W_OK).then(
  () => false,
  () => (process.env['CI'] === 'true' ? false : '/dev/shm is not writable'),
);

test('bytes written at offsets are read back, in any order', { skip }, async () => {
  await using file = await MemoryFile.create();
  await file.write(Buffer.from('world'), 6);
  await file.write(Buffer.from('hello '), 0);
  assert.equal(Buffer.from(await file.read(0, 100)).toString(), 'hello world');
  assert.equal(await file.size(), 11);
});

// SECURITY.md: DEV-30
test('the file has no name, and nobody else may open it', { skip }, async () => {
  await using file = await MemoryFile.create();
  const path = await readlink(`/proc/self/fd/${file.descriptor}`);
  assert.match(path, /\(deleted\)$/);
  const again = await open(`/proc/self/fd/${file.descriptor}`, 'r');
  try {
    const { mode, nlink } = await again.stat();
    assert.equal(mode & 0o777, 0o600);
    assert.equal(nlink, 0);
  } finally {
    await again.close();
  }
});

test('a program that inherits the descriptor reads the plaintext from its beginning', { skip }, async () => {
  await using file = await MemoryFile.create();
  await file.write(Buffer.from('plaintext'), 0);
  const child = spawn('cat', ['/dev/fd/3'], { stdio: ['ignore', 'pipe', 'inherit', file.descriptor] });
  assert.ok(child.stdout !== null);
  assert.equal(await text(child.stdout), 'plaintext');
});

test('a wiped file is empty, also for another holder of it', { skip }, async () => {
  await using file = await MemoryFile.create();
  await file.write(new Uint8Array(3 * 1024 * 1024 + 5).fill(7), 0);
  const other = await open(`/proc/self/fd/${file.descriptor}`, 'r');
  try {
    await file.wipe();
    assert.equal((await other.stat()).size, 0);
  } finally {
    await other.close();
  }
});

test('a folder that is not a tmpfs is refused', async () => {
  await assert.rejects(MemoryFile.create('/proc'), unavailable);
});

test('a missing folder is refused', async () => {
  await assert.rejects(MemoryFile.create('/nonexistent'), unavailable);
});

function unavailable(error: unknown): boolean {
  return error instanceof HostError && error.code === 'memory-file-unavailable';
}
