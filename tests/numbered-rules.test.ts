// spec/enrollment.md and spec/access.md against the code that follows them: the reasons of refusals, and the numbers of rules.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = dirname(import.meta.dirname);
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The files of the hub that these import, directly or not. */
function reachedFrom(starts: readonly string[]): readonly string[] {
  const reached = new Set(starts);
  for (const path of reached)
    for (const [, target = ''] of read(path).matchAll(/from '(\.[^']+)'/g)) reached.add(join(dirname(path), target));
  return [...reached].filter((path) => existsSync(join(root, path)));
}

/** The codes of reasons in the text of a program. */
function reasonsIn(text: string): readonly string[] {
  const forms = /(?:\b(?:refused|reason)\(\s*|\bcode: |^ {2,4}\| )'([a-z]+(?:-[a-z]+)+)'|Code = ('[^;]+);/gm;
  return [...text.matchAll(forms)].flatMap(([, code, union]) =>
    code === undefined ? [...(union ?? '').matchAll(/'([^']+)'/g)].flatMap(([, each]) => each ?? []) : [code],
  );
}

/** The reasons that a column of a page's table names; one that ends in a hyphen is the beginning of several. */
function codesNamed(rows: readonly (string | undefined)[]): readonly string[] {
  return rows.flatMap((cell = '') =>
    [...cell.matchAll(/(?<!the code is )`([a-z-]+)…?`/g)].flatMap(([, code]) => code ?? []),
  );
}

/** Codes that the page lacks, and those that only the page has. */
function differences(codes: readonly string[], named: readonly string[]): readonly string[] {
  const names = (name: string, code: string) => (name.endsWith('-') ? code.startsWith(name) : code === name);
  return [
    ...codes.filter((code) => !named.some((name) => names(name, code))).map((code) => `${code} is not on the page`),
    ...named.filter((name) => !codes.some((code) => names(name, code))).map((name) => `${name} is only on the page`),
  ];
}

// The checks of certificates are in core: their reasons are handed on.
const reasonsOfCore = [
  'core/src/identity/endorsement-appraisal.ts',
  'core/src/identity/idevid.ts',
  'core/src/attest/idevid-proof.ts',
  'core/src/attest/dice/chain.ts',
];
const filesOfHub = reachedFrom(['hub/src/enrollment/start.ts', 'hub/src/enrollment/complete.ts']).filter((path) =>
  /'enrollment-refused'|\brefused\b[^;]* from '\.\/pending\.ts'/.test(read(path)),
);
const reasons = [...new Set([...filesOfHub, ...reasonsOfCore].flatMap((path) => reasonsIn(read(path))))];

const enrollmentPage = read('spec/enrollment.md');
const section = (page: string, title: string) => page.split(/^##+ /m).find((text) => text.startsWith(title)) ?? '';
const rowsOf = (text: string) => [...text.matchAll(/^\| (\d+[a-z]?) \|.*\| (.*) \|$/gm)];

test('spec/enrollment.md and spec/api.md name every reason of a refused enrollment, and no other', () => {
  assert.ok(filesOfHub.length > 5 && reasons.length > 30, `${filesOfHub.length} files, ${reasons.length} reasons`);
  const ofRules = codesNamed(rowsOf(enrollmentPage).map(([, , cell]) => cell));
  assert.deepEqual(differences(reasons, ofRules), []);
  const table = section(read('spec/api.md'), 'Enroll\n');
  const listed = codesNamed([...table.matchAll(/^\| (.*?) \|/gm)].map(([, cell]) => cell));
  assert.deepEqual(differences(reasons, listed), []);
});

test('a reason that the page lacks is found, and one that only the page has', () => {
  const text =
    "throw refused(\n  'one-thing', '');\nconst a = { code: 'idevid-path' };\ntype Code = 'two-things' | 'other-thing';\n";
  assert.deepEqual(reasonsIn(text), ['one-thing', 'idevid-path', 'two-things', 'other-thing']);
  assert.deepEqual(codesNamed(['`one-thing`, `idevid-…`', 'none: the code is `error`']), ['one-thing', 'idevid-']);
  assert.deepEqual(differences(['one-thing', 'idevid-path'], ['idevid-', 'old-thing', 'dice-']), [
    'one-thing is not on the page',
    'old-thing is only on the page',
    'dice- is only on the page',
  ]);
});

/** The numbers in the comments of functions; a number without a sentence does not count. */
function numbersIn(text: string): readonly string[] {
  const comments = /^\/\*\*\s+(?:\* )?(\d+[a-z]?)\. [A-Z`](?:(?!\*\/)[^])+\*\/\n(?:export )?(?:async )?function /gm;
  return [...new Set([...text.matchAll(comments)].flatMap(([, number]) => number ?? []))].toSorted();
}
const numbersOf = (page: string, title: string) =>
  rowsOf(section(page, title))
    .flatMap(([, number]) => number ?? [])
    .toSorted();

test('each numbered rule of an enrollment has its function, and each numbered function its rule', () => {
  const [one, two] = [numbersOf(enrollmentPage, 'Step one'), numbersOf(enrollmentPage, 'Step two')];
  assert.ok(one.length > 10 && two.length > 4);
  assert.deepEqual(numbersIn(read('hub/src/enrollment/start.ts')), one);
  assert.deepEqual(numbersIn(read('hub/src/enrollment/complete.ts')), two);
});

test('each numbered step of a release has its function in hub/src/access, except those of the door and the receipt', () => {
  const folder = 'hub/src/access';
  const texts = readdirSync(join(root, folder)).flatMap((name) =>
    name.endsWith('.ts') && !name.endsWith('.test.ts') ? [read(`${folder}/${name}`)] : [],
  );
  const [, door = '', receipt = ''] = /The door does ([\d, and]+), the receipt is (\d+)\./.exec(texts.join('\n')) ?? [];
  const elsewhere = [...door.matchAll(/\d+/g)].flatMap(([number]) => number);
  assert.ok(elsewhere.length > 0 && receipt !== '');
  const steps = numbersOf(read('spec/access.md'), 'The decision, in order');
  assert.deepEqual([...numbersIn(texts.join('\n')), ...elsewhere, receipt].toSorted(), steps);
});

test('a number without a sentence, or without a function, is not one', () => {
  const text =
    '/** 1. The id. */\nfunction one() {}\n/**\n * 2. The token,\n * if any.\n */\nexport async function two() {}\n';
  assert.deepEqual(numbersIn(text), ['1', '2']);
  assert.deepEqual(numbersIn('/** 3. */\nfunction three() {}\n'), []);
  assert.deepEqual(numbersIn('/** 4. The end. */\nconst four = 4;\n'), []);
});
