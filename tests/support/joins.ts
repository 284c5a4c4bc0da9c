// Rule 5 of the house: each subject owns its lists (error codes, scopes, settings, tables, migrations, verbs), and one file joins them. Each
// rule is a function over texts, so that a test can plant a violation.
import { basename, dirname, join } from 'node:path';
import { folderOf, importsOf, type Source, writesOf } from './house.ts';

// One line of a joining file as the formatter writes it: the head of a list, an entry that is only a name, or the end of a list.
const joinLine =
  /^(?:export const \w+(?:: [\w<>, ]+)? = [{[]|  \.\.\.\w+,|  '[\w-]+': [a-z]\w*,|[}\]](?: as const)?;|export interface \w+|  extends|    \w+(?:,| \{\}))$/;

/** Code in a joining file: lines that join nothing, and imports of anything but lists (`lists` is the form of their names). */
export function codeInJoin({ path, text }: Source, lists: RegExp): readonly string[] {
  const lines = text
    .replaceAll(/^\s*(?:\/\/.*|\/\*\*.*\*\/)$/gm, '')
    .replaceAll(/^import [^;]*;$/gm, '')
    .split('\n');
  const code = lines
    .filter((line) => line.trim() !== '' && !joinLine.test(line))
    .map((line) => `${path}: ${line.trim()}`);
  const foreign = importsOf(text)
    .filter(({ name }) => name.startsWith('.') && !lists.test(name))
    .map(({ name }) => `${path} imports ${name}`);
  return [...code, ...foreign];
}

/** Lists that the joining file does not import. */
export function notJoined({ path, text }: Source, lists: readonly Source[]): readonly string[] {
  const imported = new Set(importsOf(text).map(({ name }) => join(dirname(path), name)));
  return lists.filter((list) => !imported.has(list.path)).map((list) => `${path} does not join ${list.path}`);
}

/** Imports by which a list would contain more than data (`allowed` is the form of those that it may have). */
export function codeInLists(lists: readonly Source[], allowed: RegExp): readonly string[] {
  return lists.flatMap(({ path, text }) =>
    importsOf(text)
      .filter(({ name }) => name.startsWith('.') && !allowed.test(name))
      .map(({ name }) => `${path} imports ${name}`),
  );
}

/** Imports of lists of verbs by which a verb is loaded before it is used. */
export function loadedEarly(lists: readonly Source[]): readonly string[] {
  return lists.flatMap(({ path, text }) =>
    importsOf(text)
      .filter(({ clause }) => clause !== '' && !clause.startsWith('type '))
      .map(({ name }) => `${path} loads ${name}`),
  );
}

/** Lists with the name of no folder of their package: they have no owner. */
export function ownerless(lists: readonly Source[], sources: readonly Source[]): readonly string[] {
  const folders = new Set(sources.map(({ path }) => path.split('/').slice(0, 3).join('/')));
  return lists.map(({ path }) => path).filter((path) => !folders.has(`${srcOf(path)}/${basename(path, '.ts')}`));
}

/** Tables that are not declared exactly once, or in another file than the one of the folder that writes them. */
export function tablesElsewhere(
  lists: readonly Source[],
  sources: readonly Source[],
  tables: readonly string[],
): readonly string[] {
  const wrong: string[] = [];
  const declared = lists.flatMap(({ path, text }) => {
    const body = /export interface \w+Tables \{\n([\s\S]*?)\n\}/.exec(text)?.[1] ?? '';
    return [...body.matchAll(/^ {2}(\w+): \w+;$/gm)].map(([, table = '']) => ({ path, table }));
  });
  for (const { path, table } of declared) {
    if (!tables.includes(table)) wrong.push(`${path} declares ${table}, which no migration makes`);
  }
  for (const table of new Set(declared.map((each) => each.table))) {
    if (declared.filter((each) => each.table === table).length > 1) wrong.push(`${table} is declared twice`);
  }
  for (const source of sources.filter(({ path }) => !/\/migrations\/|\.test\.ts$|\/testing[^/]*\.ts$/.test(path))) {
    const writer = basename(folderOf(source.path), '.ts');
    for (const table of writesOf(source.text, tables)) {
      const owner = declared.find((each) => each.table === table)?.path;
      if (owner !== undefined && basename(owner, '.ts') !== writer)
        wrong.push(`${table} is declared in ${owner} and written by ${source.path}`);
    }
  }
  return wrong;
}

/** Entries that are in two lists: the later one would replace the first. */
export function declaredTwice(lists: readonly (readonly string[])[]): readonly string[] {
  const all = lists.flat();
  return all.filter((entry, index) => all.indexOf(entry) !== index);
}

function srcOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}
