// Runs a chosen set of test files, two at a time: `all` (default), `unit` (the packages' own tests that need nothing but Node, several
// files in one process), `fuzz`, `files` (those that are named), `together` (those that are named, in one process), or `postgres` (those that open a
// store, with it on PostgreSQL). Tests that need a TPM simulator, services or minutes are named *.system.test.ts or are in tests/; fuzz
// runs are *.fuzz.test.ts. Arguments that begin with a dash go to node, for example `--test-name-pattern=…`. The last line is `N passed, N
// failed, N skipped`; failed and skipped tests are named before it.
import { readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryFolder } from './memory-folder.mjs';
import { filesThatMeetStores, filesThatOpenStores } from './store-tests.mjs';
import { endAll, runTestFiles } from './test-file.mjs';
import { groupsOf } from './test-groups.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const filesAtOnce = 2;
/** Several times the duration of the longest file on a busy machine with two cores. */
const fileSeconds = { ordinary: 1_200, fuzz: 2_700 };

const isFuzz = (file) => file.endsWith('.fuzz.test.ts');
const sets = {
  all: () => true,
  unit: (file) => !file.startsWith('tests/') && !/\.(system|fuzz)\.test\.ts$/.test(file),
  fuzz: isFuzz,
  files: () => true,
  together: () => true,
  postgres: () => true,
};
const [name = 'all', ...rest] = process.argv.slice(2);
const chosen = sets[name];
if (chosen === undefined) {
  console.error(`scripts/test.mjs: expected one of ${Object.keys(sets).join(', ')}, found ${name}`);
  process.exit(2);
}
const flags = rest.filter((word) => word.startsWith('-'));
const named = rest.filter((word) => !word.startsWith('-')).map((path) => relative(root, resolve(path)));
const found =
  named.length > 0 || name === 'files' || name === 'together'
    ? named
    : walk('').filter((file) => file.endsWith('.test.ts') && chosen(file));

const files = name === 'postgres' ? filesThatOpenStores(root, found) : found;

// In CI each fuzz test gets this many inputs, about 300,000 together; elsewhere smaller counts of the tests keep a run short.
const fuzzInputs = process.env.EDGEKEEP_FUZZ_INPUTS ?? (process.env.CI === 'true' ? '20000' : undefined);
const env = { ...process.env, ...(fuzzInputs !== undefined && { EDGEKEEP_FUZZ_INPUTS: fuzzInputs }) };
// Hundreds of short processes that load the same sources: what Node compiled for one is there for the next.
if (name === 'unit') env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'compile');
const folder = name === 'unit' ? memoryFolder() : undefined;
if (folder !== undefined) env.TMPDIR = folder;
// With CI=true a missing part is a failure. An ordinary user cannot install parts: for them the test is skipped, by name.
if (env.CI === 'true' && process.getuid?.() !== 0) {
  delete env.CI;
  console.log('not root: what set-up could not install is skipped, by name');
}
// Hubs of tests are on this machine.
for (const proxy of ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY']) delete env[proxy];
// Under `node --test` it would make the files report to that process instead.
delete env.NODE_TEST_CONTEXT;
if (name === 'postgres') env.EDGEKEEP_TEST_STORE = 'postgres';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    endAll();
    process.exit(130);
  });
}
process.exitCode = conclude(await runAll());

async function runAll() {
  const waiting = groups();
  // Tests that open a store run again with it on PostgreSQL: one server for the run, a database for each test.
  const again = await filesOfStore();
  using cluster = again.length > 0 || env.EDGEKEEP_TEST_STORE === 'postgres' ? await startCluster() : undefined;
  if (cluster !== undefined) env.EDGEKEEP_TEST_CLUSTER = cluster.folder;
  const onPostgres = new Set(again.map((file) => [file]));
  waiting.push(...onPostgres);
  const results = [];
  const worker = async () => {
    for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
      const seconds = Number(
        process.env.EDGEKEEP_TEST_FILE_SECONDS ?? fileSeconds[group.some(isFuzz) ? 'fuzz' : 'ordinary'],
      );
      const isAgain = onPostgres.has(group);
      const ofGroup = isAgain ? { ...env, EDGEKEEP_TEST_STORE: 'postgres' } : env;
      const ran = await runTestFiles(group, { cwd: root, env: ofGroup, flags, seconds });
      const result = isAgain ? { ...ran, file: `${ran.file} (PostgreSQL)` } : ran;
      tell(result);
      if (group.length === 1 || result.problems.length === 0) results.push(result);
      else {
        // Its process ended early, or would not end: which of its files did that shows when each runs alone.
        results.push({ ...result, tests: [] });
        waiting.unshift(...group.map((file) => [file]));
      }
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, worker));
  return results;
}

/** In a run of all tests. */
async function filesOfStore() {
  if (name !== 'all' || env.EDGEKEEP_TEST_STORE !== undefined) return [];
  const { serverPrograms } = await import('../hub/src/store/testing-cluster.ts');
  if (serverPrograms() === undefined && env.CI !== 'true') {
    console.log('PostgreSQL is not installed: the store is tested on SQLite alone');
    return [];
  }
  return filesThatMeetStores(root, files);
}

async function startCluster() {
  const { startTestCluster } = await import('../hub/src/store/testing-cluster.ts');
  return startTestCluster();
}

function groups() {
  if (name === 'together') return [files];
  return name === 'unit' ? groupsOf(root, files) : files.map((file) => [file]);
}

function tell({ file, output, problems, milliseconds }) {
  // The summary of a single file adds nothing to the last lines.
  const shown = output.replaceAll(/^ℹ (?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) .*\n/gm, '');
  process.stdout.write(`${file} (${(milliseconds / 1_000).toFixed(1)} s)\n${shown}`);
  for (const problem of problems) process.stdout.write(`${file} ${problem}\n`);
}

function conclude(results) {
  const tests = results.flatMap(({ file, tests: ofFile }) => ofFile.map((test) => ({ file, ...test })));
  const of = (outcome) => tests.filter((test) => test.outcome === outcome);
  const broken = results.flatMap(({ file, problems }) => problems.map((problem) => `${file} ${problem}`));
  const failed = of('failed').map(({ file, name: title, why }) => `${file}: ${title}: ${why}`);
  const skipped = of('skipped').map(({ file, name: title, why }) => `${file}: ${title}${why === '' ? '' : `: ${why}`}`);
  const list = (title, lines) =>
    lines.length === 0 ? '' : `\n${title}\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
  const failures = [...failed, ...broken];
  process.stdout.write(`${list('skipped:', skipped)}${list('failed:', failures)}
${of('passed').length} passed, ${failures.length} failed, ${skipped.length} skipped
`);
  return failures.length === 0 && results.length > 0 ? 0 : 1;
}

function walk(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return [];
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    return entry.isDirectory() ? walk(path) : [path];
  });
}
