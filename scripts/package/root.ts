// Fresh Debian systems, as folders: commands run in them with processes and mounts of their own, so nothing is left of them.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './bundle.ts';
import { run } from './command.ts';

const cache = join(root, 'node_modules/.cache/package/roots');

export interface Ended {
  readonly status: number;
  /** Of both streams. */
  readonly text: string;
}

export class FreshRoot {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Unpacks the smallest system of a Debian release; it is made once. */
  static open(suite: string, work: string, architecture = ''): FreshRoot {
    const archive = join(cache, `${suite}${architecture}.tar`);
    if (!existsSync(archive)) {
      mkdirSync(dirname(archive), { recursive: true });
      const foreign = architecture === '' ? [] : [`--architectures=${architecture}`];
      run('mmdebstrap', ['--quiet', '--variant=minbase', ...foreign, suite, archive]);
    }
    const folder = join(work, `${suite}${architecture}`);
    mkdirSync(folder, { recursive: true });
    run('tar', ['-xf', archive, '-C', folder]);
    return new FreshRoot(folder);
  }

  /** Runs a shell script inside. */
  sh(script: string): Ended {
    const inside =
      'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/run" && exec chroot "$0" sh -c "$1"';
    const spaces = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      LC_ALL: 'C.UTF-8',
    };
    const { status, stdout, stderr, error } = spawnSync(
      'unshare',
      [...spaces, 'sh', '-c', inside, this.folder, script],
      {
        env,
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      },
    );
    return { status: status ?? 1, text: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
