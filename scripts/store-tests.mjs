// Which test files run once more with their store on PostgreSQL. Both lists follow from imports, so a new test is in them without anybody's doing.
import { existsSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';

/** They make a store on the engine that the run is for. */
const makers = ['hub/src/store/testing-store.ts', 'hub/src/store/testing-place.ts'];
/** They look into the store of a hub from outside, fail it, or put another one in its place. */
const looks = [
  'tests/support/outside-store.ts',
  'tests/support/edited-store.ts',
  'tests/support/world-copy.ts',
  'tests/support/faults/fleet.ts',
];

/** The files that open a store, through whichever file: all that `npm run soak -- tests-on-postgres` runs. */
export function filesThatOpenStores(root, files) {
  const reaches = new Map();
  return files.filter((file) => !hasBothEngines(root, file) && reachesOne(root, file, reaches));
}

/** Those of them that make a store themselves, or look into that of a hub: their own work meets the store, and `npm test` runs them. */
export function filesThatMeetStores(root, files) {
  return files.filter(
    (file) =>
      !hasBothEngines(root, file) &&
      importsOf(root, file).some((each) => makers.includes(each) || looks.includes(each)),
  );
}

/** It begins on a file and makes a database itself, so another run would be about something else. */
function hasBothEngines(root, file) {
  return /import \{[^}]*\bdatabaseOf\b/.test(readFileSync(join(root, file), 'utf8'));
}

function reachesOne(root, file, reaches) {
  const known = reaches.get(file);
  if (known !== undefined) return known;
  // In a circle, the answer is that of the files behind it.
  reaches.set(file, false);
  const found = makers.includes(file) || importsOf(root, file).some((each) => reachesOne(root, each, reaches));
  reaches.set(file, found);
  return found;
}

/** Files of this repository that a file imports; of a package's program files, none: they do not import tests. */
function importsOf(root, file) {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s+'([^']+)'/g)]
    .map(([, name]) => pathOf(file, name))
    .filter((path) => /\/testing[.-]|^tests\/|^bench\//.test(path) && existsSync(join(root, path)));
}

function pathOf(file, name) {
  if (name.startsWith('.')) return normalize(join(file, '..', name));
  const [, room, rest] = /^@edgekeep\/([a-z]+)\/(.+)$/.exec(name) ?? [];
  return room === undefined ? name : `${room}/src/${rest}.ts`;
}
