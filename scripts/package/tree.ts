// The folder that a package installs, `/usr/lib/edgekeep/agent` or `/usr/lib/edgekeep/hub`: programs as bundles, Node, native code. It has no
// links, so it can be signed and measured as a stage, and it works in any place.
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { bundleProgram, root } from './bundle.ts';
import {
  type Architecture,
  addGuardFilter,
  addInferenceRuntime,
  addNode,
  addPackage,
  addPkcs11Binding,
} from './native.ts';

export type Part = 'hub' | 'agent';

/** What runs as a process of its own. */
const programs: Readonly<Record<Part, readonly string[]>> = {
  hub: ['cli/src/main.ts', 'hub/src/main.ts'],
  agent: ['cli/src/main.ts', 'agent/src/main.ts', 'guard/src/main.ts'],
};
const units: Readonly<Record<Part, RegExp>> = { hub: /^edgekeep-hub/, agent: /^edgekeep-(?:agent|guard)/ };

const manifest = z.object({ version: z.string() });
export const { version } = manifest.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));

/** Everything but Node and native code, which is the same for all architectures. */
export async function writePrograms(tree: string, part: Part): Promise<void> {
  const packages = new Set<string>();
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text, { mode });
  };
  write(
    'package.json',
    `${JSON.stringify({ name: `edgekeep-${part}`, version, type: 'module', license: 'Apache-2.0' })}\n`,
  );
  for (const entry of [...programs[part], ...guardPrograms(part)])
    for (const name of await bundleProgram(tree, entry)) packages.add(name);
  write('bin/edgekeep', readFileSync(join(import.meta.dirname, 'files/edgekeep.sh'), 'utf8'), 0o755);
  write('bin/is-configured', readFileSync(join(import.meta.dirname, 'files/is-configured.sh'), 'utf8'), 0o755);
  for (const name of readdirSync(join(root, 'deploy')).filter((each) => units[part].test(each)))
    write(`units/${name}`, readFileSync(join(root, 'deploy', name), 'utf8'));
  if (part === 'agent') {
    write('guard/package.json', `${JSON.stringify({ version, type: 'module' })}\n`);
    write('agent/src/guard/sandbox-root.sh', readFileSync(join(root, 'agent/src/guard/sandbox-root.sh'), 'utf8'));
  }
  addPackage(tree, '@cedar-policy/cedar-wasm', ['nodejs']);
  write('LICENSE', readFileSync(join(root, 'LICENSE'), 'utf8'));
  write(
    'THIRD-PARTY',
    licenses([...packages, '@cedar-policy/cedar-wasm', 'pkcs11js', ...(part === 'agent' ? ['onnxruntime-node'] : [])]),
  );
}

/** What the command line starts of the guard's package, for example to convert a model: its sources name it. */
function guardPrograms(part: Part): readonly string[] {
  if (part !== 'agent') return [];
  const sources = readdirSync(join(root, 'cli/src'), { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && !path.endsWith('.test.ts'),
  );
  const named = sources.flatMap((path) => [
    ...readFileSync(join(root, 'cli/src', path), 'utf8').matchAll(/findProgram\('@edgekeep\/guard\/([a-z/-]+)'\)/g),
  ]);
  return [...new Set(named.map(([, name = '']) => `guard/src/${name}.ts`))];
}

export function writeNative(tree: string, part: Part, architecture: Architecture): void {
  addNode(tree, architecture);
  addPkcs11Binding(tree, architecture);
  if (part !== 'agent') return;
  addInferenceRuntime(tree, architecture);
  addGuardFilter(tree, architecture);
}

const licensed = z.object({ version: z.string(), license: z.string().default('see its files') });

function licenses(names: readonly string[]): string {
  const texts = [...new Set(names)].sort().map((name) => {
    const folder = join(root, 'node_modules', name);
    const { version: own, license } = licensed.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
    const files = readdirSync(folder).filter((each) => /^(?:licen[cs]e|notice|copying)/i.test(each));
    const text = files.sort().map((file) => readFileSync(join(folder, file), 'utf8').trim());
    return [`${name} ${own} (${license})`, ...text].join('\n\n');
  });
  const node = readFileSync(join(root, `node_modules/node-linux-${process.arch}/LICENSE`), 'utf8');
  return `${[`Node.js\n\n${node.trim()}`, ...texts].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** The same owner-independent permissions everywhere. */
export function setModes(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if (entry.isFile())
      chmodSync(
        path,
        /^#!|^\x7fELF/.test(readFileSync(path).toString('latin1', 0, 4)) && isProgram(path) ? 0o755 : 0o644,
      );
  }
  chmodSync(folder, 0o755);
}

const isProgram = (path: string) => /\/s?bin\/[^/]+$|\/ld-linux[^/]+$|\/guard-filter$|\/DEBIAN\/[a-z]+$/.test(path);
