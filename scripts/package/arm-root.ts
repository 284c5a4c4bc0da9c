// An arm64 system on a machine of another kind: its programs run under qemu, which the kernel starts for them inside a user namespace of their
// own (binfmt_misc with the flag F), so nothing of this machine is set. Debian 12's qemu 7.2 crashes the inference runtime: this is Debian 13's.
// usage: node arm-root.ts ROOT QEMU SHARED COMMAND…   SHARED has the same path inside
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bundle.ts';
import { run } from './command.ts';

const cache = join(root, 'node_modules/.cache/package');
const packages = [
  'libc6',
  'libstdc++6',
  'libgcc-s1',
  'dash',
  'bash',
  'coreutils',
  'util-linux',
  'mount',
  'findutils',
  'grep',
  'sed',
  'openssl',
];

export interface ArmRoot {
  readonly folder: string;
  readonly qemu: string;
}

/** Unpacked once: no program of the packages runs for it. */
export function openArmRoot(): ArmRoot {
  const unpacked = (name: string, words: readonly string[]) => {
    const folder = join(cache, name);
    if (!existsSync(join(folder, 'usr/bin'))) {
      mkdirSync(folder, { recursive: true });
      run('mmdebstrap', ['--quiet', '--variant=extract', ...words, folder]);
    }
    return folder;
  };
  return {
    folder: unpacked('arm64-root', ['--architectures=arm64', `--include=${packages.join(',')}`, 'bookworm']),
    qemu: join(unpacked('qemu-10', ['--include=qemu-user', 'trixie']), 'usr/bin/qemu-aarch64'),
  };
}

/** ELF of 64 bits, little endian, for AArch64: an executable or a shared object. */
const elfBytes = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const elfMask = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

const inside = `
echo ready
read _
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf '%s' "$EDGEKEEP_BINFMT" >/proc/sys/fs/binfmt_misc/register || exit 99
unset EDGEKEEP_BINFMT
mount --bind "$1" "$1"
for each in proc dev sys; do mkdir -p "$1/$each" && mount --rbind "/$each" "$1/$each"; done
mkdir -p "$1$2" && mount --rbind "$2" "$1$2"
root=$1
shift 2
exec chroot "$root" "$@"`;

/** The exit code of a command in the system. */
async function runInArmRoot({ folder, qemu }: ArmRoot, shared: string, command: readonly string[]): Promise<number> {
  const spaces = ['--user', '--mount', '--propagation', 'private'];
  const child = spawn('unshare', [...spaces, 'sh', '-c', inside, 'sh', folder, shared, ...command], {
    env: { ...process.env, EDGEKEEP_BINFMT: `:qemu-aarch64:M::${elfBytes}:${elfMask}:${qemu}:FP` },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => child.kill(signal));
  // The namespace is there with the first line; who is who in it can be said from outside alone.
  child.stdout.once('data', (first: Buffer) => {
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, '0 0 4294967295');
    child.stdin.end('\n');
    process.stdout.write(first.subarray('ready\n'.length));
    child.stdout.pipe(process.stdout);
  });
  return ended;
}

if (import.meta.main) {
  const [folder = '', qemu = '', shared = '', ...command] = process.argv.slice(2);
  process.exitCode = await runInArmRoot({ folder, qemu }, shared, command);
}
