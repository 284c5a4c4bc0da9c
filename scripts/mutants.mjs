// Breaks one trust decision at a time (tests/mutants/) and runs the unit tests of `npm run check` that import the broken source, the
// nearest first, until one fails: that one killed the mutant. A mutant that none of them kills is tried on all unit tests, and has survived
// if they pass. The sources on disk are not touched (scripts/mutant-hook.mjs). usage: node scripts/mutants.mjs [--near] [--root=FOLDER] [ID
// or file, or the beginning of one]… With --near, only tests that import the source are tried: a quick check while tests are written.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { importersByFile, sourcesOf, testsOf } from './importers.mjs';
import { endAll, runTestFiles } from './test-file.mjs';

const mutantsAtOnce = 2;
/** For one test, and for one file: several times the duration of the slowest on a busy machine. */
const testMilliseconds = 120_000;
const fileSeconds = 300;

const words = process.argv.slice(2);
const rootWord = words.find((word) => word.startsWith('--root='))?.slice('--root='.length);
const root = rootWord === undefined ? dirname(dirname(fileURLToPath(import.meta.url))) : resolve(rootWord);
const isNear = words.includes('--near');
const wanted = words.filter((word) => !word.startsWith('-'));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    endAll();
    process.exit(130);
  });
}

const { mutants } = await import(pathToFileURL(join(root, 'tests/mutants/all.ts')).href);
const chosen = mutants.filter(
  ({ id, file }) => wanted.length === 0 || wanted.some((word) => id.startsWith(word) || file.startsWith(word)),
);
if (chosen.length === 0) {
  console.error(`scripts/mutants.mjs: no mutant is named ${wanted.join(' or ')}`);
  process.exit(2);
}
const isTest = (path) => path.endsWith('.test.ts') && !/\.(?:system|fuzz)\.test\.ts$/.test(path);
const importers = importersByFile(root);
const unitTests = sourcesOf(root).filter(isTest);
const scratch = mkdtempSync(join(tmpdir(), 'edgekeep-mutants-'));
/** By test file, whether it passes without a mutant. */
const healthy = new Map();
try {
  process.exitCode = conclude(await tryAll());
} finally {
  endAll();
  rmSync(scratch, { recursive: true, force: true });
}

async function tryAll() {
  const waiting = [...chosen];
  const results = [];
  const worker = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = { mutant, ...(await tryMutant(mutant)) };
      results.push(result);
      console.log(`${result.kind.padEnd(8)} ${mutant.id}: ${result.by}`);
    }
  };
  await Promise.all(Array.from({ length: mutantsAtOnce }, worker));
  return results;
}

async function tryMutant({ id, file, find, replace }) {
  const path = join(root, file);
  const times = existsSync(path) ? readFileSync(path, 'utf8').split(find).length - 1 : 0;
  if (times !== 1) return { kind: 'lost', by: `${file} has its text ${times} times` };
  const seen = join(scratch, id.replaceAll('/', '-'));
  const mutant = { url: pathToFileURL(path).href, find, replace, seen };
  const near = testsOf(file, importers, isTest);
  const others = isNear ? [] : unitTests.filter((test) => !near.includes(test));
  for (const test of [...near, ...others]) {
    const killer = await killerIn(test, mutant);
    if (killer !== undefined) return { kind: 'killed', by: `${test}: ${killer}` };
  }
  const who = existsSync(seen) ? `${near.length} test files import it, and all pass` : 'no unit test loads it';
  return { kind: 'survived', by: `${file}: ${who}` };
}

/** The title of the test that fails only because of the mutant. */
async function killerIn(test, mutant) {
  const { tests, problems } = await run(test, mutant);
  // A file that does not run at all, or a test that ran out of time, says nothing about a trust decision.
  const failed = tests.find(({ outcome, why }) => outcome === 'failed' && !/timed out/.test(why));
  if (failed === undefined && problems.length === 0) return undefined;
  if (!healthy.has(test)) healthy.set(test, run(test, undefined).then(isGood));
  if (!(await healthy.get(test))) throw new Error(`${test} fails without any mutant: fix it first`);
  if (failed !== undefined) return failed.name;
  console.log(`         ${test} ${problems.join(', ')}`);
  return undefined;
}

function isGood({ tests, problems }) {
  return problems.length === 0 && tests.every(({ outcome }) => outcome !== 'failed');
}

function run(test, mutant) {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  if (mutant !== undefined) {
    env.EDGEKEEP_MUTANT = JSON.stringify(mutant);
    env.NODE_OPTIONS = `--import=${new URL('mutant-hook.mjs', import.meta.url).href}`;
  }
  const flags = [`--test-timeout=${testMilliseconds}`];
  return runTestFiles([test], { cwd: root, env, flags, seconds: fileSeconds });
}

function conclude(results) {
  const count = (kind) => results.filter((result) => result.kind === kind).length;
  for (const { mutant, kind, by } of results.filter((result) => result.kind !== 'killed'))
    console.log(`\n${kind}: ${mutant.id}: ${mutant.breaks}\n  ${by}`);
  console.log(
    `\n${results.length} mutants, ${count('killed')} killed, ${count('survived')} survived, ${count('lost')} lost`,
  );
  return count('killed') === results.length ? 0 : 1;
}
