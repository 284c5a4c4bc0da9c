// What a program of a tree needs below it in an image that has nothing else: the C and C++ libraries and, for the agent, the tools of the
// guard's sandbox, with the libraries that these name. From Debian's packages, which mmdebstrap verifies and unpacks for any architecture.
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run } from './command.ts';
import type { Architecture } from './native.ts';
import type { Part } from './tree.ts';

const baseSuite = 'bookworm';
/** User and group of the images. */
export const imageUser = 10_001;

const packagesOf: Readonly<Record<Part, readonly string[]>> = {
  hub: ['libc6', 'libstdc++6', 'libgcc-s1'],
  agent: ['libc6', 'libstdc++6', 'libgcc-s1', 'dash', 'coreutils', 'util-linux', 'mount'],
};
const toolsOf: Readonly<Record<Part, readonly string[]>> = {
  hub: ['usr/bin/prlimit'],
  agent: [
    'bin/sh',
    'bin/mkdir',
    'bin/cp',
    'bin/mount',
    'usr/bin/unshare',
    'usr/bin/setpriv',
    'usr/bin/prlimit',
    'usr/sbin/chroot',
  ],
};
const loaderOf: Readonly<Record<Architecture, string>> = {
  amd64: 'lib64/ld-linux-x86-64.so.2',
  arm64: 'lib/ld-linux-aarch64.so.1',
};
const triplet: Readonly<Record<Architecture, string>> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** Writes the base into `folder`; `programs` are files of the tree whose libraries it must have. Gives the Debian packages it is from. */
export function writeBase(
  folder: string,
  work: string,
  part: Part,
  architecture: Architecture,
  programs: readonly string[],
): readonly string[] {
  const names = [...packagesOf[part], ...(part === 'hub' ? ['util-linux'] : [])];
  run('mmdebstrap', [
    '--variant=extract',
    '--quiet',
    `--architectures=${architecture}`,
    `--include=${names.join(',')}`,
    baseSuite,
    work,
  ]);
  const libraries = join(folder, 'usr/lib', triplet[architecture]);
  mkdirSync(libraries, { recursive: true });
  for (const [link, target] of [
    ['lib', 'usr/lib'],
    ['lib64', 'usr/lib64'],
    ['bin', 'usr/bin'],
    ['sbin', 'usr/sbin'],
  ] as const) {
    mkdirSync(join(folder, target), { recursive: true });
    symlinkSync(target, join(folder, link));
  }
  const loader = loaderOf[architecture];
  copyFile(join(work, loader), join(folder, 'usr', loader));
  const tools = toolsOf[part].map((path) => [path, join(work, existsLink(work, path) ?? path)] as const);
  for (const [path, source] of tools) copyFile(source, join(folder, path.startsWith('usr/') ? path : `usr/${path}`));
  const waiting = [...programs, ...tools.map(([, source]) => source)].flatMap(neededBy);
  const done = new Set<string>([basename(loader)]);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (done.has(name)) continue;
    done.add(name);
    const source = [`lib/${triplet[architecture]}`, `usr/lib/${triplet[architecture]}`]
      .map((place) => join(work, place, name ?? ''))
      .find((path) => existsSync(path));
    // The runtime's own library is beside its binding.
    if (source === undefined) continue;
    copyFile(source, join(libraries, name));
    waiting.push(...neededBy(source));
  }
  writeUsers(folder);
  return readdirSync(join(work, 'usr/share/doc')).sort();
}

function existsLink(work: string, path: string): string | undefined {
  return [path, `usr/${path}`].find((each) => existsSync(join(work, each)));
}

function copyFile(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  cpSync(lstatSync(source).isSymbolicLink() ? realpathSync(source) : source, target);
}

function neededBy(path: string): readonly string[] {
  if (readFileSync(path).toString('latin1', 0, 4) !== '\x7fELF') return [];
  return [...run('objdump', ['-p', path]).matchAll(/^ +NEEDED +(\S+)$/gm)].map(([, name = '']) => name);
}

function writeUsers(folder: string): void {
  mkdirSync(join(folder, 'etc'), { recursive: true });
  const user = `edgekeep:x:${imageUser}:${imageUser}::/nonexistent:/usr/sbin/nologin\n`;
  writeFileSync(join(folder, 'etc/passwd'), `root:x:0:0::/nonexistent:/usr/sbin/nologin\n${user}`);
  writeFileSync(join(folder, 'etc/group'), `root:x:0:\nedgekeep:x:${imageUser}:\n`);
}
