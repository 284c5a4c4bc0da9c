// Prepares a fresh Debian machine for `npm start`, `npm test` or `npm run bench`: as root the Debian packages of the chosen set
// (scripts/parts.mjs), then npm packages (Node 24 among them), then the native PKCS#11 binding. package-lock.json has every npm package
// with its digest; no script of a package runs, except the build of the binding. Plain JavaScript, because the machine's own Node may be as
// old as 20. usage: node scripts/setup.mjs packages|start|test|boots|optional|bench
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from './build-native.mjs';
import { parts, sets } from './parts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const nodeMajor = 24;

const set = process.argv[2] ?? 'packages';
const wanted = sets[set];
if (wanted === undefined) fail(`expected one of ${Object.keys(sets).join(', ')}, found ${set}`);
installDebianPackages(wanted.filter((name) => !isThere(parts[name])));
installNpmPackages();
buildNative();
buildBinding();

function installNpmPackages() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const digest = createHash('sha256').update(lock).digest('hex');
  const stamp = join(modules, '.edgekeep-setup');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest && nodeProblem() === undefined) return;
  try {
    accessSync(root, constants.W_OK);
  } catch (error) {
    fail(`npm packages cannot be installed: ${root} is not writable (${error.code})`);
  }
  say('installing npm packages (Node 24 among them)');
  const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (!tryRun('npm', install)) fail('npm ci did not succeed: its message is above (no network, or no space left?)');
  linkNode();
  const problem = nodeProblem();
  if (problem !== undefined) fail(problem);
  writeFileSync(stamp, digest);
}

/** Older versions of npm, such as Debian's 9.2, leave out the link to a program of an optional package. */
function linkNode() {
  const link = join(modules, '.bin', 'node');
  const program = join('..', `node-linux-${process.arch}`, 'bin', 'node');
  if (process.platform !== 'linux' || existsSync(link) || !existsSync(join(modules, '.bin', program))) return;
  chmodSync(join(modules, '.bin', program), 0o755);
  symlinkSync(program, link);
}

/** Why npm scripts would not run Node 24: npm puts node_modules/.bin first in the path of its scripts. Undefined when they do. */
function nodeProblem() {
  const own = join(modules, '.bin', 'node');
  const isOwn = existsSync(own);
  const { status, stdout, stderr, error } = spawnSync(isOwn ? own : process.execPath, ['--version'], {
    encoding: 'utf8',
  });
  const why = error?.message ?? stderr?.trim().split('\n')[0] ?? '';
  if (status !== 0) return `Node ${nodeMajor} does not run on this machine: ${why}`;
  if (Number(/^v(\d+)/.exec(stdout)?.[1]) >= nodeMajor) return undefined;
  const platform = `${process.platform} ${process.arch}`;
  return `no Node ${nodeMajor} came with the npm packages (there is one for Linux on x64 and arm64, this is ${platform}): install Node ${nodeMajor} and run this again`;
}

/** Builds pkcs11js against the headers of our Node, so that nothing is downloaded. Without a compiler it is left out. */
function buildBinding() {
  const folder = join(modules, 'pkcs11js');
  const isBuilt = existsSync(join(folder, 'build', 'Release', 'pkcs11.node'));
  if (isBuilt || !existsSync(folder) || !isThere(parts.compiler)) return;
  const headers = join(modules, `node-linux-${process.arch}`);
  if (!existsSync(join(headers, 'include', 'node', 'node.h'))) return;
  say('building the PKCS#11 binding');
  const env = { ...process.env, npm_config_nodedir: headers, npm_config_ignore_scripts: 'false' };
  const build = ['rebuild', 'pkcs11js', '--loglevel=error'];
  const { status, stdout, stderr } = spawnSync('npm', build, { cwd: root, env, encoding: 'utf8' });
  if (status === 0 && existsSync(join(folder, 'build', 'Release', 'pkcs11.node'))) return;
  say(`the PKCS#11 binding was not built, secure elements are left out: ${lastLine(stderr) || lastLine(stdout)}`);
}

function installDebianPackages(names) {
  if (names.length === 0) return;
  const packages = [...new Set(names.flatMap((name) => parts[name].packages))];
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !onPath('apt-get')) {
    for (const name of names) say(parts[name].without);
    say(`to have all of it: apt-get install ${packages.join(' ')}`);
    return;
  }
  say(`installing from Debian: ${packages.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '-qq', '--no-install-recommends', ...packages];
  const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  if (withoutServers(packages, () => tryRun('apt-get', install, { env, stdio: 'ignore' }))) return;
  const update = () => tryRun('apt-get', ['update', '-qq'], quiet);
  if (update() && withoutServers(packages, () => tryRun('apt-get', install, quiet))) return;
  // Everything that works without them still runs; in CI the tests themselves fail for a missing part.
  say(`apt-get could not install ${packages.join(' ')}`);
  for (const name of names) if (!isThere(parts[name])) say(parts[name].without);
}

/** Debian's package makes a database and starts a server; a run of the tests has its own, so that is left out while `install` runs. */
function withoutServers(packages, install) {
  const file = '/etc/postgresql-common/createcluster.conf';
  if (!packages.includes('postgresql')) return install();
  const common = ['install', '--yes', '-qq', '--no-install-recommends', 'postgresql-common'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  if (!tryRun('apt-get', common, { env, stdio: 'ignore' }) || !existsSync(file)) return false;
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `${before}\ncreate_main_cluster = false\n`);
  try {
    return install();
  } finally {
    writeFileSync(file, before);
  }
}

function isThere({ programs = [], files = [] }) {
  return programs.every(onPath) && files.every((file) => existsSync(file));
}

// Debian installs some of these under sbin, which a plain user's PATH may lack; other systems install swtpm's tools elsewhere.
function onPath(program) {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/share/swtpm'].some((folder) => {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  });
}

function tryRun(command, args, options) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status === 0;
}

function lastLine(text) {
  return text?.trim().split('\n').at(-1) ?? '';
}

function say(message) {
  console.error(`setup: ${message}`);
}

function fail(message) {
  say(message);
  process.exit(1);
}
