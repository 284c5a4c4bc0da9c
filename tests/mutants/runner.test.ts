// `npm run mutants` itself: it names the test that fails, finds surviving and lost mutants, and does not count a test that fails anyway as
// a kill.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { Mutant } from './mutant.ts';

const script = join(import.meta.dirname, '../../scripts/mutants.mjs');
const gate = `export const isOpen = (age: number): boolean => age >= 18;
const isFree = (age: number): boolean => age < 6;
`;
const gateTest = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOpen } from './door.ts';
test('the door is closed to a child', () => assert.equal(isOpen(17), false));
`;

/** Runs the script in a repository of these files. */
async function runIn(files: Readonly<Record<string, string>>, mutants: readonly Partial<Mutant>[]) {
  await using folder = await temporaryFolder();
  const whole = mutants.map((mutant) => ({ file: 'core/src/gate.ts', breaks: 'the gate is a gate', ...mutant }));
  const list = `export const mutants = ${JSON.stringify(whole)};\n`;
  for (const [name, text] of Object.entries({ ...files, 'tests/mutants/all.ts': list })) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), text);
  }
  return await new Promise<{ code: unknown; lines: readonly string[] }>((resolve) => {
    execFile(process.execPath, [script, `--root=${folder.path}`], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, lines: `${stdout}${stderr}`.trimEnd().split('\n') }),
    );
  });
}

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-mutants-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const house = {
  'core/src/gate.ts': gate,
  // The test meets the gate through another file.
  'core/src/door.ts': "export { isOpen } from './gate.ts';\n",
  'core/src/door.test.ts': gateTest,
  'core/src/other.test.ts': "import { test } from 'node:test';\ntest('nothing', () => {});\n",
};
const killed = { id: 'gate/age', find: '>= 18', replace: '>= 17' };

test('a mutant that a test notices is killed, by the title of that test', async () => {
  const { code, lines } = await runIn(house, [killed]);
  assert.equal(code, 0, lines.join('\n'));
  assert.equal(lines[0], 'killed   gate/age: core/src/door.test.ts: the door is closed to a child');
  assert.equal(lines.at(-1), '1 mutants, 1 killed, 0 survived, 0 lost');
});

test('a mutant that no unit test notices has survived, and one whose text is gone is lost', async () => {
  const { code, lines } = await runIn(house, [
    killed,
    { id: 'gate/free', find: '< 6', replace: '< 7' },
    { id: 'gate/gone', find: '< 60', replace: '< 7' },
  ]);
  assert.equal(code, 1);
  assert.ok(lines.includes('survived: gate/free: the gate is a gate'), lines.join('\n'));
  assert.ok(lines.includes('lost: gate/gone: the gate is a gate'), lines.join('\n'));
  assert.equal(lines.at(-1), '3 mutants, 1 killed, 1 survived, 1 lost');
});

test('a mutant with which a file does not even load has survived: that says nothing about a decision', async () => {
  const { code, lines } = await runIn(house, [
    { id: 'gate/broken', find: 'export const isOpen', replace: 'const isOpen' },
  ]);
  assert.equal(code, 1);
  assert.equal(lines.at(-1), '1 mutants, 0 killed, 1 survived, 0 lost');
});

test('a test that fails without any mutant kills none', async () => {
  const broken = { ...house, 'core/src/door.test.ts': gateTest.replace('isOpen(17), false', 'isOpen(17), undefined') };
  const { code, lines } = await runIn(broken, [killed]);
  assert.equal(code, 1);
  assert.match(lines.join('\n'), /core\/src\/door\.test\.ts fails without any mutant/);
});
