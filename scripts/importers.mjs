// The test files that import a source, in any way: the nearest first. A worker or a program that `new URL('./x.ts', …)` names counts as an
// import; `import type` does not, because nothing of it is left when the program runs.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s(?!type\s)[^'"`;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|new URL\(\s*'(\.[^']+\.ts)'|(?:^|\n)import\s+'([^']+)'/g;

/** All files of the packages that end in .ts, by path from `root`. */
export function sourcesOf(root, folder = '') {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return [];
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sourcesOf(root, path);
    return path.endsWith('.ts') && path.split('/')[1] === 'src' ? [path] : [];
  });
}

/** By file, those that import it. */
export function importersByFile(root) {
  const importers = new Map();
  for (const path of sourcesOf(root)) {
    const text = readFileSync(join(root, path), 'utf8').replaceAll(/^\s*\/\/.*$/gm, '');
    for (const found of text.matchAll(importPattern)) {
      const target = resolveImport(path, found[1] ?? found[2] ?? found[3] ?? found[4]);
      if (target === undefined || !existsSync(join(root, target))) continue;
      importers.set(target, (importers.get(target) ?? new Set()).add(path));
    }
  }
  return importers;
}

function resolveImport(from, name) {
  if (name.startsWith('.')) return join(dirname(from), name);
  const [scope, room, ...rest] = name.split('/');
  return scope === '@edgekeep' && rest.length > 0 ? `${room}/src/${rest.join('/')}.ts` : undefined;
}

/** The files for which `isTest` is true that import `file`: the one beside it first, then by the number of imports between. */
export function testsOf(file, importers, isTest) {
  const beside = file.replace(/\.ts$/, '.test.ts');
  const found = [];
  let ring = [file];
  const met = new Set(ring);
  while (ring.length > 0) {
    found.push(...ring.filter(isTest).toSorted((a, b) => rank(a) - rank(b)));
    ring = ring.flatMap((path) => [...(importers.get(path) ?? [])]).filter((path) => !met.has(path) && met.add(path));
  }
  return found;

  function rank(path) {
    if (path === beside) return 0;
    return dirname(path) === dirname(file) ? 1 : 2;
  }
}
