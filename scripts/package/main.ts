// `npm run package`: what people install, from this checkout, into dist/. Builds the same bytes from the same commit: times are the commit's
// (SOURCE_DATE_EPOCH), names are sorted, and no path of this machine is inside; `--check` builds everything twice and compares.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { root } from './bundle.ts';
import { run } from './command.ts';
import { writeDeb } from './debian.ts';
import { tarOf, writeImage } from './image.ts';
import { layOut, linkShared, writeShared } from './layout.ts';
import { type Architecture, glibcOf } from './native.ts';
import { type Part, setModes, version, writeNative, writePrograms } from './tree.ts';

const forms = ['tree', 'deb', 'image', 'tarball'] as const;
type Form = (typeof forms)[number];
const usage = `usage: npm run package -- [--part hub|agent]… [--arch amd64|arm64]… [--form ${forms.join('|')}]… [--out DIR] [--revision N] [--check]

--form      what to build (default: deb, image and tarball, the last for the agent alone); tree: the folder that a package installs
--out       where to (default: dist)
--revision  of the .deb, for a second package of one version (default: 1)
--quick     no compression of the .deb, to try it
--check     build twice, and fail where the bytes differ
`;
/** What every file of a tree may ask for: Debian 10, RHEL 8, and later. */
const glibcFloor = '2.28';

interface Order {
  readonly parts: readonly Part[];
  readonly architectures: readonly Architecture[];
  readonly forms: readonly Form[];
  readonly revision: number;
  readonly isQuick: boolean;
  readonly epochSeconds: number;
}

async function main(argv: readonly string[]): Promise<number> {
  process.umask(0o022);
  const { values } = parseArgs({
    args: [...argv],
    options: {
      part: { type: 'string', multiple: true },
      arch: { type: 'string', multiple: true },
      form: { type: 'string', multiple: true },
      out: { type: 'string', default: join(root, 'dist') },
      revision: { type: 'string', default: '1' },
      check: { type: 'boolean' },
      quick: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    return 0;
  }
  const order: Order = {
    parts: chosen(['hub', 'agent'] as const, values.part),
    architectures: chosen(['amd64', 'arm64'] as const, values.arch),
    forms: values.form === undefined ? ['deb', 'image', 'tarball'] : chosen(forms, values.form),
    revision: Number(values.revision),
    isQuick: values.quick === true,
    epochSeconds: epoch(),
  };
  const out = resolve(values.out);
  await buildAll(out, order);
  if (values.check === true) return compare(out, order);
  return 0;
}

function chosen<Name extends string>(all: readonly Name[], named: readonly string[] | undefined): readonly Name[] {
  const unknown = named?.filter((name) => !all.some((each) => each === name)) ?? [];
  if (unknown.length > 0) throw new Error(`expected ${all.join(', ')}, found ${unknown.join(', ')}\n${usage}`);
  return named === undefined ? all : all.filter((name) => named.includes(name));
}

function epoch(): number {
  const given = process.env['SOURCE_DATE_EPOCH'];
  return Number(given ?? run('git', ['-C', root, 'log', '-1', '--format=%ct']).trim());
}

async function buildAll(out: string, order: Order): Promise<void> {
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'edgekeep-package-'));
  try {
    for (const part of order.parts) {
      const programs = join(work, `programs-${part}`);
      await writePrograms(programs, part);
      await writeShared(programs, order.epochSeconds);
      for (const architecture of order.architectures)
        await build(work, programs, out, { ...order, part, architecture });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

type One = Order & { readonly part: Part; readonly architecture: Architecture };

async function build(work: string, programs: string, out: string, order: One): Promise<void> {
  const { part, architecture, epochSeconds } = order;
  const name = `${part}-${architecture}`;
  const tree = join(order.forms.includes('tree') ? out : work, `tree-${name}`);
  rmSync(tree, { recursive: true, force: true });
  run('cp', ['-a', programs, tree]);
  writeNative(tree, part, architecture);
  setModes(tree);
  const glibc = glibcOf(tree, architecture);
  if (Number(glibc.slice(2)) > Number(glibcFloor.slice(2)))
    throw new Error(`a file of the tree needs glibc ${glibc}: at most ${glibcFloor}`);
  const local = leaked(tree);
  if (local !== undefined) throw new Error(`${local} names a folder of this machine`);
  if (order.forms.includes('tree')) say(`tree-${name}`, tree);
  if (order.forms.includes('deb')) say(writeDeb(join(work, `deb-${name}`), tree, out, order), out);
  if (order.forms.includes('image')) say(writeImage(join(work, `image-${name}`), tree, out, order), out);
  if (order.forms.includes('tarball') && part === 'agent') {
    const folder = join(work, `tarball-${name}`);
    layOut(folder, tree, part, epochSeconds);
    setModes(folder);
    linkShared(folder, part);
    const file = `edgekeep-agent_${version}_${architecture}.tar.gz`;
    writeFileSync(join(out, file), gzipSync(tarOf(folder, epochSeconds, ['--owner=0', '--group=0']), { level: 9 }));
    say(file, out);
  }
}

/** The first file of ours that has the path of this checkout inside. */
function leaked(tree: string): string | undefined {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .sort()
    .find(
      (path) =>
        /\.(?:js|json|sh|node)$|guard-filter$/.test(path) &&
        statSync(join(tree, path)).isFile() &&
        readFileSync(join(tree, path)).includes(root),
    );
}

function say(name: string, folder: string): void {
  const path = join(folder, name);
  const size = existsSync(path) && statSync(path).isFile() ? `  ${(statSync(path).size / 1e6).toFixed(1)} MB` : '';
  process.stdout.write(`${name}${size}\n`);
}

async function compare(out: string, order: Order): Promise<number> {
  const second = mkdtempSync(join(tmpdir(), 'edgekeep-package-check-'));
  try {
    await buildAll(second, order);
    const names = readdirSync(second, { recursive: true, encoding: 'utf8' }).sort();
    const files = names.filter((name) => statSync(join(second, name)).isFile());
    const differing = files.filter((name) => digest(join(out, name)) !== digest(join(second, name)));
    process.stdout.write(
      differing.length === 0 && files.length > 0
        ? `built twice: ${files.length} files, byte for byte the same\n`
        : `built twice, and these differ:\n${differing.map((name) => `  ${name}\n`).join('')}`,
    );
    return differing.length === 0 && files.length > 0 ? 0 : 1;
  } finally {
    rmSync(second, { recursive: true, force: true });
  }
}

const digest = (path: string) =>
  existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';

process.exitCode = await main(process.argv.slice(2));
