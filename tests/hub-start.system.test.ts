// `edgekeep hub run` where it cannot start: each cause ends with one line that names it, and an exit code for invalid input.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { edgekeep } from './main-job/edgekeep.ts';
import { HubProcess } from './support/hub-process.ts';
import { HubWorld } from './support/hub-world.ts';
import { SmallDisk, skipWithoutSmallDisk } from './support/small-disk.ts';

const skip = await skipWithoutSmallDisk();
const program = join(import.meta.dirname, '../cli/src/main.ts');
let world: HubWorld;
let rootPem = '';

before(async () => {
  world = await HubWorld.open();
  ({ rootPem } = world.hub);
  await world.stop();
});
after(() => world?.[Symbol.asyncDispose]());

async function assertRefused(folder: string, line: RegExp, status = 6): Promise<void> {
  const { code, stdout, stderr } = await edgekeep('hub', 'run', '--data', folder);
  const lines = stderr.split('\n').filter((each) => each !== '' && !each.startsWith('edgekeep hub: warning: '));
  assert.deepEqual([code, stdout, lines.length], [status, '', 1], stderr);
  assert.match(lines[0] ?? '', line);
}

// SECURITY.md: HUB-30
test('a second hub on one data folder is refused with the process that has it, and may start once that one was killed', async () => {
  const start = () => HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
  {
    await using hub = await start();
    await assertRefused(world.hubFolder, new RegExp(`^edgekeep hub: folder-in-use: .* by process ${hub.processId}: `));
    for (const verb of ['reset-policy', 'rekey']) {
      const { code, stderr } = await edgekeep('hub', verb, '--data', world.hubFolder);
      assert.equal(code, 6, verb);
      assert.match(stderr, new RegExp(`folder-in-use: .* process ${hub.processId}: `), verb);
    }
    await hub.kill();
  }
  await using again = await start();
  assert.equal(await again.stop(), 0);
});

test('a port that another program has is named', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const folder = join(world.folder, 'taken');
    const settings = JSON.stringify({ device: { port: 0 }, operator: { port }, logLevel: 'silent' });
    const { code, stderr } = await edgekeep('hub', 'init', '--data', folder, '--settings', settings);
    assert.equal(code, 0, stderr);
    await assertRefused(folder, new RegExp(`^edgekeep hub: port-unusable: the operator port 127\\.0\\.0\\.1:${port} `));
  } finally {
    server.close();
  }
});

test('a folder without a hub is named, and nothing is written into it', async () => {
  await assertRefused(join(world.folder, 'nowhere'), /^edgekeep hub: settings-invalid: .*nowhere holds no hub/, 3);
  await assertRefused(world.folder, /^edgekeep hub: settings-invalid: /, 3);
});

for (const [how, line] of [
  ['full', /^edgekeep hub: folder-unusable: .*(?:no space (?:is )?left|disk fails or is full)/],
  ['read-only', /^edgekeep hub: folder-unusable: .* it is read-only/],
] as const) {
  test(`a data folder that is ${how} is named`, { skip }, async () => {
    const place = join(world.folder, `${how}-disk`);
    await using disk = await SmallDisk.mount(place, 8);
    await cp(world.hubFolder, disk.folder, { recursive: true });
    for (const name of ['hub.lock', 'hub.pid']) await rm(join(place, name), { force: true });
    if (how === 'full') await disk.fill();
    else await disk.makeReadOnly();
    await assertRefused(disk.folder, line);
  });
}

test('a hub that is made where no folder can be made says so, also of the folder for its root', async () => {
  for (const words of [
    ['--data', '/proc/x'],
    ['--data', join(world.folder, 'no-root'), '--root-folder', '/proc/x'],
  ]) {
    const { code, stdout, stderr } = await edgekeep('hub', 'init', ...words);
    assert.deepEqual([code, stdout], [3, ''], stderr);
    assert.match(
      stderr,
      /^edgekeep hub: folder-unusable: the folder \/proc\/x cannot be made: [^\n]*: give another place\n$/,
    );
  }
});

test('a backup that is not there is named with the next step', async () => {
  const { code, stderr } = await edgekeep(
    'hub',
    'restore',
    '--unsigned',
    '/nonexistent',
    '--data',
    join(world.folder, 'restored'),
  );
  assert.equal(code, 3, stderr);
  assert.match(stderr, /^edgekeep hub: ENOENT: there is no file or folder \/nonexistent: correct the path/);
});

test('a hub that is made on a disk that becomes full says so, and leaves nothing there', { skip }, async () => {
  await using disk = await SmallDisk.mount(join(world.folder, 'full-at-init'), 1);
  const { code, stdout, stderr } = await edgekeep('hub', 'init', '--data', join(disk.folder, 'site', 'hub'));
  assert.deepEqual([code, stdout], [6, ''], stderr);
  assert.match(stderr, /^edgekeep hub: (?:folder-unusable|ENOSPC): .*no space(?: is)? left.*\n$/);
  assert.deepEqual(await readdir(disk.folder), []);
});

test('a hub that is made on a read-only disk says so', { skip }, async () => {
  await using disk = await SmallDisk.mount(join(world.folder, 'no-disk'), 1);
  await disk.makeReadOnly();
  const { code, stdout, stderr } = await edgekeep('hub', 'init', '--data', join(disk.folder, 'site', 'hub'));
  assert.deepEqual([code, stdout], [6, ''], stderr);
  assert.match(stderr, /^edgekeep hub: folder-unusable: .*read-only.*\n$/);
});

const skipTerminal = await skipWithout('script');
test(
  'hub init asks at a terminal for what cannot be changed later, and shows no control sequence',
  { skip: skipTerminal },
  async () => {
    const at = (name: string) => join(world.folder, name);
    const words = ['hub', 'init', '--data', at('asked'), '--root-folder', at('asked-root')];
    const line = [process.execPath, program, ...words].map((word) => `'${word}'`).join(' ');
    const terminal = spawn('script', ['-qefc', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = ['not a name', 'hub.example.net', '', 'plant.example'];
    let shown = '';
    for await (const chunk of terminal.stdout) {
      shown += String(chunk);
      const questions = shown.match(/\): /g)?.length ?? 0;
      while (4 - answers.length < questions) terminal.stdin.write(`${answers.shift() ?? ''}\n`);
    }
    const settings: Readonly<Record<string, unknown>> = JSON.parse(
      await readFile(join(at('asked'), 'hub.json'), 'utf8'),
    );
    assert.deepEqual(
      [settings['names'], settings['logOrigin'], settings['workloads']],
      [['hub.example.net'], 'hub.example.net/log', { trustDomain: 'plant.example' }],
      shown,
    );
    assert.ok(!shown.includes('\u001b') && !shown.includes(String.raw`\u001b`), shown);
  },
);
