// Texts are plain English (STYLE.md, "English"): comments, messages, help and pages have none of the words below. A reader whose second
// language is English reads such a line twice.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { sourceTexts } from './support/source-texts.ts';

const root = join(import.meta.dirname, '..');

const banned: Readonly<Record<string, RegExp>> = {
  'as many as there may be': /\bas many as (?:there|may|it|one)\b/,
  'by itself': /\bby itself\b/,
  'for good': /\bfor good\b(?! reason)/,
  'goes without': /\b(?:go|goes|going|went) without\b/,
  he: /\b(?:he|him|his|himself)\b/,
  'is to come': /\b(?:is|are|was|were) to come\b/,
  'is told': /\b(?:is|are|was|were|be|been|being) told\b/,
  'its end': /\b(?:comes? to|meets?|finds?|has|had|have) its end\b|\bits own end\b/,
  'lets go': /\b(?:lets?|letting) go\b/,
  mend: /\bmend(?:s|ed|ing)?\b/,
  'none other': /\bnone other\b/,
  'so many': /\bso (?:many|much)\b/,
  stands: /\b(?:stands|stood)\b|\b(?:can|may|must|to|not|they|names|that|which) stand\b/,
  'that which': /\bthat which\b/,
  thereby: /\b(?:there|here|where)(?:by|of|in|upon)\b/,
  whatever: /\bwhatever\b/,
  'what is no': /\bwhat is no\b/,
  whoever: /\bwho(?:m|se)?(?:so)?ever\b/,
};

export interface Text {
  readonly path: string;
  readonly line: number;
  readonly kind: 'comment' | 'message' | 'page';
  readonly text: string;
}

/** `path:line (word)` of each banned word. */
function bannedIn(texts: readonly Text[]): readonly string[] {
  return texts.flatMap(({ path, line, text }) => {
    const flat = text.toLowerCase().replaceAll(/\s+/g, ' ');
    return Object.keys(banned)
      .filter((word) => banned[word]?.test(flat))
      .map((word) => `${path}:${line} (${word})`);
  });
}

interface Exception {
  readonly path: RegExp;
  readonly kinds?: readonly Text['kind'][];
  readonly reason: string;
}

const exceptions: readonly Exception[] = [
  { path: /^hub\/src\/store\/migrations\//, reason: 'a migration that shipped is never edited' },
  { path: /^STYLE\.md$/, reason: 'quotes the words' },
  { path: /^tests\/english\.test\.ts$/, kinds: ['message'], reason: 'quotes the words' },
];

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === '.git') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [relative(root, path)];
  });
}

const isSource = (path: string) => /\.(?:ts|mjs|c)$/.test(path);
const isPage = (path: string) => /\.md$|^deploy\//.test(path);

/** A string with a space is taken for a message: others are names, paths and codes. */
function textsOf(path: string, content: string): readonly Text[] {
  if (!isSource(path)) return content.split('\n').map((text, at) => ({ path, line: at + 1, kind: 'page', text }));
  return sourceTexts(content)
    .filter(({ kind, text }) => kind === 'comment' || text.includes(' '))
    .map(({ kind, line, text }) => ({ path, line, kind: kind === 'comment' ? kind : 'message', text }));
}

const applies = ({ path, kinds }: Exception, text: Text) =>
  path.test(text.path) && (kinds === undefined || kinds.includes(text.kind));

const all = walk(root)
  .filter((path) => isSource(path) || isPage(path))
  .flatMap((path) => textsOf(path, readFileSync(join(root, path), 'utf8')));

test('the rule finds each word, in a comment, a message and a page', () => {
  const lines: Readonly<Record<string, string>> = {
    'as many as there may be': 'As many as there may be of one person.',
    'by itself': 'It ends by itself.',
    'for good': 'The device is refused for good.',
    'goes without': 'The answer goes without a lease.',
    he: 'An attacker cannot use his token.',
    'is to come': 'A device that is to come.',
    'is told': 'The agent is told the hub.',
    'its end': 'A connection finds its end here.',
    'lets go': 'It lets go of the model.',
    mend: 'Mend the settings.',
    'none other': 'The root and none other.',
    'so many': 'At most so many bytes.',
    stands: 'The name stands in the file.',
    'that which': 'That which was signed.',
    thereby: 'Thereby nobody waits.',
    whatever: 'Whatever the hub answers may be logged.',
    'what is no': 'Refuses what is no number.',
    whoever: 'Whoever asks gets an answer.',
  };
  assert.deepEqual(Object.keys(lines), Object.keys(banned));
  for (const [word, line] of Object.entries(lines)) {
    assert.deepEqual(bannedIn(textsOf('a.ts', `const a = 1;\n// ${line}\n`)), [`a.ts:2 (${word})`]);
    assert.deepEqual(bannedIn(textsOf('a.c', `/* ${line} */`)), [`a.c:1 (${word})`]);
    assert.deepEqual(bannedIn(textsOf('a.ts', `throw new Error(\`\${path}: ${line}\`);`)), [`a.ts:1 (${word})`]);
    assert.deepEqual(bannedIn(textsOf('docs/a.md', `# A\n\n${line}`)), [`docs/a.md:3 (${word})`]);
  }
});

test('the rule passes plain words, names and code', () => {
  const plain = `const told = 'whoever'; // The list of standing alerts is at its end.\nconst pattern = /whoever is told/;`;
  assert.deepEqual(bannedIn(textsOf('a.ts', plain)), []);
});

test('a comment is found in code with strings, templates and regular expressions', () => {
  const code = 'const a = `//${b(`/*`)}`, c = /[/"]/, d = e / 2; // One.\n/* Two. */ const f = "// \\" three";';
  const comments = sourceTexts(code).filter(({ kind }) => kind === 'comment');
  assert.deepEqual(
    comments.map(({ line, text }) => [line, text]),
    [
      [1, 'One.'],
      [2, 'Two.'],
    ],
  );
});

test('comments, messages, help and pages are plain English', () => {
  const covered = all.filter((text) => !exceptions.some((each) => applies(each, text)));
  for (const kind of ['comment', 'message', 'page'] as const)
    assert.ok(covered.filter((text) => text.kind === kind).length > 1000, kind);
  assert.deepEqual(bannedIn(covered), []);
});

test('every exception is used', () => {
  const unused = exceptions.filter((each) => bannedIn(all.filter((text) => applies(each, text))).length === 0);
  assert.deepEqual(unused, []);
});
