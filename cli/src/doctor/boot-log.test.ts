import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { cryptoAgileLog, sha1Log, testEvent, uefiBoot, uefiVariable } from '@edgekeep/core/attest/testing';
import { examineBootLog } from './boot-log.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-boot-log-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function examine(log: Uint8Array) {
  const path = join(folder, 'log');
  await writeFile(path, log);
  return examineBootLog(path);
}

test('a machine without a firmware log gets the probable cause and the next step', async () => {
  const mounts = join(folder, 'mounts');
  await writeFile(mounts, 'securityfs /sys/kernel/security securityfs rw 0 0\n');
  const { state, found, next } = await examineBootLog(join(folder, 'none'), mounts);
  assert.equal(state, 'missing');
  assert.match(found, /^no firmware event log: its Secure Boot is probably off/);
  assert.match(next ?? '', /Turn Secure Boot on, or boot a unified kernel image/);
});

test('without securityfs nothing is said of Secure Boot', async () => {
  const mounts = join(folder, 'few-mounts');
  await writeFile(mounts, 'proc /proc proc rw 0 0\n');
  const { found } = await examineBootLog(join(folder, 'none'), mounts);
  assert.match(found, /securityfs is not mounted/);
});

test('a log is described by its events, Secure Boot and the kernel', async () => {
  const { state, found } = await examine(cryptoAgileLog(uefiBoot));
  assert.deepEqual([state, found], ['ok', '19 events, Secure Boot on, a kernel that GRUB measured']);
  const off = testEvent(7, 0x80000001, uefiVariable('SecureBoot', Uint8Array.of(0)));
  assert.equal((await examine(cryptoAgileLog([off]))).state, 'warning');
});

test('a log that no hub can use is a warning', async () => {
  assert.match((await examine(sha1Log(uefiBoot))).found, /without a SHA-256 bank/);
  assert.match((await examine(encodeEventLogHeader())).next ?? '', /copy the log again/);
  assert.equal((await examine(Uint8Array.of(1, 2, 3))).state, 'warning');
});
