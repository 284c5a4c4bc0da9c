// What other local users can make our process do: through the debugger's signal, and through shared folders.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ownCacheFolder } from './own-process.ts';
import { othersMayWrite } from './trusted-path.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const ownProcess = join(import.meta.dirname, 'own-process.ts');
const otherUser = 65534;
const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot ? {} : { skip: 'a second user takes root' };
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-own-process-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs code in a new process that was hardened first. */
function inside(code: string, options: { nodeOptions?: readonly string[]; environment?: object } = {}) {
  const program = `import { hardenProcess } from ${JSON.stringify(ownProcess)}; hardenProcess(); ${code}`;
  const args = [...(options.nodeOptions ?? []), '--input-type=module', '-e', program];
  return run(process.execPath, args, { env: { PATH: process.env['PATH'], ...options.environment } });
}

// SECURITY.md: DEV-44
test('SIGUSR1 opens no debugger in a hardened process, started with or without --disable-sigusr1', async () => {
  const code = `
    import { url } from 'node:inspector';
    import { once } from 'node:events';
    const told = once(process, 'SIGUSR2');
    const alive = setInterval(() => undefined, 1_000);
    // Signals come in the order of their numbers.
    process.kill(process.pid, 'SIGUSR1');
    process.kill(process.pid, 'SIGUSR2');
    await told;
    clearInterval(alive);
    process.stdout.write(String(url()));`;
  for (const nodeOptions of [[], ['--disable-sigusr1']])
    assert.equal((await inside(code, { nodeOptions })).stdout, 'undefined');
});

// SECURITY.md: DEV-44
test('a process with an open debugger refuses to run', async () => {
  await assert.rejects(inside(`process.stdout.write('ran')`, { nodeOptions: ['--inspect=127.0.0.1:0'] }), {
    code: 2,
    stdout: '',
    stderr: /a debugger listens/,
  });
});

// SECURITY.md: HUB-102
test('an error that nobody caught is printed without the control characters in its message, and ends the process', async () => {
  const hostile = String.raw`throw new Error('\u001b[2J\u009b31m\u202emoc.evil\u2066')`;
  for (const code of [hostile, `void (async () => { ${hostile} })();`, `setImmediate(() => { ${hostile} });`])
    await assert.rejects(inside(code), (error: { code?: unknown; stderr?: unknown }) => {
      assert.equal(error.code, 1);
      assert.match(String(error.stderr), /\\u202emoc\.evil/);
      const raw = ['\u001b', '\u009b', '\u202e', '\u2066'].filter((each) => String(error.stderr).includes(each));
      assert.deepEqual(raw, []);
      return true;
    });
});

// SECURITY.md: DEV-44
test('every program of the house is hardened before it loads anything else', async () => {
  const packages = ['agent', 'hub', 'cli', 'sim'];
  for (const name of packages) {
    const text = await readFile(join(root, name, 'src/main.ts'), 'utf8');
    const statics = text.match(/^import .*$/gm) ?? [];
    assert.equal(statics[0], "import { hardenProcess } from '@edgekeep/host/own-process';", name);
    // A process that the command line starts; the file has no imports.
    const parent = "import { endWithParent } from '@edgekeep/host/parent';";
    assert.deepEqual(statics.slice(1), name === 'agent' || name === 'hub' ? [parent] : [], name);
    assert.match(text, /^hardenProcess\(\);$/m, name);
  }
  assert.doesNotMatch(await readFile(join(import.meta.dirname, 'parent.ts'), 'utf8'), /^import /m);
  const unit = await readFile(join(root, 'deploy/edgekeep-agent.service'), 'utf8');
  for (const line of unit.match(/^Exec.*bin\/node .*$/gm) ?? []) assert.match(line, /node --disable-sigusr1 /);
});

// SECURITY.md: DEV-46
test('every shipped unit has the one limit that stops core files and the programs that collect them', async () => {
  const folder = join(root, 'deploy');
  const units = (await readdir(folder)).filter((name) => name.endsWith('.service'));
  assert.ok(units.length > 1);
  for (const name of units) assert.match(await readFile(join(folder, name), 'utf8'), /^LimitCORE=1$/m, name);
});

// SECURITY.md: DEV-46
test('a hardened process writes no core file', async (t) => {
  if (spawnSync('prlimit', ['--version']).error !== undefined) return t.skip('prlimit is not installed');
  const { stdout } = await inside(`
    import { readFileSync } from 'node:fs';
    process.stdout.write(readFileSync('/proc/self/limits', 'utf8'));`);
  assert.match(stdout, /^Max core file size\s+1\s+1\s/m);
});

// SECURITY.md: DEV-45
test('compiled code of another user in the shared temporary folder is never run', needsRoot, async () => {
  // The attack: another user has made the folder that Node uses by default.
  const shared = join(folder, 'shared');
  await mkdir(shared);
  await chmod(shared, 0o1777);
  await mkdir(join(shared, 'node-compile-cache'));
  await chown(join(shared, 'node-compile-cache'), otherUser, otherUser);
  await inside('', { environment: { TMPDIR: shared, XDG_CACHE_HOME: join(folder, 'cache') } });
  assert.deepEqual(await readdir(join(shared, 'node-compile-cache')), []);
  assert.notDeepEqual(await readdir(join(folder, 'cache/edgekeep/compile-cache')), []);
});

// SECURITY.md: DEV-45
test('a cache folder that another user owns, made or could write is not used', needsRoot, async () => {
  const mine = join(folder, 'mine');
  const made = ownCacheFolder(mine);
  assert.equal(made, join(mine, 'edgekeep/compile-cache'));
  await chmod(join(mine, 'edgekeep'), 0o777);
  assert.equal(ownCacheFolder(mine), undefined);
  await chmod(join(mine, 'edgekeep'), 0o755);
  await chmod(join(mine, 'edgekeep/compile-cache'), 0o755);
  assert.equal(ownCacheFolder(mine), undefined);
  await chmod(join(mine, 'edgekeep/compile-cache'), 0o700);
  await chown(join(mine, 'edgekeep/compile-cache'), otherUser, otherUser);
  assert.equal(ownCacheFolder(mine), undefined);
  await chown(join(mine, 'edgekeep/compile-cache'), 0, 0);
  await chown(mine, otherUser, otherUser);
  assert.equal(ownCacheFolder(mine), undefined);
});

test('a process of a user who has no entry in the list of users runs, without a cache', async () => {
  // As containers and units run: a user id without a name.
  const nameless = `
    import os from 'node:os';
    import { syncBuiltinESMExports } from 'node:module';
    os.userInfo = () => { throw new Error('no such user'); };
    syncBuiltinESMExports();`;
  const nodeOptions = [`--import=data:text/javascript,${encodeURIComponent(nameless)}`];
  const code = `
    import { getCompileCacheDir } from 'node:module';
    process.stdout.write(String(getCompileCacheDir()));`;
  assert.equal((await inside(code, { nodeOptions })).stdout, 'undefined');
});

test('a link into the folder of another user is followed and refused', needsRoot, async () => {
  const theirs = join(folder, 'theirs');
  await mkdir(join(theirs, 'edgekeep/compile-cache'), { recursive: true, mode: 0o700 });
  await chown(theirs, otherUser, otherUser);
  await symlink(theirs, join(folder, 'link'));
  assert.equal(ownCacheFolder(join(folder, 'link')), undefined);
});

test('a process that is given the cache folder of another user refuses to run', needsRoot, async () => {
  const theirs = join(folder, 'given');
  await mkdir(theirs);
  await chown(theirs, otherUser, otherUser);
  await assert.rejects(inside('', { environment: { NODE_COMPILE_CACHE: theirs } }), {
    code: 2,
    stderr: /NODE_COMPILE_CACHE: .* belongs to user 65534/,
  });
});

// SECURITY.md: DEV-45
test('a path is trusted only when every folder above it is', needsRoot, async () => {
  const file = join(folder, 'trusted', 'file');
  await mkdir(dirname(file));
  await writeFile(file, '');
  assert.equal(othersMayWrite(file), undefined);
  await chmod(file, 0o666);
  assert.match(othersMayWrite(file) ?? '', /file can be written by every user/);
  await chmod(file, 0o664);
  await chown(file, 0, otherUser);
  assert.match(othersMayWrite(file) ?? '', /can be written by group 65534/);
  await chmod(file, 0o644);
  await chmod(dirname(file), 0o777);
  assert.match(othersMayWrite(file) ?? '', /trusted can be written by every user/);
  // In a sticky folder others may add files, but this one is ours.
  await chmod(dirname(file), 0o1777);
  assert.equal(othersMayWrite(file), undefined);
});
