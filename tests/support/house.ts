// The rules of the house about folders, each a function over sources, so that a test can plant a violation.
import { dirname, join } from 'node:path';

export interface Source {
  /** From the root of the repository: `hub/src/access/gate.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly name: string;
  /** Everything between `import` and `from`; empty for an import without names. */
  readonly clause: string;
}

/** Comments are left out: a list of texts behind a comment that ends in "from" is no import. */
export function importsOf(text: string): readonly Import[] {
  const found = text
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .matchAll(
      /(?:^|\n)\s*(?:import|export)\s([^'"`;]*?)from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g,
    );
  return [...found].map(([, clause = '', ...names]) => ({
    name: names.find((name) => name !== undefined) ?? '',
    clause,
  }));
}

export function isTest({ path }: Pick<Source, 'path'>): boolean {
  return /\.test\.ts$|\/testing[.-]?[^/]*\.ts$|\/fixtures\//.test(path);
}

/** A folder directly under src with all below it, or a file directly under src: `hub/src/access`, `hub/src/common/error.ts`. */
export function roomOf(path: string): string {
  return path.split('/').slice(0, 3).join('/');
}

/** The folder of a file; a file directly under src counts as one of its own. */
export function folderOf(path: string): string {
  return path.split('/').length === 3 ? path : dirname(path);
}

interface Arrow {
  readonly from: string;
  readonly to: string;
  /** One import that makes it. */
  readonly because: string;
}

/** Between places of a package, by the imports of all files but tests; each arrow once. */
export function arrowsBetween(sources: readonly Source[], placeOf: (path: string) => string): readonly Arrow[] {
  const arrows = new Map<string, Arrow>();
  for (const { path, text } of sources.filter((source) => !isTest(source))) {
    for (const { name } of importsOf(text).filter((each) => each.name.startsWith('.'))) {
      const target = join(dirname(path), name);
      const [from, to] = [placeOf(path), placeOf(target)];
      if (from !== to) arrows.set(`${from} ${to}`, { from, to, because: `${path} imports ${target}` });
    }
  }
  return [...arrows.values()];
}

/** Rule 1: the places that reach themselves, between folders and between rooms. A folder and the one that it lies in are two places. */
export function circles(sources: readonly Source[]): readonly string[] {
  return [folderOf, roomOf].flatMap((placeOf) => {
    const next = Map.groupBy(arrowsBetween(sources, placeOf), ({ from }) => from);
    const reached = (from: string, seen: Set<string> = new Set()): Set<string> => {
      for (const { to } of next.get(from) ?? []) {
        if (seen.has(to)) continue;
        seen.add(to);
        reached(to, seen);
      }
      return seen;
    };
    return [...next.keys()].filter((place) => reached(place).has(place));
  });
}

/** Floors from the top down; each place is a path under src without its ending. */
export type Floors = readonly (readonly string[])[];

/** The floors as ARCHITECTURE.md draws them: a line is a floor, two spaces are between places. Throws when there is no drawing. */
export function floorsDrawn(page: string): Floors {
  const [, drawn] = /^## The floors of the hub\n[^`]*`[^`]*`[^`]*```text\n([^`]+)```$/m.exec(page) ?? [];
  if (drawn === undefined) throw new TypeError('no drawing under "The floors of the hub"');
  return drawn.split('\n').flatMap((line) => (line === '' ? [] : [line.split('  ')]));
}

/** Rule 1: imports of a higher floor, and places without a floor. */
export function arrowsUp(sources: readonly Source[], src: string, floors: Floors): readonly string[] {
  const floorOf = (place: string) =>
    floors.findIndex((names) => names.some((name) => [`${src}/${name}`, `${src}/${name}.ts`].includes(place)));
  const own = sources.filter(({ path }) => path.startsWith(`${src}/`));
  const homeless = [...new Set(own.filter((source) => !isTest(source)).map(({ path }) => folderOf(path)))]
    .filter((place) => floorOf(place) === -1)
    .map((place) => `${place} has no floor`);
  const up = arrowsBetween(own, folderOf)
    .filter(({ from, to }) => floorOf(from) !== -1 && floorOf(to) !== -1 && floorOf(to) < floorOf(from))
    .map(({ because }) => because);
  return [...homeless, ...up];
}

const transport = /^(?:node:(?:net|tls|http|https|http2|dgram)|fastify(?:-.+)?|@fastify\/.+)$/;
// Parsers and tables that happen to live in node:net.
const noTransport =
  /^\{\s*(?:type\s+)?(?:isIP(?:v[46])?|BlockList)(?:\s*,\s*(?:type\s+)?(?:isIP(?:v[46])?|BlockList))*\s*,?\s*\}\s*$/;

/** Rule 2: imports of a transport outside `doors`, types included. */
export function transportsOutside(sources: readonly Source[], doors: string): readonly string[] {
  return sources
    .filter((source) => !isTest(source) && !source.path.startsWith(`${doors}/`))
    .flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ name, clause }) => transport.test(name) && !(name === 'node:net' && noTransport.test(clause)))
        .map(({ name }) => `${path} imports ${name}`),
    );
}

/** Rule 3: writes to one table from several folders, writes whose table only a variable names, and writes outside the subjects. */
export function sharedTables(sources: readonly Source[], tables: readonly string[]): readonly string[] {
  const writers = new Map<string, Map<string, string>>();
  const wrong: string[] = [];
  for (const { path, text } of sources.filter((source) => !isTest(source) && !/\/migrations\//.test(source.path))) {
    for (const name of writesIn(text)) {
      if (!tables.includes(name)) wrong.push(`${path} writes ${name}, which is the name of no table`);
      if (/\/src\/(?:doors|jobs)\//.test(path) || roomOf(path) === path) wrong.push(`${path} writes ${name} itself`);
    }
    for (const name of writesOf(text, tables)) {
      const folders = writers.get(name) ?? new Map<string, string>();
      writers.set(name, folders.set(folderOf(path), path));
    }
  }
  for (const [name, folders] of writers)
    if (folders.size > 1) wrong.push(`${name} is written by ${[...folders.values()].toSorted().join(' and ')}`);
  return wrong;
}

/** The tables that a file writes, by calls and in SQL. */
export function writesOf(text: string, tables: readonly string[]): readonly string[] {
  // English has these words, too: what follows is a table's name or no statement.
  const raw = /\b(?:insert\s+(?:or\s+\w+\s+)?into|replace\s+into|delete\s+from|update(?:\s+or\s+\w+)?)\s+["'`]?(\w+)/gi;
  const inSql = [...withoutComments(text).matchAll(raw)].map(([, name = '']) => name);
  return [...new Set([...writesIn(text), ...inSql])].filter((name) => tables.includes(name));
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*(?:\/\/|\*|\/\*\*).*$/gm, '');
}

// The argument as written where it is not a text in quotes.
function writesIn(text: string): readonly string[] {
  const calls = withoutComments(text).matchAll(
    /\.(?:insertInto|updateTable|deleteFrom|replaceInto|mergeInto)\(\s*(?:'(\w+)'|([^)]*))/g,
  );
  return [...calls].map(([, name, other = '']) => name ?? other.trim());
}

/** The tables that migrations make. */
export function tablesOf(migrations: readonly Source[]): readonly string[] {
  const made = migrations.flatMap(({ text }) => [
    ...text.matchAll(/\.createTable\(\s*'(\w+)'|create\s+table\s+(?:if\s+not\s+exists\s+)?["'`]?(\w+)/gi),
  ]);
  return [...new Set(made.map(([, one, other]) => one ?? other ?? ''))];
}
