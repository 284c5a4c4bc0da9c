// Containers of podman, with this source tree at /opt/edgekeep and the programs of this machine: no image is fetched, and nothing is left of a
// container. Where podman is missing or cannot limit the memory of a container, tests are skipped and say why.
import { messageOf } from '@edgekeep/core/message-of';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { lstatSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const tree = join(import.meta.dirname, '../..');

/** Where the source tree is inside. */
export const containedTree = '/opt/edgekeep';

/** Runtimes that are tried in turn; the first is the one that podman is set up for. One of them may not know this machine's control groups. */
const runtimes = [[], ['--runtime=runc'], ['--runtime=crun']] as const;
// Limits that a machine without CAP_SYS_RESOURCE can give, too: podman's own defaults are higher.
const limits = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];

export class Podman {
  readonly #folder: string;
  #global: readonly string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Gives why podman does not do here, instead. */
  static async open(): Promise<Podman | string> {
    const podman = new Podman(await mkdtemp(join(tmpdir(), 'edgekeep-podman-')));
    await podman.#makeRoot();
    let why = '';
    for (const runtime of runtimes) {
      const stores = [`--root=${join(podman.#folder, 'store')}`, `--runroot=${join(podman.#folder, 'run')}`];
      podman.#global = [
        ...stores,
        '--cgroup-manager=cgroupfs',
        '--storage-driver=vfs',
        '--events-backend=none',
        ...runtime,
      ];
      const [env = '', ...args] = podman.command({ memoryMebibytes: 64 }, ['true']);
      const failure = await run(env, args).then(() => undefined, messageOf);
      if (failure === undefined) return podman;
      why ||= failure.trim().split('\n').at(-1) ?? '';
    }
    await podman[Symbol.asyncDispose]();
    return why.includes('No such file') ? 'podman is not installed' : `podman gives no limit of memory here: ${why}`;
  }

  /** The words that run `inside` in a new container; it shares sockets in `shared` with this machine. */
  command(
    { memoryMebibytes, options = [] }: { memoryMebibytes: number; options?: readonly string[] },
    inside: readonly string[],
  ): readonly string[] {
    const memory = [`--memory=${memoryMebibytes}m`, `--memory-swap=${memoryMebibytes}m`];
    const mounts = ['--volume=/usr:/usr:ro', `--volume=${tree}:${containedTree}:ro`];
    const own = ['--rm', '--network=none', '--log-driver=none', '--read-only', '--read-only-tmpfs=false'];
    return [
      // conmon leaves a file `oom` where it runs when a container has used its memory up.
      'env',
      `--chdir=${this.#folder}`,
      'podman',
      ...this.#global,
      'run',
      ...own,
      ...limits,
      ...memory,
      ...mounts,
      ...options,
      '--rootfs',
      this.#root,
      ...inside,
    ];
  }

  get #root(): string {
    return join(this.#folder, 'root');
  }

  async #makeRoot(): Promise<void> {
    const folders = ['usr', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'mnt', 'var', 'opt/edgekeep'];
    for (const name of folders) await mkdir(join(this.#root, name), { recursive: true });
    for (const name of ['bin', 'lib', 'lib64', 'sbin'])
      if (lstatSync(`/${name}`).isSymbolicLink()) await symlink(readlinkSync(`/${name}`), join(this.#root, name));
  }

  /** A container outlives the `podman run` that was killed, and its cleanup runs beside ours: its mounts are gone after `podman rm` only. */
  async [Symbol.asyncDispose](): Promise<void> {
    const remove = ['rm', '--all', '--force', '--time=0'];
    // Without podman there is no container.
    await run('podman', [...this.#global, ...remove]).catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
