// The native code of a tree for one architecture: Node, the inference runtime, the PKCS#11 binding and the guard's filter. What is compiled
// here runs on the oldest system that is supported (Debian 11, glibc 2.31).
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { root } from './bundle.ts';
import { run } from './command.ts';

export type Architecture = 'amd64' | 'arm64';

interface Tools {
  /** As Node and npm name it. */
  readonly node: 'x64' | 'arm64';
  readonly prefix: string;
  /** The version that the C library has had since this architecture began. */
  readonly glibc: string;
}

const toolsOf: Readonly<Record<Architecture, Tools>> = {
  amd64: { node: 'x64', prefix: 'x86_64-linux-gnu-', glibc: 'GLIBC_2.2.5' },
  arm64: { node: 'arm64', prefix: 'aarch64-linux-gnu-', glibc: 'GLIBC_2.17' },
};
const modules = join(root, 'node_modules');

/** `bin/node`, without symbols: they are a tenth of its size, and no message of ours uses them. */
export function addNode(tree: string, architecture: Architecture): void {
  const { node, prefix } = toolsOf[architecture];
  const target = join(tree, 'bin/node');
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(nodePackage(node), 'bin/node'), target);
  run(`${prefix}strip`, [target]);
  chmodSync(target, 0o755);
}

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ version: z.string().optional(), integrity: z.string().optional() })),
});

/** The folder of npm's package with Node; another machine's is fetched, and has the digest of package-lock.json. */
function nodePackage(node: Tools['node']): string {
  const name = `node-linux-${node}`;
  const installed = join(modules, name);
  if (existsSync(installed)) return installed;
  const { packages } = lockSchema.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  const { version = '', integrity = '' } = packages[`node_modules/${name}`] ?? {};
  const cache = join(root, 'node_modules/.cache/package', `${name}-${version}`);
  const archive = join(cache, `${name}-${version}.tgz`);
  mkdirSync(cache, { recursive: true });
  if (!existsSync(archive)) run('npm', ['pack', `${name}@${version}`, '--silent', `--pack-destination=${cache}`]);
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== integrity) throw new Error(`${archive} is not what package-lock.json names: remove it`);
  if (!existsSync(join(cache, 'package/bin/node'))) run('tar', ['-xzf', archive, '-C', cache]);
  return join(cache, 'package');
}

/** The code of an npm package, without what is only for people who program with it. */
export function addPackage(tree: string, name: string, parts: readonly string[]): void {
  for (const part of ['package.json', 'LICENSE', ...parts]) {
    const source = join(modules, name, part);
    if (existsSync(source))
      cpSync(source, join(tree, 'node_modules', name, part), {
        recursive: true,
        filter: (path) => !/\.(?:d\.[cm]?ts|map|md)$/.test(path),
      });
  }
}

export function addInferenceRuntime(tree: string, architecture: Architecture): void {
  const { node } = toolsOf[architecture];
  addPackage(tree, 'onnxruntime-node', ['dist', `bin/napi-v6/linux/${node}`]);
  addPackage(tree, 'onnxruntime-common', ['dist/cjs']);
}

/** The helper that puts the guard behind seccomp and Landlock. It is static: nothing of the system's is mapped into it. */
export function addGuardFilter(tree: string, architecture: Architecture): void {
  const target = join(tree, 'agent/native/guard-filter');
  mkdirSync(dirname(target), { recursive: true });
  const source = join(root, 'agent/native/guard-filter.c');
  run(`${toolsOf[architecture].prefix}gcc`, ['-O2', '-Wall', '-Werror', '-static', '-s', '-o', target, source]);
}

/** Since glibc 2.34 these are in another library, under a version that older systems lack. */
const movedSymbols = ['dlopen', 'dlsym', 'dlclose', 'dlerror'];

export function addPkcs11Binding(tree: string, architecture: Architecture): void {
  const { node, prefix, glibc } = toolsOf[architecture];
  const source = join(modules, 'pkcs11js');
  const build = join(root, 'node_modules/.cache/package', `pkcs11js-${architecture}`);
  mkdirSync(build, { recursive: true });
  const versions = join(build, 'versions.h');
  writeFileSync(versions, movedSymbols.map((name) => `__asm__(".symver ${name},${name}@${glibc}");\n`).join(''));
  const target = join(tree, 'node_modules/pkcs11js/build/Release/pkcs11.node');
  addPackage(tree, 'pkcs11js', ['index.js']);
  mkdirSync(dirname(target), { recursive: true });
  run(`${prefix}g++`, [
    '-std=c++17',
    '-O2',
    '-fPIC',
    '-shared',
    '-s',
    '-Wl,--build-id=none',
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
    '-include',
    versions,
    `-ffile-prefix-map=${root}=.`,
    `-I${join(nodePackage(node), 'include/node')}`,
    `-I${join(source, 'includes')}`,
    ...['dl', 'common', 'main'].map((name) => join(source, 'src', `${name}.cpp`)),
    '-o',
    target,
  ]);
}

/** The newest version of glibc that any file of the tree asks for. */
export function glibcOf(tree: string, architecture: Architecture): string {
  const files = readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /(?:\.node|\.so(?:\.\d+)*|bin\/node)$/.test(path),
  );
  const versions = files.flatMap((path) => {
    const symbols = run(`${toolsOf[architecture].prefix}objdump`, ['-T', join(tree, path)]);
    return [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  });
  return `2.${Math.max(...versions)}`;
}
