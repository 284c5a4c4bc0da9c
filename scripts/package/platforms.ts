// `npm run platforms`: what `npm run package` builds, in fresh systems: install, upgrade, refused downgrade, removal and purge on Debian 11, 12
// and 13, and the whole way from a hub to a served model by the installed commands alone; images under podman; arm64 under qemu. `npm run platforms -- bookworm arm64` tries these alone. Needs root. A line for each
// check; the exit code is 1 when one failed.
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { root } from './bundle.ts';
import type { Check } from './check.ts';
import { run } from './command.ts';
import { checkArm64 } from './platform-arm64.ts';
import { checkImages } from './platform-images.ts';
import { FreshRoot } from './root.ts';
import { version } from './tree.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const suites = ['bullseye', 'bookworm', 'trixie'] as const;
/** In MB; the first two of the .deb of the agent, the others of the agent that serves. */
const limits = { installedMegabytes: 165, residentMegabytes: 86, proportionalMegabytes: 60, helpTimes: 5 } as const;

const walked = z.object({
  model: z.literal(200),
  inference: z.literal(200),
  outputs: z.array(z.string()).min(1),
  agent: z.object({ residentMegabytes: z.number(), proportionalMegabytes: z.number() }),
  receipt: z.literal(true),
  hubRuns: z.literal(true),
});

function main(names: readonly string[]): number {
  if (process.getuid?.() !== 0) {
    process.stderr.write('npm run platforms needs root: it makes systems in folders and runs in them\n');
    return 2;
  }
  const wanted = names.length === 0 ? [...suites, 'images', 'arm64'] : names;
  const work = mkdtempSync(join(tmpdir(), 'edgekeep-platforms-'));
  let failed = 0;
  const check: Check = (name, isRight, found) => {
    if (!isRight) failed += 1;
    process.stdout.write(
      `${isRight ? 'ok      ' : 'FAILED  '} ${name}${isRight ? '' : `: ${found.trim().slice(-2_000)}`}\n`,
    );
  };
  try {
    const debs = join(work, 'debs');
    const builder = [join(root, 'scripts/package/main.ts'), '--arch', architecture, '--out', debs];
    if (wanted.some((name) => suites.some((suite) => suite === name)))
      for (const revision of ['1', '2'])
        run(process.execPath, [...builder, '--form', 'deb', '--quick', '--revision', revision]);
    for (const suite of suites.filter((each) => wanted.includes(each))) checkSuite(suite, work, debs, check);
    if (wanted.includes('images')) checkImages(work, architecture, check);
    if (wanted.includes('arm64')) checkArm64(work, architecture, check);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  process.stdout.write(failed === 0 ? 'all checks passed\n' : `${failed} checks failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Runs a script in the system: its output matches, and it succeeds, or fails where another status is asked for. */
type Expect = (name: string, script: string, pattern: RegExp, status?: number) => void;

const deb = (part: string, revision: number) => `/debs/edgekeep-${part}_${version}-${revision}_${architecture}.deb`;
const asHub = 'setpriv --reuid=edgekeep-hub --regid=edgekeep-hub --init-groups';

function checkSuite(suite: string, work: string, debs: string, report: Check): void {
  using system = FreshRoot.open(suite, work);
  cpSync(debs, join(system.folder, 'debs'), { recursive: true });
  mkdirSync(join(system.folder, 'walk'));
  cpSync(join(root, 'scripts/package/walk.mjs'), join(system.folder, 'walk/walk.mjs'));
  for (const part of ['guard.json', 'models'])
    cpSync(join(root, 'examples/surface-inspection', part), join(system.folder, 'walk', part), { recursive: true });
  const check: Check = (name, isRight, found) => report(`${suite}: ${name}`, isRight, found);
  const expect: Expect = (name, script, pattern, status = 0) => {
    const ended = system.sh(script);
    const isRight = (ended.status === 0) === (status === 0) && pattern.test(ended.text);
    check(name, isRight, `exit ${ended.status}: ${ended.text}`);
  };
  checkInstallation(expect);
  checkWalk(system, check);
  checkSizes(system, check);
  checkUpgrade(expect);
  const left = system.sh(
    'find /usr /etc /var -xdev -iname "*edgekeep*" | grep -v "^/var/lib/edgekeep" | grep -v "^/var/log"',
  ).text;
  check('a purge leaves no file elsewhere', left.trim() === '', left);
}

function checkInstallation(expect: Expect): void {
  expect(
    'both packages install, and say how to go on',
    `dpkg -i ${deb('hub', 1)} ${deb('agent', 1)}`,
    /hub init[^]*enroll package/,
  );
  expect('the hub has its user and its folder', 'stat -c "%U %a" /var/lib/edgekeep/hub', /^edgekeep-hub 700$/m);
  expect('the agent has its user and its folder', 'stat -c "%U %a" /var/lib/edgekeep/agent', /^edgekeep 700$/m);
  expect('edgekeep is on the path', 'edgekeep --help', /keys for models/);
  expect(
    'no service starts before it is configured',
    '/usr/lib/edgekeep/agent/bin/is-configured agent',
    /enroll package/,
    1,
  );
  expect(
    'root does not make a hub in the folder of its user',
    'edgekeep hub init',
    /belongs to the user of the hub/,
    1,
  );
  expect(
    'the user of the hub makes one',
    `${asHub} edgekeep hub init && test -e /var/lib/edgekeep/hub/hub.sqlite`,
    /hub made/,
  );
  expect('the service is configured then', '/usr/lib/edgekeep/hub/bin/is-configured hub && echo yes', /yes/);
}

function checkUpgrade(expect: Expect): void {
  expect(
    'both packages are upgraded',
    `dpkg -i ${deb('hub', 2)} ${deb('agent', 2)} && dpkg -l edgekeep-hub`,
    /-2 +amd64|-2 +arm64/,
  );
  expect('the hub can be read after it', `${asHub} edgekeep hub check`, /ok +store/);
  expect('a downgrade is refused with its reason', `dpkg -i ${deb('hub', 1)}`, /is older than .*may have converted/, 1);
  expect(
    'and the newer version still works',
    'edgekeep --help && test -e /var/lib/edgekeep/hub/hub.sqlite',
    /keys for models/,
  );
  expect(
    'removal of the hub leaves the other command',
    'dpkg -r edgekeep-hub && edgekeep hub run',
    /edgekeep-hub \(docs/,
    1,
  );
  expect('a purge keeps keys and says so', 'dpkg -P edgekeep-hub edgekeep-agent', /has keys and is kept/);
  expect('the data is there', 'test -e /var/lib/edgekeep/hub/hub.sqlite && echo kept', /kept/);
}

function checkWalk(system: FreshRoot, check: Check): void {
  const { status, text } = system.sh(
    'cd /tmp && /usr/lib/edgekeep/agent/bin/node /walk/walk.mjs /tmp/hub /tmp/agent /walk',
  );
  const line = text.split('\n').find((each) => each.startsWith('{"model"')) ?? '{}';
  const found = walked.safeParse(JSON.parse(line));
  check('a device enrolls and serves, by the installed commands alone', status === 0 && found.success, text);
  if (!found.success) return;
  const { residentMegabytes, proportionalMegabytes } = found.data.agent;
  const shown = `${residentMegabytes} MB resident, ${proportionalMegabytes} MB proportional`;
  check(
    `the agent that serves has at most ${limits.residentMegabytes} MB (${shown})`,
    residentMegabytes <= limits.residentMegabytes && proportionalMegabytes <= limits.proportionalMegabytes,
    shown,
  );
}

const helpTimes = `
  const { spawnSync } = require('node:child_process');
  const time = (command, words) => { const start = process.hrtime.bigint(); spawnSync(command, words, { stdio: 'ignore' }); return Number(process.hrtime.bigint() - start); };
  const pairs = Array.from({ length: 11 }, () => [time('edgekeep', ['--help']), time(process.execPath, ['-e', '0'])]);
  const median = (at) => pairs.map((pair) => pair[at]).sort((a, b) => a - b)[5];
  console.log((median(0) / median(1)).toFixed(2));`;

function checkSizes(system: FreshRoot, check: Check): void {
  const size = Number(/^(\d+)/.exec(system.sh('du -s --apparent-size -BM /usr/lib/edgekeep/agent').text)?.[1]);
  check(
    `the agent takes at most ${limits.installedMegabytes} MB (${size} MB)`,
    size <= limits.installedMegabytes,
    String(size),
  );
  const { text } = system.sh(`/usr/lib/edgekeep/hub/bin/node -e "${helpTimes.replaceAll('"', '\\"')}"`);
  const times = Number(text.trim());
  check(
    `--help takes at most ${limits.helpTimes} times as long as an empty Node (${times})`,
    times <= limits.helpTimes,
    text,
  );
}

process.exitCode = main(process.argv.slice(2));
