// What a fresh machine gets: every program that is started belongs to a part that set-up installs, and every npm package of every platform
// is in the lock file with its digest.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { fewPrograms } from './support/few-programs.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const partSchema = z.strictObject({
  programs: z.array(z.string()).optional(),
  files: z.array(z.string().startsWith('/')).optional(),
  packages: z.array(z.string()).min(1),
  without: z.string().min(1),
});
const tableSchema = z.object({
  parts: z.record(z.string(), partSchema),
  sets: z.record(z.string(), z.array(z.string())),
});
const { parts, sets } = tableSchema.parse(await import(pathToFileURL(join(root, 'scripts/parts.mjs')).href));

/** Folders with programs on a Debian machine. */
const programFolders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];
/** Words in such a place that are no program, or one of the shell's own. */
const homonyms = new Set(['clear', 'echo', 'more', 'true']);
/** npm's own programs: they exist wherever npm runs. */
const brought = new Set(['node', 'npm', 'apt-get']);

const isInstalled = (name: string) => programFolders.some((folder) => existsSync(join(folder, name)));

/** What a text starts: the first word given to a function that starts programs, a program by its absolute path, a tool of tpm2-tools. */
function programsIn(text: string): readonly string[] {
  const starts = text.matchAll(
    /\b(?:spawn|spawnSync|execFile|execFileSync|exec|execSync|run|runTool|tool|findTool|skipWithout|skipWithoutOptional|succeeds)\(\s*'([\w.-]+)'/g,
  );
  const inShell = text.matchAll(/'-c',\s*'([\w.-]+) /g);
  const absolute = text.matchAll(/['" ](\/usr(?:\/local)?\/s?bin\/[\w.-]+)['" ]/g);
  const named = text.matchAll(
    /'((?:tpm2_|swtpm|softhsm2-|pkcs11-)[a-z0-9_-]+|openssl|curl|python3|certtool|age|age-keygen)'/g,
  );
  return [
    ...[...starts, ...inShell].map(([, name = '']) => name).filter(isInstalled),
    ...[...absolute].map(([, path = '']) => basename(path)),
    ...[...named].map(([, name = '']) => name).filter(isInstalled),
  ];
}

function sourcesOf(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:ts|mjs)$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name));
}

function forgotten(folders: readonly string[], ...names: readonly string[]): readonly string[] {
  const wanted = names.flatMap((name) => sets[name] ?? []);
  const known = new Set(wanted.flatMap((name) => parts[name]?.programs ?? []));
  return folders
    .flatMap(sourcesOf)
    .flatMap((file) => programsIn(read(file)).map((program) => ({ file, program })))
    .filter(({ program }) => !known.has(program) && !homonyms.has(program) && !brought.has(program))
    .map(({ file, program }) => `${file} starts ${program}`);
}

const rooms = ['core', 'host', 'hardware', 'wire', 'guard', 'hub', 'agent', 'cli'].map((room) => `${room}/src`);

test('every program that tests, demo and benchmarks start is of a part that set-up installs for them', () => {
  assert.deepEqual(forgotten([...rooms, 'sim', 'tests'], 'test', 'optional', 'boots'), []);
  assert.deepEqual(forgotten(['bench'], 'bench'), []);
});

test('a program that set-up forgets is found', () => {
  assert.deepEqual(
    programsIn("spawnSync('sh', ['-c', 'cat file']); const time = '/usr/bin/time'; run(\n  'bash', [])"),
    ['sh', 'bash', 'cat', 'time'],
  );
});

test('a test that may not be skipped in CI needs no program that set-up installs on request only', () => {
  const always = new Set(
    ['test', 'boots'].flatMap((name) => sets[name] ?? []).flatMap((name) => parts[name]?.programs ?? []),
  );
  const needed = [...rooms, 'sim', 'tests']
    .flatMap(sourcesOf)
    .flatMap((file) =>
      [...read(file).matchAll(/\bskipWithout\(([^)]*)\)/g)].flatMap(([, list = '']) =>
        [...list.matchAll(/'([\w.-]+)'/g)].map(([, program = '']) => program),
      ),
    );
  assert.ok(needed.length > 10);
  assert.deepEqual(
    needed.filter((program) => !always.has(program)),
    [],
  );
});

test('every part is of a set, and every set names parts', () => {
  const used = new Set(Object.values(sets).flat());
  assert.deepEqual(
    Object.keys(parts).filter((name) => !used.has(name)),
    [],
  );
  assert.deepEqual(
    [...used].filter((name) => parts[name] === undefined),
    [],
  );
});

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      link: z.boolean().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      hasInstallScript: z.boolean().optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
});
const lock = lockSchema.parse(JSON.parse(read('package-lock.json')));
const installed = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);

// SECURITY.md: HUB-31
test('the lock file has a SHA-512 digest of every package, and names no registry', () => {
  assert.ok(installed.length > 100, `found ${installed.length}`);
  const wrong = installed.filter(([, { integrity = '', resolved }]) => {
    return !integrity.startsWith('sha512-') || resolved !== undefined;
  });
  assert.deepEqual(
    wrong.map(([path]) => path),
    [],
  );
});

// SECURITY.md: HUB-31
test('the lock file is whole: it has the packages of every platform, Node of both among them', () => {
  const missing = Object.values(lock.packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => lock.packages[`node_modules/${name}`] === undefined);
  assert.deepEqual(missing, []);
  const [x64, arm64] = ['x64', 'arm64'].map((name) => lock.packages[`node_modules/node-linux-${name}`]?.version);
  assert.match(x64 ?? '', /^24\./);
  assert.equal(arm64, x64);
});

// Every file that records an installation names its lock file.
const stamp = join(root, 'node_modules/.edgekeep-setup');
const lockDigest = createHash('sha256').update(read('package-lock.json')).digest('hex');
const isSetUp = existsSync(stamp) && readFileSync(stamp, 'utf8') === lockDigest;

test(
  'a second set-up asks for nothing: it works without a network and without npm',
  {
    skip: isSetUp ? false : 'the packages here were not installed by set-up',
  },
  async () => {
    await using nothing = await fewPrograms();
    const { status, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs', 'packages'], {
      cwd: root,
      env: { ...process.env, PATH: nothing.path },
      encoding: 'utf8',
    });
    assert.deepEqual([status, stderr], [0, '']);
  },
);

// SECURITY.md: HUB-31
test('set-up lets no package run a script of its own', () => {
  const setup = read('scripts/setup.mjs');
  assert.match(setup, /'ci', '--ignore-scripts'/);
  assert.doesNotMatch(setup, /'install', '--no-save'/);
  // What the scripts of those that have one would do is written in docs/dependencies.md.
  const scripted = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => basename(path));
  assert.deepEqual(scripted, ['esbuild', 'onnxruntime-node', 'protobufjs']);
});
