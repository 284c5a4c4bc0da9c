// `npm start` where something is missing or in the way: it works without missing optional parts, and ends with one line where it cannot
// continue.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { simulatorTools, skipWithout } from '@edgekeep/hardware/tpm/testing';
import { lockFolder } from '@edgekeep/hub/store/folder-lock';
import { ending } from './support/child.ts';
import { fewPrograms, sandboxPrograms } from './support/few-programs.ts';
import { SmallDisk, skipWithoutSmallDisk } from './support/small-disk.ts';

const root = join(import.meta.dirname, '..');

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-demo-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function demo(folder: string, path = process.env['PATH'] ?? '', words: readonly string[] = []) {
  const child = spawn(process.execPath, ['sim/src/main.ts', '--exit-when-done', '--data', folder, ...words], {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await using _ = ending(child);
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}

type Ended = Awaited<ReturnType<typeof demo>>;

function assertShown({ code, stdout, stderr }: Ended): void {
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /serving surface-inspection 1\.0\.0 behind its guard/);
  assert.match(stdout, /verified offline/);
  assert.match(stdout, /every outcome as expected/);
}

/** One line on standard error, without program internals. */
function assertOneLine({ code, stderr }: Ended, line: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^npm start: [^\n]+\n$/);
  assert.match(stderr, line);
}

/** Occupies the ports, unless another program already does. */
async function holdPorts(...ports: readonly number[]): Promise<AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  for (const port of ports) {
    const server = createServer();
    await new Promise<void>((resolve) => server.once('error', () => resolve()).listen(port, '127.0.0.1', resolve));
    stack.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  }
  return stack;
}

test('with a part of the simulator only, and with its usual ports taken, the demo says so and shows the job', async () => {
  await using folder = await temporaryFolder();
  await using ports = await holdPorts(8443, 8444);
  assert.ok(Symbol.asyncDispose in ports);
  await using programs = await fewPrograms(...sandboxPrograms, 'swtpm');
  const ended = await demo(folder.path, programs.path);
  assertShown(ended);
  assert.match(ended.stdout, /no TPM simulator here: swtpm\S* is not installed/);
  assert.match(ended.stdout, /continuing without the three TPM devices/);
  assert.match(ended.stdout, /press-6-altered +software +attestation-refused +yes/);
  for (const port of [8443, 8444]) assert.match(ended.stdout, new RegExp(`port ${port} is in use on this machine`));
});

test(
  'a simulator that is gone since the last start is gone without, and comes back',
  {
    skip: await skipWithout(...simulatorTools),
  },
  async () => {
    await using folder = await temporaryFolder();
    await using programs = await fewPrograms(...sandboxPrograms);
    assertShown(await demo(folder.path));
    const without = await demo(folder.path, programs.path);
    assertShown(without);
    assert.match(without.stdout, /using the hub of the last start/);
    assert.match(without.stdout, /policy: software-only devices are allowed too/);
    const again = await demo(folder.path);
    assertShown(again);
    assert.match(again.stdout, /policy: the default again/);
    assert.match(again.stdout, /press-4-software +software +release-refused +yes/);
  },
);

test('a port that was chosen is used, or named when it is taken or is none', async () => {
  await using folder = await temporaryFolder();
  await using ports = await holdPorts(18_745);
  assert.ok(Symbol.asyncDispose in ports);
  await using programs = await fewPrograms(...sandboxPrograms);
  const chosen = (port: string) => ['--device-port', port, '--operator-port', '18746'];
  assertOneLine(await demo(folder.path, programs.path, chosen('18745')), /18745/);
  const ended = await demo(folder.path, programs.path, chosen('18747'));
  assertShown(ended);
  assert.match(ended.stdout, /operator API +https:\/\/127\.0\.0\.1:18746 /);
  assert.match(ended.stdout, /devices +127\.0\.0\.1:18747,/);
  assert.equal((await demo(folder.path, programs.path, chosen('70000'))).code, 2);
});

test('a second demo on one folder is refused with the number of the process that has it', async () => {
  await using folder = await temporaryFolder();
  using lock = lockFolder(folder.path);
  assertOneLine(await demo(lock.folder), new RegExp(`folder-in-use: .* process ${process.pid}: `));
});

const skip = await skipWithoutSmallDisk();

test('a full folder ends the demo in one line', { skip }, async () => {
  await using folder = await temporaryFolder();
  await using disk = await SmallDisk.mount(folder.path, 1);
  await disk.fill();
  assertOneLine(await demo(disk.folder), /folder-unusable: .* no space is left on (?:its|the) disk/);
});

test('a folder that becomes full on the way ends the demo in one line', { skip }, async () => {
  await using folder = await temporaryFolder();
  await using disk = await SmallDisk.mount(folder.path, 1);
  await using programs = await fewPrograms(...sandboxPrograms);
  assertOneLine(await demo(disk.folder, programs.path), /folder-unusable: .* no space is left on (?:its|the) disk/);
});

test('a folder on a read-only file system ends the demo in one line', { skip }, async () => {
  await using folder = await temporaryFolder();
  await using disk = await SmallDisk.mount(folder.path, 1);
  await disk.makeReadOnly();
  assertOneLine(await demo(disk.folder), /folder-unusable: .* it is read-only/);
  assertOneLine(await demo(join(disk.folder, 'inside')), /folder-unusable: .*inside cannot be made: .* is read-only/);
});

test(
  'a folder that is not this user’s ends the demo in one line',
  {
    skip: process.getuid?.() === 0 ? 'root may write everywhere' : false,
  },
  async () => {
    await using folder = await temporaryFolder();
    await chmod(folder.path, 0o500);
    assertOneLine(await demo(folder.path), /folder-unusable: .* this user may not (?:write there|make)/);
    await chmod(folder.path, 0o700);
  },
);
