// The list of mutants stays valid while the sources change: each names a text that occurs exactly once, and its result is still TypeScript.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutants } from './all.ts';

const root = join(import.meta.dirname, '../..');
const MUTANTS_MIN = 30;
const read = (file: string): string => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');

test('there are as many mutants as were promised, each under a name of its own', () => {
  assert.ok(mutants.length >= MUTANTS_MIN, `found ${mutants.length}`);
  const ids = mutants.map(({ id }) => id);
  assert.deepEqual(ids, [...new Set(ids)]);
});

test('each mutant changes a text that occurs once in its file', () => {
  const lost = mutants.filter(({ file, find, replace }) => find === replace || read(file).split(find).length !== 2);
  assert.deepEqual(
    lost.map(({ id, file }) => `${id}: ${file}`),
    [],
  );
});

test('what a mutant makes of its file is TypeScript', () => {
  const broken = mutants.flatMap(({ id, file, find, replace }) => {
    try {
      stripTypeScriptTypes(read(file).split(find).join(replace));
      return [];
    } catch (error) {
      return [`${id}: ${String(error)}`];
    }
  });
  assert.deepEqual(broken, []);
});
