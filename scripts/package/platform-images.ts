// The images under podman: not root, a root file system that cannot be written, no capabilities.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { root } from './bundle.ts';
import type { Check } from './check.ts';
import { run } from './command.ts';
import { version } from './tree.ts';

export function checkImages(work: string, architecture: string, report: Check): void {
  const out = join(work, 'images');
  run(process.execPath, [
    join(root, 'scripts/package/main.ts'),
    '--arch',
    architecture,
    '--form',
    'image',
    '--out',
    out,
  ]);
  const podman = openPodman(work);
  const walls = [
    '--rm',
    '--read-only',
    '--cap-drop=all',
    '--security-opt=no-new-privileges',
    '--network=none',
    '--log-driver=none',
  ];
  const limits = ['--ulimit=nofile=4096:4096', '--ulimit=nproc=4096:4096'];
  const check = (name: string, pattern: RegExp, words: readonly string[], isGood = true) => {
    const { status, text } = podman(...words);
    report(`images: ${name}`, (status === 0) === isGood && pattern.test(text), `exit ${status}: ${text}`);
  };
  try {
    for (const part of ['hub', 'agent'])
      check(`${part} is loaded`, /Loaded image/, [
        'load',
        '--input',
        join(out, `edgekeep-${part}_${version}_${architecture}.oci.tar`),
      ]);
    const hub = ['run', ...walls, ...limits, '--volume=hub:/var/lib/edgekeep/hub', `localhost/edgekeep-hub:${version}`];
    check('a hub is made in a volume', /hub made in \/var\/lib\/edgekeep\/hub/, [...hub, 'hub', 'init']);
    check('the hub is checked in the next container', /ok +store/, [...hub, 'hub', 'check']);
    const node = `--entrypoint=/usr/lib/edgekeep/hub/bin/node`;
    const own = ['run', ...walls, ...limits, node, `localhost/edgekeep-hub:${version}`];
    const looked = `const { writeFileSync, readFileSync } = require('node:fs'); let written = 'no'; try { writeFileSync('/etc/x', ''); written = 'yes'; } catch {} console.log(process.getuid(), written, /CapEff:\\s+(\\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);`;
    check('the program is not root, writes nothing, and has no capability', /^10001 no 0000000000000000$/m, [
      ...own,
      '-e',
      looked,
    ]);
    const agent = ['run', ...walls, ...limits, `localhost/edgekeep-agent:${version}`];
    check('the agent without settings says what it needs', /enroll kit/, agent, false);
  } finally {
    podman('rm', '--all', '--force', '--time=0');
    podman('rmi', '--all', '--force');
  }
}

/** With a store of its own in the folder. */
function openPodman(work: string) {
  for (const folder of ['store', 'run', 'hub']) mkdirSync(join(work, `podman-${folder}`));
  const global = [
    `--root=${join(work, 'podman-store')}`,
    `--runroot=${join(work, 'podman-run')}`,
    '--cgroup-manager=cgroupfs',
    '--storage-driver=vfs',
    '--events-backend=none',
    '--runtime=runc',
  ];
  return (...words: readonly string[]) => {
    const { status, stdout, stderr, error } = spawnSync('podman', [...global, ...words], {
      encoding: 'utf8',
      cwd: work,
    });
    return { status: status ?? 1, text: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
  };
}
