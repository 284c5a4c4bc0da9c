// The structure of the house: the allowed imports, declared dependencies, the length of files, and that every error code is documented.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { agentErrorCodes } from '@edgekeep/agent/error';
import { coreErrorCodes } from '@edgekeep/core/error';
import { guardErrorCodes } from '@edgekeep/guard/error';
import { hardwareErrorCodes } from '@edgekeep/hardware/error';
import { hostErrorCodes } from '@edgekeep/host/error';
import { hubErrorCodes } from '@edgekeep/hub/error';
import { wireErrorCodes } from '@edgekeep/wire/error';

const root = dirname(import.meta.dirname);

// DESIGN: floors. A package may import itself (relatively) and what stands beside it here.
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  host: [],
  hardware: ['core', 'host'],
  wire: ['core'],
  guard: ['core'],
  hub: ['core', 'host', 'wire'],
  agent: ['core', 'host', 'wire', 'hardware'],
  cli: ['core', 'host', 'wire', 'hardware'],
  sim: ['core', 'host', 'wire', 'hardware', 'hub', 'agent', 'cli', 'guard'],
};
const LINES_MAX = 400;

interface Source {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

const sources: readonly Source[] = Object.keys(mayImport).flatMap((room) =>
  walk(join(root, room, 'src'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      // Without comments: a list of texts behind a comment that ends in "from" is no import.
      const found = text
        .replaceAll(/^\s*\/\/.*$/gm, '')
        .matchAll(
          /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g,
        );
      return { path: relative(root, file), room, text, imports: [...found].map((m) => m[1] ?? m[2] ?? m[3] ?? '') };
    }),
);
const isTest = (source: Source) => /\.test\.ts$|\/testing[.-]?[^/]*\.ts$|\/fixtures\//.test(source.path);

test('there are sources to look at', () => {
  assert.ok(sources.length > 20, `found ${sources.length}`);
});

test('every package imports only the floors below it', () => {
  const wrong = sources.flatMap(({ path, room, imports }) =>
    imports
      .filter((name) => name.startsWith('@edgekeep/'))
      .map((name) => name.split('/')[1] ?? '')
      .filter((other) => !mayImport[room]?.includes(other))
      .map((other) => `${path} imports ${other}`),
  );
  assert.deepEqual(wrong, []);
});

test('no relative import leaves its package', () => {
  const wrong = sources.flatMap(({ path, room, imports }) =>
    imports
      .filter((name) => name.startsWith('.'))
      .filter((name) => !join(dirname(path), name).startsWith(`${room}/`))
      .map((name) => `${path} imports ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test('every imported package is declared by the package that imports it', () => {
  const wrong = sources.flatMap((source) => {
    const manifest: { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> } =
      JSON.parse(readFileSync(join(root, source.room, 'package.json'), 'utf8'));
    const shared: { devDependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    );
    const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));
    if (isTest(source)) for (const name of Object.keys(shared.devDependencies ?? {})) declared.add(name);
    return source.imports
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:') && !builtinModules.includes(name))
      .map((name) => (name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] ?? '')))
      .filter((name) => !declared.has(name))
      .map((name) => `${source.path} imports ${name}`);
  });
  assert.deepEqual(wrong, []);
});

test('no source names an optional package to import, so that types and lint do without it', () => {
  const optional = Object.keys(mayImport).flatMap((room) => {
    const manifest: { optionalDependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(root, room, 'package.json'), 'utf8'),
    );
    return Object.keys(manifest.optionalDependencies ?? {});
  });
  assert.ok(optional.includes('pkcs11js'));
  const wrong = sources.filter(({ imports }) => imports.some((name) => optional.includes(name)));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test('no source file is longer than a reader can hold', () => {
  const long = sources.filter((s) => !isTest(s)).map((s) => [s.path, s.text.split('\n').length] as const);
  assert.deepEqual(
    long.filter(([, lines]) => lines > LINES_MAX),
    [],
  );
});

test('no file re-exports another: there are no barrel files', () => {
  const barrels = sources.filter((s) => /(?:^|\n)export\s+(?:\*|\{[^}]*\}|type\s+\{[^}]*\})\s+from\s/.test(s.text));
  assert.deepEqual(
    barrels.map((s) => s.path),
    [],
  );
});

test('core does no input or output, reads no clock and makes no randomness of its own', () => {
  // `isIP` is a parser that happens to live in node:net.
  const allowed = /import \{ isIP(?:v[46])?(?:, isIP(?:v[46])?)* \} from 'node:net';/g;
  const forbidden =
    /from 'node:(?:fs|net|tls|http|https|child_process|worker_threads|os|dgram)[/']|\{[^}]*\b(?:randomBytes|randomUUID|randomInt|webcrypto)\b[^}]*\} from 'node:crypto'|Date\.now\(\)|new Date\(\)|process\.env|getRandomValues/;
  const wrong = sources
    .filter((s) => s.room === 'core' && !isTest(s))
    .map((s) => [s.path, forbidden.exec(s.text.replaceAll(/\/\/.*$/gm, '').replaceAll(allowed, ''))?.[0]] as const)
    .filter(([, found]) => found !== undefined);
  assert.deepEqual(wrong, []);
});

test('ONNX Runtime is imported in one place only, which turns its telemetry off', () => {
  const places = [
    ...sources,
    ...['bench', 'examples', 'tests'].flatMap((folder) =>
      walk(join(root, folder))
        .filter((file) => file.endsWith('.ts'))
        .map((file) => ({ path: relative(root, file), text: readFileSync(file, 'utf8') })),
    ),
  ]
    .filter(({ text }) => /from 'onnxruntime-node'/.test(text) && !text.includes("test('ONNX Runtime is imported"))
    .map(({ path }) => path);
  assert.deepEqual(places, ['guard/src/runtime.ts']);
});

test('imports between files form no circle', () => {
  const graph = new Map(
    sources.map((s) => [s.path, s.imports.filter((i) => i.startsWith('.')).map((i) => join(dirname(s.path), i))]),
  );
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  assert.deepEqual(circles, []);
});

// A room is a folder directly under src with all below it, or a file directly under src.
const roomOf = (path: string) => path.split('/').slice(0, 3).join('/');

test('imports between the folders of a package form no circle', () => {
  const rooms = new Map<string, Set<string>>();
  for (const { path, imports } of sources.filter((source) => !isTest(source))) {
    const own = roomOf(path);
    const others = imports.filter((name) => name.startsWith('.')).map((name) => roomOf(join(dirname(path), name)));
    const known = rooms.get(own) ?? new Set();
    rooms.set(own, known);
    for (const other of others) if (other !== own) known.add(other);
  }
  const reached = (from: string, seen: Set<string> = new Set()): Set<string> => {
    for (const next of rooms.get(from) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      reached(next, seen);
    }
    return seen;
  };
  const inCircle = [...rooms.keys()].filter((room) => !room.startsWith('hub/') && reached(room).has(room));
  assert.deepEqual(inCircle, []);
});

// Streams that grow for as long as a transfer takes and are synced when they are whole, lines that are synced one by one, and the log's folder, whose
// operations a test cuts off between any two.
const ownSync: readonly string[] = [
  'agent/src/model/model-store.ts',
  'cli/src/manufacture/manifest.ts',
  'cli/src/model/floe-files.ts',
  'hub/src/audit/files.ts',
  'hub/src/model/blobs.ts',
  'hub/src/secrets/backup.ts',
  'hub/src/secrets/restore.ts',
];

test('a file is made durable in one place, host/src/durable-file.ts, and a folder nowhere else', () => {
  const syncing = sources
    .filter((s) => !isTest(s) && /\.(?:sync|datasync)\(\)|\bf(?:data)?sync(?:Sync)?\(/.test(s.text))
    .map((s) => s.path);
  assert.deepEqual(syncing.toSorted(), [...ownSync, 'host/src/durable-file.ts'].toSorted());
  const folders = sources.filter((s) => !isTest(s) && /\bfolder\.sync\(|open\(dirname\(/.test(s.text));
  assert.deepEqual(
    folders.map((s) => s.path),
    ['host/src/durable-file.ts'],
  );
});

test('docs/errors.md explains every error code of every package, no other, and the HTTP status of those of the hub', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  const lists: Readonly<Record<string, readonly string[]>> = {
    CoreError: coreErrorCodes,
    HardwareError: hardwareErrorCodes,
    HostError: hostErrorCodes,
    WireError: wireErrorCodes,
    GuardError: guardErrorCodes,
    AgentError: agentErrorCodes,
    HubError: Object.entries(hubErrorCodes).map(([code, status]) => `${code}\` | ${status}`),
  };
  for (const [name, codes] of Object.entries(lists)) {
    const section = page.split(/^## /m).find((each) => each.includes(`\`${name}\`\n`)) ?? '';
    const row = name === 'HubError' ? /^\| `([a-z-]+` \| \d+) \|/gm : /^\| `([a-z0-9-]+)` \|/gm;
    const explained = [...section.matchAll(row)].map((match) => match[1] ?? '');
    assert.deepEqual(explained.toSorted(), codes.toSorted(), name);
  }
});
