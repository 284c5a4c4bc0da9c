// No failure is swallowed silently: a catch without the error has a comment that says why that is safe, and a promise that is kept in a
// field or variable does not keep its failure (host/src/retrying-once.ts).
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const packages = ['core', 'host', 'hardware', 'wire', 'guard', 'hub', 'agent', 'cli', 'sim'];

const sources = packages.flatMap((name) =>
  readdirSync(join(root, name, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|(?:^|\/)testing[.-]?[^/]*\.ts$|fixtures\//.test(file))
    .map((file) => {
      const path = join(root, name, 'src', file);
      return { path: relative(root, path), lines: readFileSync(path, 'utf8').split('\n') };
    }),
);

const isComment = (line = '') => /^\s*(?:\/\/|\*|\/\*\*)|\s\/\/ /.test(line);
// `catch {`, `.catch(() => …`, and the second function of `.then(…, () => …)` on a line of its own.
const withoutError = /\bcatch \{|\.catch\(\(\) =>|^\s*\(\) => (?:undefined|false|true|null|\[\]|''),?$/;

function swallowed(lines: readonly string[]): readonly number[] {
  return lines.flatMap((line, at) => {
    if (!withoutError.test(line) || /^\s*(?:\/\/|\*)/.test(line)) return [];
    // A tail of a queue waits for its last job and ignores its failure: the caller of the job has it.
    if (/^\s*this\.#\w+ = \w+\.catch\(\(\) => undefined\);/.test(line)) return [];
    const inThen = /^\s*\(\) =>/.test(line);
    const before = inThen ? lines.slice(Math.max(0, at - 4), at) : lines.slice(Math.max(0, at - 1), at);
    const said = [...before, line, lines[at + 1] ?? ''].some(isComment);
    // The first function of a `.then` is no catch.
    const isFirst = inThen && (lines[at - 1] ?? '').endsWith('.then(');
    const isRejection = !inThen || lines.slice(Math.max(0, at - 4), at).some((text) => /\.then\(/.test(text));
    return said || isFirst || !isRejection ? [] : [at + 1];
  });
}

/** Lines that keep a promise without a line that drops it. */
function keptPromises(lines: readonly string[]): readonly number[] {
  const text = lines.join('\n');
  const names = [...text.matchAll(/(?:let (\w+)|(#\w+)): Promise<[^;=]*\| undefined/g)].map((m) => m[1] ?? m[2] ?? '');
  return lines.flatMap((line, at) => {
    const name = names.find((each) => line.includes(`${each} ??= `));
    if (name === undefined) return [];
    const letsGo = /\.finally\(/.test(line) || new RegExp(`${name} = undefined`).test(text);
    return letsGo || isComment(lines[at - 1]) ? [] : [at + 1];
  });
}

test('the rules find what they look for', () => {
  assert.deepEqual(swallowed(['try {', '  read();', '} catch {', '  return [];', '}']), [3]);
  assert.deepEqual(swallowed(['} catch {', '  // The folder is made later.', '  return [];']), []);
  assert.deepEqual(swallowed(['const names = await readdir(folder).catch(() => []);']), [1]);
  assert.deepEqual(swallowed(['return access(path).then(', '  () => true,', '  () => false,', ');']), [3]);
  assert.deepEqual(keptPromises(['#active: Promise<string> | undefined;', 'this.#active ??= this.#load();']), [2]);
  assert.deepEqual(keptPromises(['let host: Promise<Host> | undefined;', 'host ??= (async () => {', '})();']), [2]);
});

test('every catch without its error says in a comment why that is safe', () => {
  assert.ok(sources.length > 300, `found ${sources.length}`);
  const found = sources.flatMap(({ path, lines }) => swallowed(lines).map((line) => `${path}:${line}`));
  assert.deepEqual(found, []);
});

test('no promise is kept with its failure', () => {
  const found = sources.flatMap(({ path, lines }) => keptPromises(lines).map((line) => `${path}:${line}`));
  assert.deepEqual(found, []);
});
