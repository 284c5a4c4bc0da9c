// The runner of `npm test` itself: it always ends, names a file that would not, and its last line has the counts.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAlive } from './main-job/traces.ts';

const runner = join(import.meta.dirname, '../scripts/test.mjs');
const header = "import { test } from 'node:test';\nimport { spawn } from 'node:child_process';\n";

/** Runs the runner over one file with this text. */
async function runOver(text: string, limits: Readonly<Record<string, string>> = {}) {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'sample.test.ts');
  await writeFile(file, header + text);
  const env = { ...process.env, ...limits, KEPT: join(folder.path, 'kept') };
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, [runner, 'files', file], { env }, (error, output) =>
      resolve({ code: error === null ? 0 : error.code, stdout: output }),
    );
  });
  const lines = stdout.trimEnd().split('\n');
  const kept = await readFile(env.KEPT, 'utf8').catch(() => '');
  return { code, stdout, last: lines.at(-1) ?? '', kept };
}

/** Runs the runner over these files in one process. */
async function runTogether(texts: readonly string[]) {
  await using folder = await temporaryFolder();
  const files = texts.map((_, at) => join(folder.path, `sample-${at}.test.ts`));
  for (const [at, file] of files.entries()) await writeFile(file, header + (texts[at] ?? ''));
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, [runner, 'together', ...files], (error, output) =>
      resolve({ code: error === null ? 0 : error.code, stdout: output }),
    );
  });
  return { code, stdout, last: stdout.trimEnd().split('\n').at(-1) };
}

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-runner-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test('passed, failed and skipped tests are counted in the last line, and the skipped ones are named with the reason', async () => {
  const text = "test('good', () => {});\ntest('left out', { skip: 'no such tool' }, () => {});\n";
  const good = await runOver(text);
  assert.deepEqual([good.code, good.last], [0, '1 passed, 0 failed, 1 skipped']);
  assert.match(good.stdout, /skipped:\n.*sample\.test\.ts: left out: no such tool\n/);
  const bad = await runOver(`${text}test('bad', () => { throw new Error('as it was meant'); });\n`);
  assert.deepEqual([bad.code, bad.last], [1, '1 passed, 1 failed, 1 skipped']);
  assert.match(bad.stdout, /failed:\n.*sample\.test\.ts: bad: as it was meant\n/);
});

test('a file that never yields is ended and named', async () => {
  const { code, stdout, last } = await runOver("test('holds', () => { for (;;); });\n", {
    EDGEKEEP_TEST_FILE_SECONDS: '3',
  });
  assert.equal(code, 1);
  assert.match(stdout, /failed:\n.*sample\.test\.ts did not end within 3 s and was ended\n/);
  assert.equal(last, '0 passed, 1 failed, 0 skipped');
});

test('a file that is done, but whose event loop something holds, is ended, and what holds it is named', async () => {
  const text =
    "test('holds', () => { setInterval(() => {}, 1_000); });\ntest('fails', () => { throw new Error('it did'); });\n";
  const { code, stdout, last } = await runOver(text, { EDGEKEEP_TEST_END_SECONDS: '1' });
  assert.equal(code, 1);
  assert.match(
    stdout,
    /sample\.test\.ts was ended: its tests were done, and something that they started still ran: .*Timeout\n/,
  );
  assert.match(stdout, /sample\.test\.ts: fails: it did\n/);
  assert.equal(last, '1 passed, 2 failed, 0 skipped');
});

test('a process that a file leaves running is ended and named, also when it left the process group', async () => {
  const { code, stdout, kept } = await runOver(`import { writeFileSync } from 'node:fs';
test('leaves', () => {
  const child = spawn('tail', ['-f', '/dev/null'], { detached: true, stdio: 'ignore' });
  child.unref();
  writeFileSync(process.env.KEPT ?? '', String(child.pid));
});
`);
  assert.equal(code, 1);
  assert.match(stdout, /sample\.test\.ts left running: tail \(\d+\)\n/);
  assert.ok(Number(kept) > 0);
  assert.equal(isAlive(Number(kept)), false);
});

test('a program that a test forks is no test file: it changes nothing of what is reported', async () => {
  const { code, last } = await runOver(`import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
test('forks', async () => {
  const file = process.env.KEPT + '.mjs';
  writeFileSync(file, "process.send('here'); process.disconnect();");
  const child = fork(file);
  await once(child, 'message');
  await once(child, 'exit');
});
test('goes on', () => {});
`);
  assert.deepEqual([code, last], [0, '2 passed, 0 failed, 0 skipped']);
});

test('a file that exits before its tests are done has failed, with every exit code', async () => {
  const { code, stdout } = await runOver("test('leaves early', () => process.exit(0));\n");
  assert.equal(code, 1);
  assert.match(stdout, /ended before its tests did: exit code 0/);
});

test('files that share a process keep their own hooks, and a failure is named with its file', async () => {
  const hooked = "import { beforeEach } from 'node:test';\nlet ran = 0;\nbeforeEach(() => void (ran += 1));\n";
  const counts = `${hooked}test('first', () => { if (ran !== 1) throw new Error(\`ran \${ran} times\`); });\n`;
  const good = await runTogether([counts, counts]);
  assert.deepEqual([good.code, good.last], [0, '2 passed, 0 failed, 0 skipped'], good.stdout);
  const bad = await runTogether([counts, "test('bad', () => { throw new Error('as it was meant'); });\n"]);
  assert.deepEqual([bad.code, bad.last], [1, '1 passed, 1 failed, 0 skipped'], bad.stdout);
  assert.match(bad.stdout, /failed:\n.*sample-1\.test\.ts: bad: as it was meant\n/);
});

test('the end of the first of several files is not taken for the end of all', async () => {
  await using folder = await temporaryFolder();
  const preload = join(folder.path, 'preload.mjs');
  await writeFile(preload, "import { after } from 'node:test';\nafter(() => console.log('after all'));\n");
  const files = [0, 1, 2].map((at) => join(folder.path, `sample-${at}.test.ts`));
  const text = "test('a test', async () => {\n  await new Promise(setImmediate);\n  console.log('it ran');\n});\n";
  for (const file of files) await writeFile(file, header + text);
  const together = join(import.meta.dirname, '../scripts/test-together.mjs');
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const stdout = await new Promise<string>((resolve) => {
    execFile(process.execPath, ['--import', preload, together, ...files], { env }, (_, output) => resolve(output));
  });
  assert.deepEqual(stdout.match(/^(?:it ran|after all)$/gm), ['it ran', 'it ran', 'it ran', 'after all'], stdout);
});

test('when the process that files share ends early, each runs alone, and the one that ended it is named', async () => {
  const { code, stdout, last } = await runTogether([
    "test('good', () => {});\n",
    "test('ends', () => process.exit(7));\n",
  ]);
  assert.equal(code, 1);
  assert.match(stdout, /failed:\n.*2 files from .*sample-0\.test\.ts on ended before its tests did: exit code 7\n/);
  assert.match(stdout, /\n.*sample-1\.test\.ts ended before its tests did: exit code 7\n/);
  assert.equal(last, '1 passed, 2 failed, 0 skipped');
});

test('a unit test that changes the process has one of its own, and no file is lost', async () => {
  await using folder = await temporaryFolder();
  const groups: (root: string, files: readonly string[]) => readonly (readonly string[])[] = (
    await import(new URL('../scripts/test-groups.mjs', import.meta.url).href)
  ).groupsOf;
  await mkdir(join(folder.path, 'core'));
  const files = Array.from({ length: 30 }, (_, at) => `core/${at}.test.ts`);
  for (const file of files) await writeFile(join(folder.path, file), header);
  await writeFile(join(folder.path, 'core/3.test.ts'), "process.env.HOME = '/nowhere';\n");
  const made = groups(folder.path, files);
  assert.deepEqual(
    made.map(({ length }) => length),
    [15, 14, 1],
  );
  assert.deepEqual(made.at(-1), ['core/3.test.ts']);
  assert.deepEqual(made.flat().toSorted(), files.toSorted());
});
