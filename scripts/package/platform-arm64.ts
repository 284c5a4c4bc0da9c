// arm64 under qemu: the unit tests of core, hardware and guard, and an agent that enrolls and serves, with a hub of this machine.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openArmRoot } from './arm-root.ts';
import { root } from './bundle.ts';
import type { Check } from './check.ts';
import { run } from './command.ts';

const enter = join(import.meta.dirname, 'arm-root.ts');
/** These ask for programs or a processor that the system under qemu does not have. */
const leftOut = /\.(?:system|fuzz)\.test\.ts$/;

export function checkArm64(work: string, architecture: string, report: Check): void {
  const { folder, qemu } = openArmRoot();
  const shared = join(work, 'arm64');
  mkdirSync(shared);
  const trees = join(work, 'trees');
  const builder = [join(root, 'scripts/package/main.ts'), '--form', 'tree', '--out', trees];
  run(process.execPath, [...builder, '--part', 'agent', '--arch', 'arm64']);
  run(process.execPath, [...builder, '--part', 'hub', '--part', 'agent', '--arch', architecture]);
  for (const part of ['hub', 'agent']) run('mv', [join(trees, `tree-${part}-${architecture}`), join(trees, part)]);
  cpSync(join(trees, 'tree-agent-arm64'), join(shared, 'agent'), { recursive: true });
  const node = join(shared, 'agent/bin/node');
  const check = (name: string, words: readonly string[], pattern: RegExp, environment = {}) => {
    const env = { ...process.env, TMPDIR: shared, ...environment };
    const [command = '', ...args] = words;
    const { status, stdout, stderr, error } = spawnSync(command, args, {
      env,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      cwd: root,
    });
    const text = `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`;
    report(`arm64: ${name}`, status === 0 && pattern.test(text), text);
  };
  const inArm = [process.execPath, enter, folder, qemu, shared];
  check('Node runs', [...inArm, node, '-p', 'process.arch'], /arm64/);
  const agent = [...inArm, node, '--disable-sigusr1', join(shared, 'agent/agent/src/main.js')];
  const walk = [
    join(root, 'scripts/package/walk.mjs'),
    join(shared, 'hub'),
    join(shared, 'state'),
    join(root, 'examples/surface-inspection'),
  ];
  check(
    'a device enrolls and serves',
    [process.execPath, ...walk, join(trees, 'hub/bin/edgekeep'), ...agent],
    /"inference":200/,
  );
  const sources = copySources(shared);
  for (const part of ['core', 'hardware', 'guard']) {
    const listed = run('find', [join(sources, part, 'src'), '-name', '*.test.ts'])
      .trim()
      .split('\n');
    const files = listed.filter((file) => !leftOut.test(file)).sort();
    check(`unit tests of ${part}`, [...inArm, node, '--test', '--test-isolation=none', ...files], /^ℹ fail 0$/m);
  }
}

/** What the unit tests of three packages read. */
function copySources(shared: string): string {
  const sources = join(shared, 'src');
  mkdirSync(sources);
  const packages = ['core', 'host', 'hardware', 'wire', 'guard', 'agent'];
  for (const name of [...packages, 'spec', 'docs', 'examples', 'package.json', 'node_modules'])
    run('cp', ['-a', join(root, name), sources]);
  return sources;
}
