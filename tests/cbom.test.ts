// The inventory of cryptography (docs/design/post-quantum.md): its table, the source, the page and the CycloneDX document say the same.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { z } from 'zod';
import { cbom, pageWith, placesOf } from '../scripts/cbom/document.ts';
import { importsIn, scan, wordsIn } from '../scripts/cbom/scan.ts';
import { algorithms, generalCalls, otherImports } from '../scripts/cbom/table.ts';

const root = dirname(import.meta.dirname);
const found = scan(root);
const words = new Set(algorithms.flatMap((each) => each.words));
const imports = new Set([...algorithms.flatMap(({ calls = [] }) => calls), ...generalCalls, ...otherImports]);

test('every name of cryptography in the source is in the table of scripts/cbom/table.ts, and the table has no other', () => {
  const unknown = [...found.words].filter(([word]) => !words.has(word)).map(([word, files]) => `${word}: ${files[0]}`);
  assert.deepEqual(unknown, []);
  assert.deepEqual(
    [...words].filter((word) => !found.words.has(word)),
    [],
  );
  const foreign = [...found.imports]
    .filter(([name]) => !imports.has(name))
    .map(([name, files]) => `${name}: ${files[0]}`);
  assert.deepEqual(foreign, []);
  assert.deepEqual(
    [...imports].filter((name) => !found.imports.has(name)),
    [],
  );
});

test('the search sees an algorithm in a text, in a call and in an import, and no comment', () => {
  assert.deepEqual(wordsIn("const key = generateKeyPairSync('ml-dsa-65');"), ['ml-dsa-65']);
  assert.deepEqual(wordsIn('createHash("x"); createHash(\'whirlpool\')'), ['whirlpool']);
  assert.deepEqual(wordsIn('throw new Error(`expected a Brainpool256r1 or ${curve} key`)'), ['brainpool256r1']);
  for (const name of [
    'SLH-DSA-128s',
    'ChaCha20-Poly1305',
    'md5',
    'SHAKE256',
    'rc4',
    'argon2id',
    'secp256k1',
    'RS256',
    'ed448',
  ]) {
    assert.deepEqual(wordsIn(`const algorithm = '${name}';`), [name.toLowerCase()]);
  }
  assert.deepEqual(
    wordsIn("// SHA-1 is not used\nimport { hkdf } from '@edgekeep/core/hkdf';\nconst second = 'echo';"),
    [],
  );
  assert.deepEqual(importsIn("import { type KeyObject, pbkdf2Sync, sign as sign64 } from 'node:crypto';"), [
    'KeyObject',
    'pbkdf2Sync',
    'sign',
  ]);
});

test('docs/design/post-quantum.md has the table that the script writes', () => {
  const page = readFileSync(join(root, 'docs/design/post-quantum.md'), 'utf8');
  assert.equal(page, pageWith(page), 'run `npm run cbom` and commit the page');
});

const schemaFolder = join(root, 'node_modules/@cyclonedx/cyclonedx-library/res/schema');
const schemaOf = (name: string) =>
  z
    .looseObject({ $id: z.string() })
    .parse(JSON.parse(readFileSync(join(schemaFolder, `${name}.SNAPSHOT.schema.json`), 'utf8')));

/** The validator of CycloneDX 1.6; the formats of texts (dates, addresses) are not looked at. */
function validator() {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const name of ['spdx', 'jsf-0.82']) {
    ajv.addSchema(schemaOf(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  }
  return ajv.compile(schemaOf('bom-1.6'));
}

test('the bill of cryptography is valid by the schema of CycloneDX 1.6, and each algorithm is somewhere in the source', () => {
  const valid = validator();
  const document = cbom(found, '1.0.0');
  assert.equal(valid(document), true, JSON.stringify(valid.errors, null, 2));
  const { components } = z.object({ components: z.array(z.looseObject({ type: z.string() })) }).parse(document);
  assert.ok(components.length > algorithms.length);
  assert.ok(components.every(({ type }) => type === 'cryptographic-asset'));
  assert.deepEqual(
    algorithms.filter((each) => placesOf(each, found).length === 0).map(({ name }) => name),
    [],
  );
});

test('the schema refuses an algorithm of a kind that it does not know', () => {
  const valid = validator();
  const wrong = JSON.parse(
    JSON.stringify(cbom(found, '1.0.0')).replace('"primitive":"signature"', '"primitive":"magic"'),
  );
  assert.equal(valid(wrong), false);
});
