// One name for one thing (STYLE.md, "Names"): the spellings of the previous version occur only where stored data contains them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const textFile = /\.(?:ts|mjs|js|json|md|py|c|sh|service|socket|cedar|onnx\.json)$/;

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === '.git') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [relative(root, path)];
  });
}

interface Spelling {
  readonly what: string;
  /** A word with it, and what no text without such a word contains: words of base64 are long. */
  readonly pattern: RegExp;
  readonly hint: RegExp;
  /** Where it may still occur. `text` is the whole word. */
  readonly exceptions: readonly { readonly path: RegExp; readonly text: RegExp; readonly why: string }[];
}

const anywhere = /./;
const spellings: readonly Spelling[] = [
  {
    what: 'enrol with one l',
    pattern: /[\w-]*enrol(?!l)[\w-]*/gi,
    hint: /enrol(?!l)/i,
    exceptions: [
      { path: /^hub\/src\/store\/migrations\//, text: anywhere, why: 'shipped migrations are never edited' },
      {
        path: anywhere,
        text: /^0006-enrolment-groups$/,
        why: 'the name of a shipped migration, which stores have written down',
      },
      {
        path: anywhere,
        text: /^(?:\w+_)?enrolment_(?:group|listing|token)\w*$/,
        why: 'tables, columns and indexes of the store, which nobody sees',
      },
      {
        path: anywhere,
        text: /^enrolment-(?:group-(?:created|limited|enabled|disabled|deleted|token-created)|token-created)$/,
        why: 'kinds of audit entries: one event keeps one name for the life of a log, and those who watch it see it',
      },
      {
        path: /^hub\/src\/enrollment\/|^tests\/(?:enrollment-groups|attacks\/idevid)/,
        text: /^enrolment-group$|^enrolmentGroup$|^enrolment-group:/,
        why: 'subjects, actors and members of audit entries, for the same reason',
      },
      {
        path: /former-|^tests\/upgrade\/|^tests\/names\.test\.ts$|^docs\/upgrading\.md$/,
        text: anywhere,
        why: 'the former names, their tests and the page about them',
      },
      {
        path: /^(?:hub\/src\/registry\/condition|wire\/src\/(?:api\/)?(?:registry|device-view)|hub\/src\/doors\/operator\/device)\.ts$|^spec\/openapi\//,
        text: /^enrolmentGroup$/,
        why: 'a member that filters, manifests and programs of the version before have',
      },
    ],
  },
  {
    what: 'a limit that does not begin with max or min',
    pattern: /(?<![\w\\-])[a-z]\w*(?:Most|Least|Max|Min)(?:Default|For)?\b/g,
    hint: /[a-z](?:Most|Least|Max|Min)/,
    exceptions: [
      {
        path: anywhere,
        text: /^(?:clockMost|counterMost)$/,
        why: 'members of lease terms, whose canonical JSON a TPM policy is made from (spec/tpm.md, 7)',
      },
      {
        path: /^hub\/src\/enrollment\/(?:groups|group-tokens)\.ts$/,
        text: /^(?:devicesMost|usesMost)$/,
        why: 'members of audit entries, which keep the names that they were first logged with',
      },
      {
        path: anywhere,
        text: /^svnLeast$/,
        why: 'a member of reference values, which publishers have signed (spec/reference-values.md)',
      },
      {
        path: /^spec\/vectors\/|^core\/src\/attest\/(?:testing-vectors|ear\.test)\.ts$/,
        text: /^(?:age|skew)SecondsMax$/,
        why: 'members of published test vectors',
      },
      {
        path: /former-|^tests\/upgrade\/|^tests\/names\.test\.ts$|^docs\/upgrading\.md$/,
        text: anywhere,
        why: 'the former names, their tests and the page about them',
      },
    ],
  },
  {
    // The word had three meanings: `version` of a key or a root, `incarnation` of a device.
    what: 'generation',
    pattern: /[\w-]*(?:g|G)eneration[\w-]*/g,
    hint: /[gG]eneration/,
    exceptions: [
      { path: /^hub\/src\/store\/migrations\//, text: anywhere, why: 'shipped migrations are never edited' },
      {
        path: /^hub\/src\/(?:store\/|authority\/|commands\/check\/store|enrollment\/(?:returning|complete|est\.test)|registry\/device-row|respond\/wipe|doors\/operator\/device)|^tests\/(?:authorities\/stale|mutants\/enrollment|attacks\/root-operations)/,
        text: /^generation$/,
        why: 'columns of the store, and members of audit entries, which keep the name that they were first logged with',
      },
      {
        path: /^(?:wire\/src\/api|hub\/src\/doors|spec\/openapi)\/|^tests\/platform-secrets/,
        text: /^generation$/,
        why: 'members of answers for programs of the version before',
      },
      {
        path: anywhere,
        text: /^(?:--disallow-code-generation-from-strings|maxYoungGenerationSizeMb)$/,
        why: 'options of V8',
      },
      {
        path: /^docs\/(?:secure-elements|performance)\.md$|^cli\/src\/(?:hub\/programs|program)\.ts$/,
        text: /^generation$/,
        why: 'the usual word: of keys, and of V8 objects',
      },
      {
        path: /former-|^tests\/upgrade\/|^tests\/names\.test\.ts$|^docs\/upgrading\.md$/,
        text: anywhere,
        why: 'the former names, their tests and the page about them',
      },
    ],
  },
  {
    what: 'the address of devices that a root waits for, and sessions of a device, by their former names',
    pattern: /\/v1\/authorities\/missing|\bpresence\.places\b|\bdevicesMissing\b/g,
    hint: /missing|places|Missing/,
    exceptions: [
      {
        path: /^wire\/src\/api\/authority\.ts$|^hub\/src\/authority\/views\.ts$|^spec\/openapi\//,
        text: /^devicesMissing$/,
        why: 'a member of answers for programs of the version before',
      },
      {
        path: /^bench\/results\/|^docs\/performance\.md$/,
        text: /missing$/,
        why: 'figures keep the address that they were measured at',
      },
      {
        path: /former-|^tests\/upgrade\/|^tests\/names\.test\.ts$|^docs\/upgrading\.md$/,
        text: anywhere,
        why: 'the former names, their tests and the page about them',
      },
    ],
  },
];

const files = walk(root).filter((path) => textFile.test(path) && path !== 'package-lock.json');

test('there are files to look at', () => {
  assert.ok(files.length > 1_000, `found ${files.length}`);
});

for (const { what, pattern, hint, exceptions } of spellings) {
  const used = new Set<object>();
  const isKept = (path: string, word: string) => {
    const kept = exceptions.filter((each) => each.path.test(path) && each.text.test(word));
    for (const each of kept) used.add(each);
    return kept.length > 0;
  };

  test(`${what} is found only where it was written down`, () => {
    const found = files.flatMap((path) => {
      const text = `${path}\n${readFileSync(join(root, path), 'utf8')}`;
      const words = hint.test(text) ? [...text.matchAll(pattern)].map(([word]) => word) : [];
      return words.filter((word) => !isKept(path, word)).map((word) => `${path}: ${word}`);
    });
    assert.deepEqual([...new Set(found)], []);
    const idle = exceptions.filter((each) => !used.has(each)).map(({ why }) => why);
    assert.deepEqual(idle, [], 'exceptions that nothing needs');
  });
}

// Words of our own where the field has one (STYLE.md, "Names"), and what the field says.
const ownWords: readonly (readonly [RegExp, string])[] = [
  [/^\w*[bB]irth\w*$/, 'initial certificates'],
  [/^\w*[vV]ault\w*$/, 'key-encryption key, or key wrap'],
  [/^(?:rivals?|\w*Rivals?)$/, 'conflicting session'],
  [/^\w*(?:twoPlaces|TwoPlaces)\w*$/, 'concurrent sessions'],
  [/^(?:spots?|\w*Spots?)$/, 'origin'],
  [/^(?:descent|\w*Descent)$/, 'lineage'],
  [/^(?:news|\w*News|newsFor)$/, 'updates'],
  [/^(?:most|least)$/, 'max… or min…, and of what'],
  [/^\w*[cC]omesBack\w*$/, 'what it proves or does'],
  [/^JobPlaces?$/, 'the node it runs on'],
  [/^(?:\w*[a-z])?(?<!Same)Board$/, 'what it collects'],
  // A release of a model, a receipt and settings are made of parts.
  [/^(?!ModelRelease|Receipt|Settings)[A-Z]\w+Parts$/, 'dependencies'],
];
// Of what others import.
const tooGeneral = /^(?:Cut|Moment|Order|Place|Life|Where|Made|End|Asked|Answered|Wanted|Lane|Pulse|Turns)$/;

const keptNames: Spelling['exceptions'] = [
  { path: /^agent\/src\/state-lock\.ts$/, text: /^birthtimeNs$/, why: 'a member of Node' },
  { path: /^bench\/(?:attack|harness|harness\.test)\.ts$/, text: /^(?:most|least)$/, why: 'members of stored figures' },
  { path: /former-/, text: /^twoPlaces$/, why: 'a former setting' },
];

const declared = /^\s*(export )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm;
// Parameters, fields, members of objects, and names that a destructuring gives.
const taken =
  /(?:^[^\S\n]*|[(,{]\s*)(?:(?:readonly|static) |\.\.\.)*#?(\w+)\??(?=\s*(?:[:,)};]|=(?!=)))|: (\w+)(?=\s*[,}])/gm;

/** Names that the field has another word for. Comments and texts in quotes are left out. */
function wrongNames(text: string): readonly { readonly name: string; readonly word: string }[] {
  const code = text.replaceAll(/^\s*(?:\/\/|\*|\/\*\*).*$/gm, '').replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
  const names = new Map<string, string>();
  const add = (name: string, word: string | undefined) => word !== undefined && names.set(name, word);
  for (const [, one, other = ''] of code.matchAll(taken)) add(one ?? other, ownWordFor(one ?? other));
  for (const [, exported, name = ''] of code.matchAll(declared))
    add(
      name,
      ownWordFor(name) ?? (exported !== undefined && tooGeneral.test(name) ? 'a word that says which' : undefined),
    );
  return [...names].map(([name, word]) => ({ name, word }));
}

function ownWordFor(name: string): string | undefined {
  return ownWords.find(([word]) => word.test(name))?.[1];
}

test('what a file declares and takes has the word of the field', () => {
  const used = new Set<object>();
  const isKept = (path: string, name: string) => {
    const kept = keptNames.filter((each) => each.path.test(path) && each.text.test(name));
    for (const each of kept) used.add(each);
    return kept.length > 0;
  };
  const found = files
    .filter((path) => path.endsWith('.ts') && !path.startsWith('hub/src/store/'))
    .flatMap((path) =>
      wrongNames(readFileSync(join(root, path), 'utf8'))
        .filter(({ name }) => !isKept(path, name))
        .map(({ name, word }) => `${path}: ${name}; say ${word}`),
    );
  assert.deepEqual(found, []);
  const idle = keptNames.filter((each) => !used.has(each)).map(({ why }) => why);
  assert.deepEqual(idle, [], 'exceptions that nothing needs');
});

test('a word of our own is found as a declaration, a parameter, a field and a member', () => {
  const names = (text: string) => wrongNames(text).map(({ name }) => name);
  for (const text of [
    'const most = 3;',
    'function read(path: string, most: number): void {',
    'function read(\n  most = 3,\n) {',
    'const isFull = (most) => true;',
    'readonly #most: number;',
    'wrong({ positionals: { most, other } }: Command)',
    'async ({ limit: most }) => most',
  ])
    assert.deepEqual(names(text), ['most'], text);
  assert.deepEqual(names('positionals: { least: 1, most: 2 },'), ['least', 'most']);
  assert.deepEqual(names('start(news: () => Promise<void>) {'), ['news']);
  assert.deepEqual(names('export type Cut = string;\ntype Place = string;'), ['Cut']);
  for (const text of ['// at most: 3', ' * most: of them', "throw new Error('the most, at least');", 'maxBytes: 3'])
    assert.deepEqual(names(text), [], text);
});

test('a message of an API is a request or a response', () => {
  const declared = /^export (?:const|type|interface) (\w+(?:Order|Answer))\b/gm;
  const ownIn = (text: string) => [...text.matchAll(declared)].map(([, name]) => name);
  const found = files
    .filter((path) => path.startsWith('wire/src/api/'))
    .flatMap((path) => ownIn(readFileSync(join(root, path), 'utf8')).map((name) => `${path}: ${name}`));
  assert.deepEqual(found, []);
  const planted =
    'export const siteOrder = z.object({});\nexport type SiteAnswer = string;\nexport const orders = [];\n';
  assert.deepEqual(ownIn(planted), ['siteOrder', 'SiteAnswer']);
});

test('a name of the version before is found at every place', () => {
  const [enrol, limit, generation, sessions] = spellings;
  const first = (spelling: Spelling | undefined, text: string) => text.match(spelling?.pattern ?? /^$/)?.[0];
  for (const text of ['tryEnrol(', "'enrolment:write'", 'Enrolment groups', 'it enrols', '/v1/enrol/challenge'])
    assert.ok(first(enrol, text) !== undefined, text);
  for (const text of ['enrolled', 'enrollment-group', 'simplereenroll']) assert.equal(first(enrol, text), undefined);
  for (const text of [
    'const devicesMost = 1',
    'the setting `guard.probeSecondsMax`',
    'this.#keptMost',
    'readyMsMaxDefault',
  ])
    assert.ok(first(limit, text) !== undefined, text);
  for (const text of ['beginGeneration(', 'root.generation', '`generation`'])
    assert.ok(first(generation, text) !== undefined, text);
  assert.equal(first(generation, 'generated'), undefined);
  for (const text of ["'/v1/authorities/missing?limit=1'", 'presence.places[0]', 'devicesMissing: 1'])
    assert.ok(first(sessions, text) !== undefined, text);
  for (const text of ['maxDevices', 'DEVICES_MAX', 'at-most', 'utmost', 'max(3)'])
    assert.equal(first(limit, text), undefined, text);
});
