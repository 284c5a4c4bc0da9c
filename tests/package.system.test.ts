// What `npm run package` builds for this machine: the trees have what they need and nothing of this machine, their `edgekeep` runs, and the
// units are as closed as SECURITY.md says. Packages in fresh systems, and arm64, are `npm run platforms`.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { layOut } from '../scripts/package/layout.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const triplet = architecture === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const mustBeThere = process.env['CI'] === 'true';
const isMissing = ['strip', 'objdump', 'g++'].some((tool) => spawnSync(`${triplet}-${tool}`, ['--version']).error);
const needsTools = { skip: isMissing && !mustBeThere && 'the tools of the compiler are not installed' };
let folder: string;
const tree = (part: string) => join(folder, `tree-${part}-${architecture}`);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-package-'));
  if (isMissing && !mustBeThere) return;
  const words = ['--form', 'tree', '--arch', architecture, '--out', folder];
  await run(process.execPath, [join(root, 'scripts/package/main.ts'), ...words], { cwd: root });
});
after(() => rm(folder, { recursive: true, force: true }));

test('the tree of a package has programs, Node and native code, and no link', needsTools, () => {
  const everywhere = [
    'bin/node',
    'bin/edgekeep',
    'bin/is-configured',
    'cli/src/main.js',
    'share/edgekeep.1.gz',
    'THIRD-PARTY',
  ];
  const own = {
    hub: [
      'hub/src/main.js',
      'hub/src/audit/state-thread.js',
      'hub/src/doors/operator/pages-thread.js',
      'units/edgekeep-hub.service',
    ],
    agent: [
      'agent/src/main.js',
      'guard/src/main.js',
      'guard/src/watchdog.js',
      'agent/native/guard-filter',
      'agent/src/guard/sandbox-root.sh',
    ],
  };
  for (const [part, files] of Object.entries(own)) {
    const entries = readdirSync(tree(part), { recursive: true, encoding: 'utf8' });
    for (const file of [...everywhere, ...files, 'wire/src/file/sealed-file-threads.js'])
      assert.ok(entries.includes(file), `${part}: ${file}`);
    assert.deepEqual(
      entries.filter((path) => lstatSync(join(tree(part), path)).isSymbolicLink()),
      [],
      part,
    );
    const runtimes = entries.filter((path) => /libonnxruntime/.test(path));
    assert.equal(runtimes.length, part === 'agent' ? 1 : 0, runtimes.join());
  }
});

test('the pages that messages and help name are in a package, with those that they link to', needsTools, () => {
  const laidOut = join(folder, 'laid-out');
  layOut(laidOut, tree('hub'), 'hub', 0);
  const pages = join(laidOut, 'usr/share/doc/edgekeep-hub');
  for (const page of ['docs/cli.md', 'docs/install.md', 'docs/upgrading.md']) {
    const text = readFileSync(join(pages, page), 'utf8');
    const links = [...text.matchAll(/\]\((?<path>[^)#:]+\.md)/g)].map(({ groups }) => groups?.['path'] ?? '');
    assert.ok(links.length > 0, page);
    for (const link of links) assert.ok(existsSync(join(pages, dirname(page), link)), `${page}: ${link}`);
  }
});

test('the command line of a tree answers, and starts the agent of the package beside it', needsTools, async () => {
  const { stdout } = await run(join(tree('hub'), 'bin/edgekeep'), ['--help']);
  assert.match(stdout, /^edgekeep: keys for models/);
  const alone = run(join(tree('hub'), 'bin/edgekeep'), ['agent', 'run', '--state', join(folder, 'none')]);
  await assert.rejects(alone, { code: 3, stderr: /program-missing: agent is not installed here.*edgekeep-agent/ });
  await cp(tree('hub'), join(folder, 'lib/hub'), { recursive: true });
  await cp(tree('agent'), join(folder, 'lib/agent'), { recursive: true });
  const beside = run(join(folder, 'lib/hub/bin/edgekeep'), ['agent', 'run', '--state', join(folder, 'none')]);
  await assert.rejects(beside, { code: 3, stderr: /settings-invalid.*enroll kit/ });
});

test('a tree that was moved works, with its guard and native code', needsTools, async () => {
  const moved = join(folder, 'lib/agent');
  const code = `await import(${JSON.stringify(join(moved, 'node_modules/pkcs11js/index.js'))});
    const { InferenceSession } = (await import(${JSON.stringify(join(moved, 'node_modules/onnxruntime-node/dist/index.js'))})).default;
    const session = await InferenceSession.create(${JSON.stringify(join(root, 'examples/surface-inspection/models/primary.onnx'))});
    process.stdout.write(session.outputNames.join());`;
  const { stdout } = await run(join(moved, 'bin/node'), ['--input-type=module', '--eval', code]);
  assert.match(stdout, /probabilities/);
  const tool = spawnSync(join(moved, 'bin/node'), [join(moved, 'guard/src/tool/main.js')], {
    input: '{}',
    encoding: 'utf8',
  });
  assert.match(tool.stdout, /^\{"kind":"failed"/, tool.stderr);
  await assert.rejects(run(join(moved, 'bin/node'), [join(moved, 'guard/src/main.js')]), {
    code: 2,
    stderr: /started by the agent/,
  });
});

/** By `systemd-analyze security`, from 0 (closed) to 10; a drop-in is read after its unit. */
const exposures = [
  { unit: 'edgekeep-hub.service', dropIn: undefined, maxLevel: 1.5 },
  { unit: 'edgekeep-guard@.service', dropIn: undefined, maxLevel: 1.5 },
  { unit: 'edgekeep-agent.service', dropIn: undefined, maxLevel: 2.5 },
  { unit: 'edgekeep-agent.service', dropIn: 'edgekeep-agent-guard-units.conf', maxLevel: 1.6 },
] as const;

// SECURITY.md: DEV-41
test('no shipped unit leaves more open than its service needs, and each has a limit of memory', async (t) => {
  for (const { unit, dropIn, maxLevel } of exposures) {
    const texts = [unit, ...(dropIn === undefined ? [] : [dropIn])].map((name) =>
      readFile(join(root, 'deploy', name), 'utf8'),
    );
    const text = (await Promise.all(texts)).join('\n');
    assert.match(text, /^MemoryMax=\d+G$/m, unit);
    assert.match(text, /^OOMPolicy=/m, unit);
    const path = join(folder, unit);
    await writeFile(path, text);
    const rated = spawnSync('systemd-analyze', ['security', '--offline=yes', '--no-pager', path], { encoding: 'utf8' });
    if (rated.error !== undefined && !mustBeThere) return t.skip('systemd-analyze is not installed');
    const [, level = '10'] = /Overall exposure level for [^:]+: ([\d.]+)/.exec(rated.stdout) ?? [];
    assert.ok(Number(level) <= maxLevel, `${unit}: ${level}, at most ${maxLevel}`);
  }
});

test('the units name no place outside the layout of folders', async () => {
  for (const name of readdirSync(join(root, 'deploy')).filter((each) => /\.(?:service|socket|conf)$/.test(each))) {
    const text = await readFile(join(root, 'deploy', name), 'utf8');
    const places = [...text.matchAll(/\/(?:opt|var\/lib|run|usr\/lib|etc)\/edgekeep[^\s;"`,]*/g)].map(
      ([place]) => place,
    );
    for (const place of places)
      assert.match(
        place,
        /^\/(?:var\/lib\/edgekeep(?:$|\/(?:hub|agent))|run\/edgekeep|usr\/lib\/edgekeep\/(?:hub|agent)|etc\/edgekeep)/,
        name,
      );
  }
});
