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
import { hubErrorCodes } from '@edgekeep/hub/common/declarations';
import { wireErrorCodes } from '@edgekeep/wire/error';
import {
  arrowsBetween,
  arrowsUp,
  circles,
  floorsDrawn,
  folderOf,
  importsOf,
  isTest,
  roomOf,
  sharedTables,
  type Source,
  tablesOf,
  transportsOutside,
} from './support/house.ts';
import {
  codeInJoin,
  codeInLists,
  declaredTwice,
  loadedEarly,
  notJoined,
  ownerless,
  tablesElsewhere,
} from './support/joins.ts';
import { crowdedInterfaces, longFunctions, unusedExports, wideOpenings } from './support/source-rules.ts';

const root = dirname(import.meta.dirname);

// DESIGN: floors. A package may import itself (relatively) and the packages listed here beside it.
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
const FUNCTION_LINES_MAX = 60;

interface PackageSource extends Source {
  readonly room: string;
  readonly imports: readonly string[];
}

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

const sources: readonly PackageSource[] = Object.keys(mayImport).flatMap((room) =>
  walk(join(root, room, 'src'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      return { path: relative(root, file), room, text, imports: importsOf(text).map(({ name }) => name) };
    }),
);
const productSources = sources.filter((source) => !isTest(source));
const hub = sources.filter(({ room }) => room === 'hub');

const textsIn = (folder: string) =>
  walk(join(root, folder))
    .filter((file) => /\.(ts|mjs)$/.test(file))
    .map((file) => ({ path: relative(root, file), text: readFileSync(file, 'utf8') }));
const besidePackages = ['bench', 'examples', 'scripts'].flatMap(textsIn);
const programs = besidePackages.filter((source) => !isTest(source));
const testPrograms = textsIn('tests');

// DESIGN: the floors of the hub are the drawing of ARCHITECTURE.md, and nowhere else. A folder imports its own floor and those below it.
const hubFloors = floorsDrawn(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'));
// Distinct pairs of rooms of which one imports the other. A new subject may raise it by what it imports itself.
const HUB_ARROWS_MAX = 210;

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

test('every package that a package declares is named by its sources', () => {
  const idle = Object.keys(mayImport).flatMap((room) => {
    const manifest: { dependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(root, room, 'package.json'), 'utf8'),
    );
    const texts = sources.filter((source) => source.room === room).map(({ text }) => text);
    return Object.keys(manifest.dependencies ?? {})
      .filter((name) => !texts.some((text) => text.includes(`'${name}'`) || text.includes(`'${name}/`)))
      .map((name) => `${room} declares ${name}`);
  });
  assert.deepEqual(idle, []);
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
  assert.deepEqual(places, ['guard/src/model/runtime.ts']);
});

// To find the first key, a Map passes over all that were deleted before it: with 200,000 keys that takes 0.1 ms each time.
const firstKey = /const \[\w+\] = [\w.#]+(?:\.keys\(\))?;\n.*\.delete\(/;

test('a map with a limit is an LruMap: none deletes the first key of a Map', () => {
  const evicting = (text: string) => firstKey.test(text);
  assert.deepEqual(
    sources.filter((source) => !isTest(source) && evicting(source.text)).map(({ path }) => path),
    [],
  );
  const planted =
    '    const [oldest] = this.#counts.keys();\n    if (oldest !== undefined) this.#counts.delete(oldest);';
  assert.ok(evicting(planted) && evicting(planted.replace('.keys()', '')));
});

test('imports between files form no circle, also those of scripts, benchmarks and tests', () => {
  const graph = new Map(
    [...sources, ...programs, ...testPrograms].map(({ path, text }) => {
      const names = importsOf(text).map(({ name }) => name);
      return [path, names.filter((name) => name.startsWith('.')).map((name) => join(dirname(path), name))];
    }),
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

test('imports between the folders of a package form no circle', () => {
  assert.deepEqual(circles(sources), []);
});

test('a circle between folders is found, also one of three, of types, of a file and a folder, or of a folder and its parent', () => {
  const from = (path: string, ...names: readonly string[]) => ({
    path,
    text: names.map((name) => `import type { A } from '${name}';`).join('\n'),
  });
  const three = [
    from('hub/src/site/sites.ts', '../alert/alerts.ts'),
    from('hub/src/alert/alerts.ts', '../audit/log.ts'),
    from('hub/src/audit/log.ts', '../site/other.ts'),
  ];
  assert.deepEqual(circles(three).slice(0, 3), ['hub/src/site', 'hub/src/alert', 'hub/src/audit']);
  assert.deepEqual(circles(three.slice(1)), []);
  const file = [from('hub/src/settings.ts', './audit/log.ts'), from('hub/src/audit/log.ts', '../settings.ts')];
  assert.deepEqual(circles(file).slice(0, 2), ['hub/src/settings.ts', 'hub/src/audit']);
  const doors = [
    from('hub/src/doors/http/server.ts', '../operator/door.ts'),
    from('hub/src/doors/operator/door.ts', '../http/server.ts'),
  ];
  assert.deepEqual(circles(doors), ['hub/src/doors/http', 'hub/src/doors/operator']);
  const parent = [
    from('core/src/attest/values.ts', './dice/layer.ts'),
    from('core/src/attest/dice/chain.ts', '../reason.ts'),
  ];
  assert.deepEqual(circles(parent), ['core/src/attest', 'core/src/attest/dice']);
  assert.deepEqual(circles(parent.slice(1)), []);
});

test('no folder of the hub imports a higher floor', () => {
  assert.deepEqual(arrowsUp(hub, 'hub/src', hubFloors), []);
  const places = new Set(hub.map(({ path }) => folderOf(path)));
  const gone = hubFloors.flat().filter((name) => !places.has(`hub/src/${name}`) && !places.has(`hub/src/${name}.ts`));
  assert.deepEqual(gone, []);
});

test('the floors are read from the drawing, and a place is drawn once', () => {
  const page =
    'Text.\n\n## The floors of the hub\n\nA folder of `src`.\n\n```text\nmain  doors/public\nstore\n```\n\nText.\n';
  assert.deepEqual(floorsDrawn(page), [['main', 'doors/public'], ['store']]);
  assert.throws(() => floorsDrawn(page.replace('floors of the hub', 'rooms')), TypeError);
  assert.ok(hubFloors.length > 5, `${hubFloors.length} floors`);
  const places = hubFloors.flat();
  assert.deepEqual(
    places.filter((place, at) => place === '' || places.indexOf(place) !== at),
    [],
  );
});

test('an import of a higher floor is found, and a folder without a floor', () => {
  const planted = { path: 'hub/src/audit/planted.ts', text: "import { x } from '../registry/states.ts';" };
  const found = 'hub/src/audit/planted.ts imports hub/src/registry/states.ts';
  assert.deepEqual(arrowsUp([...hub, planted], 'hub/src', hubFloors), [found]);
  const homeless = { path: 'hub/src/helpers/planted.ts', text: '' };
  assert.deepEqual(arrowsUp([...hub, homeless], 'hub/src', hubFloors), ['hub/src/helpers has no floor']);
});

test('a transport of the hub is imported under doors only', () => {
  assert.deepEqual(transportsOutside(hub, 'hub/src/doors'), []);
});

test('a transport outside doors is found, also as a type; an address parser is none', () => {
  const found = (text: string, path = 'hub/src/presence/planted.ts') =>
    transportsOutside([{ path, text }], 'hub/src/doors').length;
  for (const name of ['fastify', 'node:http', 'node:https', 'node:http2', 'node:tls', 'node:net']) {
    assert.equal(found(`import type { A } from '${name}';`), 1, name);
    assert.equal(found(`import { A } from '${name}';`, 'hub/src/doors/http/planted.ts'), 0, name);
  }
  assert.equal(found("import { isIP, createServer } from 'node:net';"), 1);
  assert.equal(found("const net = await import('node:net');"), 1);
  assert.equal(found("import { BlockList, isIP } from 'node:net';"), 0);
});

const hubTables = tablesOf(hub.filter(({ path }) => path.startsWith('hub/src/store/migrations/')));

test("a table of the hub is written by its own subject's folder only", () => {
  assert.ok(hubTables.length > 40 && hubTables.includes('device'), `${hubTables.length} tables`);
  assert.deepEqual(sharedTables(hub, hubTables), []);
});

test('a write to the table of another folder is found, also in SQL, by a variable or from a door', () => {
  const found = (text: string, path = 'hub/src/site/planted.ts') => sharedTables([...hub, { path, text }], hubTables);
  assert.match(found("trx.updateTable('device').set({ site })").join(), /^device is written by .*site\/planted\.ts$/);
  assert.match(found("trx.deleteFrom(\n  'lease',\n)").join(), /^lease is written by /);
  assert.match(found('sql`update alert set note = 1`').join(), /^alert is written by /);
  assert.match(found('exec("INSERT OR IGNORE INTO person values (1)")').join(), /^person is written by /);
  assert.match(
    found('trx.deleteFrom(table).execute()').join(),
    /planted\.ts writes table, which is the name of no table/,
  );
  assert.match(
    found("trx.insertInto('alert')", 'hub/src/doors/operator/planted.ts').join(),
    /planted\.ts writes alert itself/,
  );
  assert.match(found("trx.insertInto('alert')", 'hub/src/planted.ts').join(), /planted\.ts writes alert itself/);
  assert.deepEqual(found("// trx.updateTable('device')\n/** delete from device */\nselectFrom('device')"), []);
  assert.deepEqual(found("trx.updateTable('site').set({ name })"), []);
});

// Each list of a subject is a file; one file joins them. `imports` is what a list may import of its own package: its neighbours at most.
const joins = {
  declarations: {
    file: 'hub/src/common/declarations.ts',
    lists: /^hub\/src\/common\/declarations\/[\w-]+\.ts$/,
    named: /^\.\/declarations\/[\w-]+\.ts$/,
    imports: /^\.\/[\w-]+\.ts$/,
  },
  tables: {
    file: 'hub/src/store/schema.ts',
    lists: /^hub\/src\/store\/tables\/[\w-]+\.ts$/,
    named: /^\.\/tables\/[\w-]+\.ts$/,
    imports: /^\.\/[\w-]+\.ts$/,
  },
  migrations: {
    file: 'hub/src/store/migrations.ts',
    lists: /^hub\/src\/store\/migrations\/\d{4}-[\w-]+\.ts$/,
    named: /^\.\/migrations\/\d{4}-[\w-]+\.ts$/,
    imports: /^\.\/[\w-]+\.ts$/,
  },
  verbs: {
    file: 'cli/src/verbs.ts',
    lists: /^cli\/src\/[\w-]+\/verbs\.ts$/,
    named: /^\.\/(?:[\w-]+\/verbs|verb)\.ts$/,
    // A verb is loaded from the folder of its list.
    imports: /^(?:\.\.\/verb|\.\/[\w-]+)\.ts$/,
  },
};

test('a file that joins the lists of the subjects joins all of them and contains nothing else', () => {
  for (const { file, lists, named, imports } of Object.values(joins)) {
    const joining = sources.find(({ path }) => path === file);
    assert.ok(joining !== undefined, file);
    const own = productSources.filter(({ path }) => lists.test(path));
    assert.ok(own.length > 10, `${file}: ${own.length} lists`);
    assert.deepEqual(codeInJoin(joining, named), []);
    assert.deepEqual(notJoined(joining, own), []);
    assert.deepEqual(codeInLists(own, imports), []);
  }
});

test('code in a joining file or in a list is found, and a list that is not joined', () => {
  const { file: path, named, imports } = joins.declarations;
  const found = (text: string) => codeInJoin({ path, text }, named).length;
  assert.equal(found('// Joins.\nexport const codes = {\n  ...siteErrorCodes,\n} as const;\n'), 0);
  assert.equal(found("export const codes = {\n  ...siteErrorCodes,\n  'site-unknown': 404,\n} as const;\n"), 1);
  assert.equal(found('export function statusOf(code: string) {\n'), 1);
  assert.equal(found("import { sites } from '../site/sites.ts';\n"), 1);
  const list = (text: string) => [{ path: 'hub/src/common/declarations/message.ts', text }];
  assert.deepEqual(notJoined({ path, text: "import { a } from './declarations/site.ts';\n" }, list('')), [
    `${path} does not join hub/src/common/declarations/message.ts`,
  ]);
  assert.equal(codeInLists(list("import { sites } from '../../site/sites.ts';\n"), imports).length, 1);
  assert.equal(codeInLists(list("import { z } from 'zod';\n"), imports).length, 0);
  const verbs = list("load: () => import('../site/site.ts').then((m) => m.create),\n");
  assert.equal(codeInLists(verbs, joins.verbs.imports).length, 1);
});

test('no verb is loaded before it is used', () => {
  const lists = productSources.filter(({ path }) => joins.verbs.lists.test(path));
  assert.deepEqual(loadedEarly(lists), []);
  const early = { path: 'cli/src/site/verbs.ts', text: "import { create } from './site.ts';\n" };
  assert.deepEqual(loadedEarly([early]), ['cli/src/site/verbs.ts loads ./site.ts']);
});

test('each list has the name of the folder that owns it, and each table is declared where it is written', () => {
  const own = hub.filter(({ path }) => joins.declarations.lists.test(path) || joins.tables.lists.test(path));
  assert.deepEqual(ownerless(own, hub), []);
  const tables = hub.filter(({ path }) => joins.tables.lists.test(path));
  assert.deepEqual(tablesElsewhere(tables, hub, hubTables), []);
  const loading = productSources.filter(({ path, text }) => path.startsWith('cli/src/') && /: Command = /.test(text));
  const folders = new Set(loading.map(({ path }) => folderOf(path)));
  const without = [...folders].filter((folder) => !sources.some(({ path }) => path === `${folder}/verbs.ts`));
  assert.deepEqual(without, []);
});

test('a list without an owner is found, and a table that is declared in the file of another folder, twice or for nothing', () => {
  const list = (name: string, table: string) => ({
    path: `hub/src/store/tables/${name}.ts`,
    text: `export interface PlantedTables {\n  ${table}: PlantedRow;\n}\n`,
  });
  assert.deepEqual(ownerless([list('sites', 'site')], hub), ['hub/src/store/tables/sites.ts']);
  const writer = { path: 'hub/src/site/planted.ts', text: "trx.deleteFrom('site')" };
  assert.deepEqual(tablesElsewhere([list('site', 'site')], [writer], hubTables), []);
  assert.deepEqual(tablesElsewhere([list('alert', 'site')], [writer], hubTables), [
    'site is declared in hub/src/store/tables/alert.ts and written by hub/src/site/planted.ts',
  ]);
  assert.deepEqual(tablesElsewhere([list('site', 'site'), list('alert', 'site')], [], hubTables), [
    'site is declared twice',
  ]);
  assert.equal(tablesElsewhere([list('site', 'sites')], [], hubTables).length, 1);
});

test('no error code, scope, setting or verb is in the lists of two subjects', async () => {
  const kinds = new Map<string, (readonly string[])[]>();
  for (const { path } of productSources) {
    if (!joins.declarations.lists.test(path) && !joins.verbs.lists.test(path)) continue;
    const exported: object = await import(join(root, path));
    for (const [name, list] of Object.entries(exported)) {
      const kind = /(?:ErrorCodes|Scopes|Settings|Verbs)$/.exec(name)?.[0];
      assert.ok(kind !== undefined && typeof list === 'object', `${path}: ${name}`);
      const entries: readonly string[] = Array.isArray(list) ? list : Object.keys(list);
      kinds.set(kind, [...(kinds.get(kind) ?? []), entries]);
    }
  }
  assert.deepEqual([...kinds.keys()].toSorted(), ['ErrorCodes', 'Scopes', 'Settings', 'Verbs']);
  for (const [kind, lists] of kinds) assert.deepEqual(declaredTwice(lists), [], kind);
  assert.deepEqual(declaredTwice([['conflict', 'not-found'], ['conflict']]), ['conflict']);
});

test(`there are at most ${HUB_ARROWS_MAX} arrows between the rooms of the hub`, () => {
  const count = arrowsBetween(hub, roomOf).length;
  assert.ok(count > 100 && count <= HUB_ARROWS_MAX, `${count} arrows`);
  const planted = { path: 'hub/src/settings.ts', text: "import { x } from './site/sites.ts';" };
  assert.equal(arrowsBetween([...hub, planted], roomOf).length, count + 1);
});

// Streams that grow during a transfer and are synced when complete, lines that are synced one by one, and the log's folder, whose
// operations a test interrupts between any two.
const ownSync: readonly string[] = [
  'agent/src/model/model-store.ts',
  'cli/src/manufacture/manifest.ts',
  'cli/src/model/floe-files.ts',
  'hub/src/audit/files.ts',
  'hub/src/artifact/artifact-folder.ts',
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

test('a number of devices is printed by `counted`, and the README shows what is printed', () => {
  const plural = /\.length\} devices\b(?!, at most)/;
  const found = productSources.filter(({ text }) => plural.test(text)).map(({ path }) => path);
  assert.deepEqual(found, []);
  assert.ok(plural.test('cosignatures.length} devices'));
  assert.doesNotMatch(readFileSync(join(root, 'README.md'), 'utf8'), /\b1 devices\b/);
});

// `recursive` never ends where a parent exists but takes no folders, as in /proc. The agent's model store makes folders below one that it opened.
test('a folder with its parents is made in one place, host/src/make-folder.ts', () => {
  const recursive = /\bmkdir(?:Sync)?\((?:[^;]*?)recursive: true/;
  const found = productSources.filter(({ text }) => recursive.test(text)).map(({ path }) => path);
  assert.deepEqual(found, ['agent/src/model/model-store.ts']);
  assert.ok(recursive.test("await mkdir(join(folder, 'a'), { recursive: true, mode: 0o700 });"));
});

// `host` imports nothing of ours, and takes what was thrown as it is.
const asText = /\b(\w+) instanceof Error \? \1\.message : String\(\1\)/;

test('the message of what was thrown is read in one place, core/src/message-of.ts', () => {
  const found = productSources.filter(({ text }) => asText.test(text)).map(({ path }) => path);
  assert.deepEqual(found, ['core/src/message-of.ts']);
  assert.ok(asText.test('const text = cause instanceof Error ? cause.message : String(cause);'));
});

// The two of `hardware` remove what pads a field of fixed length; the one of `hub` writes escapes into a command that is approved.
const asPrintable = /\.replace(?:All)?\(\/(?:\[\^ -~\]|\[\^\\x20-\\x7e\])/;

test('text of others becomes printable in one place, core/src/canonical/printable.ts', () => {
  const found = productSources.filter(({ text }) => asPrintable.test(text)).map(({ path }) => path);
  assert.deepEqual(found.toSorted(), [
    'core/src/canonical/printable.ts',
    'hardware/src/pkcs11/slots.ts',
    'hardware/src/tpm/tpm-root-of-trust.ts',
    'hub/src/commands/backup.ts',
  ]);
  assert.ok(asPrintable.test(String.raw`text.replace(/[^\x20-\x7e]|["']/g, '?')`));
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

test('no exported value is without a user, also in scripts, benchmarks and tests', () => {
  const all = [...sources, ...besidePackages, ...testPrograms];
  // bench/main.ts loads each by the name of its file.
  const loaded = /^bench\/.*#bench$/;
  assert.deepEqual(
    unusedExports(all, all).filter((each) => !loaded.test(each)),
    [],
  );
});

// Limits and lists of codes that a test compares with, and steps of a decision that a test gives every input. It only shrinks: a test asks the
// public function, or its support is in a `testing-….ts`.
const EXPORTS_FOR_TESTS_MAX = 59;

test(`at most ${EXPORTS_FOR_TESTS_MAX} exported values are used by tests alone`, () => {
  const found = unusedExports(productSources, [...productSources, ...programs]);
  assert.equal(found.length, EXPORTS_FOR_TESTS_MAX, found.join('\n'));
});

test('an exported value without a user is found, and one with a user is not', () => {
  const planted = { path: 'core/src/planted.ts', text: 'export const idle = 1;\nexport function busy() {}\n' };
  const user = {
    path: 'hub/src/user.ts',
    text: "import { type Other, busy as works } from '@edgekeep/core/planted';\n",
  };
  assert.deepEqual(unusedExports([planted], [planted, user]), ['core/src/planted.ts#idle']);
  for (const text of [
    "import * as api from '@edgekeep/core/planted';\napi.busy(own.api.idle);\n",
    "const { busy: works } = await import('@edgekeep/core/planted');\n",
    "load: () => import('@edgekeep/core/planted').then((m) => m.busy),\n",
    "(await import('@edgekeep/core/planted')).busy();\n",
  ]) {
    assert.deepEqual(
      unusedExports([planted], [planted, { path: 'hub/src/user.ts', text }]),
      ['core/src/planted.ts#idle'],
      text,
    );
  }
});

// Shipped migrations are never edited.
const mayBeLong = (path: string) => path.startsWith('hub/src/store/migrations/');

test('every function fits on a screen', () => {
  const written = [...productSources, ...programs].filter(({ path }) => !mayBeLong(path));
  assert.deepEqual(longFunctions(written, FUNCTION_LINES_MAX), []);
});

test('a function that does not fit on a screen is found, in each form of a function', () => {
  const body = (indent: string) => `${indent}  work();\n`.repeat(FUNCTION_LINES_MAX - 1);
  const forms = [
    `export async function one({\n  a,\n}: Options): Promise<void> {\n${body('')}}\n`,
    `class Two {\n  async #two(): Promise<void> {\n${body('  ')}  }\n}\n`,
    `const three = async (a: number) => {\n${body('')}};\n`,
    `const four = (\n  a: number,\n): void => {\n${body('')}};\n`,
  ];
  for (const text of forms) {
    assert.equal(longFunctions([{ path: 'planted.ts', text }], FUNCTION_LINES_MAX).length, 1, text.slice(0, 40));
    assert.equal(longFunctions([{ path: 'planted.ts', text }], FUNCTION_LINES_MAX + 4).length, 0, text.slice(0, 40));
  }
});

test('nine files of ten have at most 200 lines', () => {
  const lengths = productSources.map(({ text }) => text.split('\n').length).toSorted((a, b) => a - b);
  assert.ok((lengths[Math.floor(lengths.length * 0.9)] ?? 0) <= 200);
});

const openingBounds = { minTaken: 2, maxTaken: 4 };
const INTERFACE_MEMBERS_MAX = 12;
// Rows of tables have as many members as they have columns.
const hubOwn = productSources.filter(({ room, path }) => room === 'hub' && !path.includes('/store/tables/'));

test('a subject of the hub opens itself with two to four things', () => {
  assert.ok(hubOwn.filter(({ path }) => path.endsWith('/open.ts')).length >= 8);
  assert.deepEqual(wideOpenings(hubOwn, openingBounds), []);
});

test('no object of the hub holds everything', () => {
  assert.deepEqual(crowdedInterfaces(hubOwn, INTERFACE_MEMBERS_MAX), []);
});

test('a subject that takes too much, and an object that holds everything, are found', () => {
  const open = (parameters: string) => ({
    path: 'hub/src/planted/open.ts',
    text: `export async function openPlanted(\n  ${parameters},\n): Promise<Planted> {\n}\n`,
  });
  const four = 'a: A, { b, c }: Pick<B, C>, d: (e: E, f: F) => void, g: G';
  assert.deepEqual(wideOpenings([open(four)], openingBounds), []);
  assert.deepEqual(wideOpenings([open(`${four}, h: H`)], openingBounds), [
    'hub/src/planted/open.ts openPlanted takes 5',
  ]);
  assert.deepEqual(wideOpenings([open('parts: Parts')], openingBounds), [
    'hub/src/planted/open.ts openPlanted takes 1',
  ]);
  const members = (count: number) => Array.from({ length: count }, (_, at) => `  readonly part${at}: Part;\n`).join('');
  const crowded = (count: number) => ({
    path: 'hub/src/planted.ts',
    text: `export interface Parts {\n${members(count)}}\n`,
  });
  assert.deepEqual(crowdedInterfaces([crowded(12)], INTERFACE_MEMBERS_MAX), []);
  assert.deepEqual(crowdedInterfaces([crowded(13)], INTERFACE_MEMBERS_MAX), ['hub/src/planted.ts Parts (13)']);
});
