// Brings a fresh Debian machine to where `npm start`, `npm test` or `npm run bench` can run: npm packages (Node 24 among them) and, for
// root, the Debian packages of the chosen set. Plain JavaScript, because the machine's own Node may be as old as 20.
// usage: node scripts/setup.mjs packages|start|test|bench
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// Each part: the program or file that shows it is there, the Debian package that brings it, and what is missed without it.
const parts = {
  swtpm: {
    program: 'swtpm',
    packages: ['swtpm', 'swtpm-tools'],
    without: 'no TPM simulator: TPM devices are left out',
  },
  'tpm2-tools': {
    program: 'tpm2_quote',
    packages: ['tpm2-tools'],
    without: 'no tpm2-tools: agreement with them is not tested',
  },
  openssl: { program: 'openssl', packages: ['openssl'], without: 'no openssl: agreement with it is not tested' },
  curl: { program: 'curl', packages: ['curl'], without: 'no curl: the HTTP examples are not tested' },
  python: {
    file: '/usr/lib/python3/dist-packages/cryptography/__init__.py',
    packages: ['python3', 'python3-cryptography'],
    without: 'no python3-cryptography: the Python verifiers are not tested',
  },
  jwt: {
    file: '/usr/lib/python3/dist-packages/jwt/__init__.py',
    packages: ['python3', 'python3-jwt'],
    without: 'no python3-jwt: agreement with it is not tested',
  },
  compiler: {
    program: 'g++',
    packages: ['g++', 'make', 'python3'],
    without: 'no C++ compiler: the PKCS#11 binding is not built, secure elements are left out',
  },
  softhsm: {
    program: 'softhsm2-util',
    packages: ['softhsm2'],
    without: 'no SoftHSM2: secure elements are not tested',
  },
  age: { program: 'age', packages: ['age'], without: 'no age: it is missing among the peers' },
};
const sets = {
  packages: [],
  start: ['swtpm'],
  test: ['swtpm', 'tpm2-tools', 'openssl', 'curl', 'python', 'jwt', 'compiler', 'softhsm'],
  bench: ['swtpm', 'openssl', 'python', 'age'],
};

const set = process.argv[2] ?? 'packages';
const wanted = sets[set];
if (wanted === undefined) fail(`expected one of ${Object.keys(sets).join(', ')}, found ${set}`);
// Debian first: npm builds the optional PKCS#11 binding only where a compiler is.
installDebianPackages(wanted.filter((name) => !isThere(parts[name])));
installNpmPackages();

function installNpmPackages() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const digest = createHash('sha256').update(lock).digest('hex');
  const stamp = join(root, 'node_modules', '.edgekeep-setup');
  const node = join(root, 'node_modules', 'node', 'bin', 'node');
  const binding = join(root, 'node_modules', 'pkcs11js', 'build', 'Release', 'pkcs11.node');
  const isComplete = existsSync(binding) || !onPath('g++');
  if (existsSync(node) && isComplete && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  say('installing npm packages (Node 24 among them)');
  // onnxruntime's own install step would fetch GPU libraries that nothing here uses.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  // Not `npm ci`: it insists on lock entries for the optional packages of every other platform, and a registry mirror may have only some.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], { env });
  if (!existsSync(node))
    fail('npm finished without Node 24 (the "node" package): run `npm install` by hand and read its messages');
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
}

function installDebianPackages(names) {
  if (names.length === 0) return;
  const packages = names.flatMap((name) => parts[name].packages);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !onPath('apt-get')) {
    for (const name of names) say(parts[name].without);
    say(`to have all of it: apt-get install ${packages.join(' ')}`);
    return;
  }
  say(`installing from Debian: ${packages.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '-qq', '--no-install-recommends', ...packages];
  if (tryRun('apt-get', install, { env, stdio: 'ignore' })) return;
  run('apt-get', ['update', '-qq'], { env });
  run('apt-get', install, { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function isThere(part) {
  return part.program === undefined ? existsSync(part.file) : onPath(part.program);
}

// Debian keeps some of these under sbin, which a plain user's PATH may lack.
function onPath(program) {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((folder) => {
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

function run(command, args, options) {
  if (!tryRun(command, args, options)) fail(`${command} ${args.join(' ')} did not succeed`);
}

function say(message) {
  console.error(`setup: ${message}`);
}

function fail(message) {
  say(message);
  process.exit(1);
}
