// Pages that list what the code has: the verbs of the command line, the routes of the hub, what this repository depends on;
// and their links.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { verbs } from '@edgekeep/cli/verbs';
import { z } from 'zod';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

test('docs/cli.md has every verb with the usage that --help shows, and no other', async () => {
  const loaded = await Promise.all(
    Object.entries(verbs).map(async ([name, { load }]) => `${name}: ${(await load(verbs)).usage}`),
  );
  const explained = [...read('docs/cli.md').matchAll(/^### (.+)\n\n`(.+)`$/gm)].map(
    ([, name, usage]) => `${name}: ${usage}`,
  );
  assert.deepEqual(explained.toSorted(), loaded.toSorted());
});

test('the example in the help of each verb is one that docs/cli.md shows', () => {
  const sections = new Map(
    read('docs/cli.md')
      .split(/^### /m)
      .slice(1)
      .map((text) => [text.slice(0, text.indexOf('\n')), text]),
  );
  const foreign = Object.entries(verbs).filter(
    ([name, { example }]) => sections.get(name)?.includes(`$ edgekeep ${example}\n`) !== true,
  );
  assert.deepEqual(foreign, []);
});

test('docs/dependencies.md has every npm package in its version, and no other', () => {
  const declared = new Set(manifests().flatMap(dependenciesOf));
  const explained = [...read('docs/dependencies.md').matchAll(/^### (.+)$/gm)].map((match) => match[1] ?? '');
  assert.deepEqual(explained.toSorted(), [...declared].toSorted());
});

test('docs/dependencies.md has every Debian package that the set-up installs', () => {
  const installed = [...read('scripts/parts.mjs').matchAll(/packages: \[([^\]]+)\]/g)].flatMap((match) =>
    [...(match[1] ?? '').matchAll(/'([^']+)'/g)].map((name) => name[1] ?? ''),
  );
  assert.ok(installed.includes('swtpm'));
  const page = read('docs/dependencies.md');
  assert.deepEqual(
    installed.filter((name) => !new RegExp(`^\\| .*\`${RegExp.escape(name)}\``, 'm').test(page)),
    [],
  );
});

test('spec/api.md has every /v1 route of the hub, and no other', () => {
  const files = readdirSync(join(root, 'hub/src'), { recursive: true, encoding: 'utf8' });
  const routes = files
    .filter((name) => name.startsWith('doors/') && name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .flatMap((name) => [...read(`hub/src/${name}`).matchAll(/\.(get|post|put|delete)\(\s*'(\/v1\/[^']+)'/g)])
    .map(([, method = '', path = '']) => `${method.toUpperCase()} ${path.replaceAll(/:[a-zA-Z]+/g, '*')}`);
  assert.ok(routes.length > 30, `found ${routes.length}`);
  const explained = [...read('spec/api.md').matchAll(/^\| `([A-Z]+) (\/v1\/[^`?]+)[^`]*` \|/gm)].map(
    ([, method, path = '']) => `${method} ${path.replaceAll(/[A-Z]+/g, '*')}`,
  );
  assert.deepEqual(explained.toSorted(), routes.toSorted());
});

// A hub does not start with a route that has no line there.
test('every route of the hub has its name and one line in operations.ts of its doors', () => {
  const files = readdirSync(join(root, 'hub/src/doors'), { recursive: true, encoding: 'utf8' });
  const missing = files
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name.includes('/'))
    .flatMap((name) => {
      const folder = name.split('/')[0] ?? '';
      if (!existsSync(join(root, `hub/src/doors/${folder}/operations.ts`))) return [];
      const operations = read(`hub/src/doors/${folder}/operations.ts`);
      const routes = [...read(`hub/src/doors/${name}`).matchAll(/\.(get|post|put|delete)\(\s*'(\/[^']+)',/g)];
      return routes
        .map(([, method = '', path = '']) => `${method.toUpperCase()} ${path}`)
        .filter((route) => route !== 'GET /openapi.json' && !operations.includes(`'${route}': [`));
    });
  assert.deepEqual(missing, []);
});

test('docs/metrics.md has every metric of the hub, and no other', () => {
  const files = readdirSync(join(root, 'hub/src'), { recursive: true, encoding: 'utf8' });
  const metrics = files
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .flatMap((name) => [...read(`hub/src/${name}`).matchAll(/'(edgekeep_[a-z_]+)'/g)])
    .map(([, name = '']) => name);
  assert.ok(metrics.length > 10, `found ${metrics.length}`);
  const explained = [...read('docs/metrics.md').matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name = '']) => name);
  assert.deepEqual(explained.toSorted(), metrics.toSorted());
});

const pages = ['.', 'docs', 'docs/design', 'spec'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

test('no page links to a file that is not there, and every page of spec/ is in its index', () => {
  const links = (page: string) =>
    [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1] ?? '');
  const dead = pages.flatMap((page) =>
    links(page)
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  );
  assert.deepEqual(dead, []);
  const indexed = new Set(links('spec/README.md'));
  const forgotten = pages.filter((page) => dirname(page) === 'spec' && !indexed.has(basename(page)));
  assert.deepEqual(forgotten, ['spec/README.md']);
});

test('every place of the code that ARCHITECTURE.md names is there', () => {
  const named = [
    ...read('ARCHITECTURE.md').matchAll(/`((?:core|host|hardware|wire|guard|hub|agent|cli|sim)\/src\/[a-z0-9./-]+)`/g),
  ];
  assert.ok(named.length >= 10, `found ${named.length}`);
  const missing = named.map(([, path = '']) => path).filter((path) => !existsSync(join(root, path)));
  assert.deepEqual(missing, []);
});

test('ARCHITECTURE.md has every page of docs/design as a heading, and every room of the hub', () => {
  const page = read('ARCHITECTURE.md');
  const headings = [...page.matchAll(/^### \[.+\]\(docs\/design\/(.+)\)$/gm)].map(([, name = '']) => name);
  assert.deepEqual(headings.toSorted(), readdirSync(join(root, 'docs/design')).toSorted());
  const rooms = readdirSync(join(root, 'hub/src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'store')
    .map(({ name }) => name);
  const named = [...page.matchAll(/^\| (`.+?) \| /gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(.+?)`/g)]);
  const known = new Set(named.map(([, name]) => name));
  assert.deepEqual(
    rooms.filter((name) => !known.has(name)),
    [],
  );
});

test('no page tells people to run npx outside a checkout, where it asks a registry for a package of that name', () => {
  // The demo is run in a checkout.
  const found = pages
    .filter((page) => page !== 'README.md')
    .flatMap((page) =>
      read(page)
        .split(/(?<=[.;|])\s|\n\n/)
        .map((sentence) => ({ page, sentence })),
    )
    .filter(({ sentence }) => sentence.includes('npx edgekeep') && !sentence.includes('in a checkout'));
  assert.deepEqual(found, []);
});

test('docs/getting-started.md signs each folder of the agent’s code, and none has a symbolic link, which cannot be signed', () => {
  const page = read('docs/getting-started.md');
  const parts = /^for part in ([a-z ]+); do$/m.exec(page)?.[1]?.split(' ') ?? [];
  // By the table of ARCHITECTURE.md: what the agent imports, and the guard it starts.
  assert.deepEqual(parts, ['agent', 'core', 'guard', 'hardware', 'host', 'wire']);
  for (const part of parts) {
    assert.ok(page.includes(`"folder": "/opt/edgekeep/${part}"`), part);
    const links = readdirSync(join(root, part), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isSymbolicLink(),
    );
    assert.deepEqual(links, [], part);
  }
});

const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

function manifests(): readonly string[] {
  const { workspaces } = z.object({ workspaces: z.array(z.string()) }).parse(JSON.parse(read('package.json')));
  return ['package.json', ...workspaces.map((name) => `${name}/package.json`)];
}

/** `name version`, without this repository's own packages. */
function dependenciesOf(path: string): readonly string[] {
  const manifest = manifestSchema.parse(JSON.parse(read(path)));
  return Object.values(manifest)
    .flatMap((group) => Object.entries(group))
    .filter(([name]) => !name.startsWith('@edgekeep/'))
    .map(([name, version]) => `${name} ${version}`);
}
