// Rules about single files, for tests/house.test.ts: exports that nobody imports, and functions that do not fit on a screen. Each takes texts,
// so that a test can show it failing on a planted violation. The code is formatted, so indentation shows where a function ends.
import { dirname, join } from 'node:path';

export interface SourceText {
  /** From the root of the repository, for example `core/src/der.ts`. */
  readonly path: string;
  readonly text: string;
}

const imported = /import\s+(?:type\s+)?\{([^}]*)\}\s+from\s+'([^']+)'/g;
const importedWhole = /import\s+\*\s+as\s+(\w+)\s+from\s+'([^']+)'/g;
// `const { a, b: c } = await import('x')`, `import('x').then((m) => m.a)` and `(await import('x')).a`.
const importedLate =
  /(?:\{([^{}]*)\}\s*=\s*await\s+)?import\(\s*'([^']+)'\s*\)(?:\)\.(\w+)|\s*\.then\(\s*\(?(\w+)\)?\s*=>\s*\4\.(\w+))?/g;
const exportedValue = /^export\s+(?:async\s+)?(?:const|function\*?|class)\s+(\w+)/gm;

/** `path#name` of each exported value that no other file imports. `users` are all texts that may import, tests among them. */
export function unusedExports(sources: readonly SourceText[], users: readonly SourceText[]): readonly string[] {
  const used = new Set<string>();
  for (const { path, text } of users) {
    for (const [, names = '', specifier = ''] of text.matchAll(imported)) {
      const target = fileOf(path, specifier);
      for (const name of names.split(',')) used.add(`${target}#${/^\s*(?:type\s+)?(\w+)/.exec(name)?.[1]}`);
    }
    for (const [, alias = '', specifier = ''] of text.matchAll(importedWhole)) {
      const target = fileOf(path, specifier);
      for (const [, name] of text.matchAll(new RegExp(`(?<![\\w.])${alias}\\.(\\w+)`, 'g')))
        used.add(`${target}#${name}`);
    }
    for (const [, names = '', specifier = '', member, , thenMember] of text.matchAll(importedLate)) {
      const taken = names.split(',').map((name) => /^\s*(\w+)/.exec(name)?.[1]);
      for (const name of [...taken, member, thenMember]) used.add(`${fileOf(path, specifier)}#${name}`);
    }
  }
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(exportedValue)].map(([, name]) => `${path}#${name}`).filter((each) => !used.has(each)),
  );
}

function fileOf(importer: string, specifier: string): string {
  if (specifier.startsWith('.')) return join(dirname(importer), specifier);
  return specifier.replace(/^@edgekeep\/([a-z]+)\/(.+)$/, '$1/src/$2.ts');
}

const functionStart =
  /^(?:export )?(?:async )?function\b|^\s+(?:(?:static|async|override|get|set) )*[#\w]+(?:<.*>)?\(.*[({]$|[=(,:] (?:async )?(?:<.*>)?\($|=> \{$/;
const statement = /^\s*(?:if|for|while|switch|catch|return|await|else|do|throw|new|super)\b/;

/** `path:line (lines)` of each function that has more than `maxLines`, from its first line to its last. */
export function longFunctions(sources: readonly SourceText[], maxLines: number): readonly string[] {
  return sources.flatMap(({ path, text }) => {
    const lines = text.split('\n');
    return lines.flatMap((line, start) => {
      // A line as `): void => {` ends the parameters of an arrow function that began above.
      if (!functionStart.test(line) || /^\s*[)}]/.test(line) || (statement.test(line) && !line.endsWith('=> {')))
        return [];
      const indent = /^\s*/.exec(line)?.[0] ?? '';
      // A line as `}: Options): Promise<void> {` ends the parameters, not the function.
      const isEnd = (each: string) => each.startsWith(`${indent}}`) && !each.endsWith('{');
      const length = lines.slice(start + 1).findIndex(isEnd) + 2;
      return length > maxLines ? [`${path}:${start + 1} (${length})`] : [];
    });
  });
}

/** `path (what it takes)` of each exported `openX` of an `open.ts` that takes fewer than `minTaken` or more than `maxTaken` things. */
export function wideOpenings(
  sources: readonly SourceText[],
  { minTaken, maxTaken }: { readonly minTaken: number; readonly maxTaken: number },
): readonly string[] {
  return sources
    .filter(({ path }) => path.endsWith('/open.ts'))
    .flatMap(({ path, text }) => {
      const found = [...text.matchAll(/^export (?:async )?function (open[A-Z]\w*)\(((?:.|\n)*?)\n?\): /gm)];
      if (found.length === 0) return [`${path} opens nothing`];
      return found
        .map(([, name = '', parameters = '']) => ({ name, taken: topLevel(parameters) }))
        .filter(({ taken }) => taken < minTaken || taken > maxTaken)
        .map(({ name, taken }) => `${path} ${name} takes ${taken}`);
    });
}

/** Parameters in a list: commas outside of all brackets, a trailing one aside. */
function topLevel(parameters: string): number {
  let depth = 0;
  let count = 1;
  const list = parameters.trim().replace(/,$/, '');
  for (let at = 0; at < list.length; at += 1) {
    const character = list.charAt(at);
    if ('([{<'.includes(character)) depth += 1;
    else if (')]}>'.includes(character) && list.charAt(at - 1) !== '=') depth -= 1;
    else if (character === ',' && depth === 0) count += 1;
  }
  return list === '' ? 0 : count;
}

/** `path name (members)` of each interface with more than `maxMembers`: an object that holds everything. */
export function crowdedInterfaces(sources: readonly SourceText[], maxMembers: number): readonly string[] {
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(/^(?:export )?interface (\w+)[^{]*\{\n((?:.|\n)*?)^\}/gm)]
      .map(([, name, body = '']) => ({
        name,
        members: body.match(/^ {2}(?:readonly )?[\w[\].]+\??[:(<]/gm)?.length ?? 0,
      }))
      .filter(({ members }) => members > maxMembers)
      .map(({ name, members }) => `${path} ${name} (${members})`),
  );
}
