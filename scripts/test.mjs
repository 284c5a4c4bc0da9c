// Runs node:test over a chosen set of test files: `all` (default), `unit` (the packages' own tests that need nothing but Node) or `fuzz`.
// Tests that need a TPM simulator, services or minutes are named *.system.test.ts or live in tests/; fuzz runs are *.fuzz.test.ts.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sets = {
  all: () => true,
  unit: (file) => !file.startsWith('tests/') && !/\.(system|fuzz)\.test\.ts$/.test(file),
  fuzz: (file) => file.endsWith('.fuzz.test.ts'),
};
const [name = 'all', ...rest] = process.argv.slice(2);
const chosen = sets[name];
if (chosen === undefined) {
  console.error(`scripts/test.mjs: expected one of ${Object.keys(sets).join(', ')}, found ${name}`);
  process.exit(2);
}

function walk(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return [];
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    return entry.isDirectory() ? walk(path) : [path];
  });
}

// In CI each fuzz test gets this many inputs, some 300,000 together; elsewhere the tests' own smaller counts keep a run short.
const fuzzInputs = process.env.EDGEKEEP_FUZZ_INPUTS ?? (process.env.CI === 'true' ? '20000' : undefined);
const env = fuzzInputs === undefined ? process.env : { ...process.env, EDGEKEEP_FUZZ_INPUTS: fuzzInputs };
const files = walk('').filter((file) => file.endsWith('.test.ts') && chosen(file));
const result = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=240000', '--test-reporter=spec', ...rest, ...files],
  { cwd: root, stdio: 'inherit', env },
);
process.exit(result.status ?? 1);
