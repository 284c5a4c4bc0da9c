import { deepEqual, doesNotThrow, equal, throws } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseJson } from '../json.ts';
import { assertModelPath, encodeManifest, manifestDigest, MANIFEST_LENGTH_MAX, parseManifest } from './manifest.ts';

const folder = new URL('../../../spec/vectors/model/manifest/', import.meta.url);
const validSchema = z.strictObject({ comment: z.string(), manifest: z.string(), sha256: z.string() });
const invalidSchema = z.strictObject({ comment: z.string(), manifest: z.string(), error: z.string() });

for (const name of readdirSync(new URL('valid/', folder))) {
  const { comment, manifest, sha256 } = parseJson(readFileSync(new URL(`valid/${name}`, folder)), validSchema, name);
  test(`${name} is a manifest: ${comment}`, () => {
    deepEqual(encodeManifest(parseManifest(utf8(manifest))), utf8(manifest));
    equal(toHex(manifestDigest(utf8(manifest))), sha256);
  });
  test(`${name} with any byte changed is another manifest or none`, () => {
    const bytes = utf8(manifest);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 7));
      const parsed = encodedOrCode(changed);
      if (typeof parsed !== 'string') deepEqual(parsed, Buffer.from(changed));
    }
  });
}

for (const name of readdirSync(new URL('invalid/', folder))) {
  const { comment, manifest, error } = parseJson(readFileSync(new URL(`invalid/${name}`, folder)), invalidSchema, name);
  test(`${name} is none: ${comment}`, () => {
    throws(() => parseManifest(utf8(manifest)), { name: 'CoreError', code: error });
  });
}

test('a manifest that is too long is not even parsed', () => {
  throws(() => parseManifest(new Uint8Array(MANIFEST_LENGTH_MAX + 1)), { code: 'bytes-too-long' });
});

test('random bytes and random JSON are a manifest or a CoreError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), (bytes) => {
      equal(typeof encodedOrCode(bytes), 'string');
    }),
  );
});

test('a path that leaves the folder or has two names is refused', () => {
  const bad = [
    '',
    '/a',
    'a/',
    '../a',
    'a/../b',
    './a',
    'a//b',
    'a\\b',
    'a\nb',
    'a\0',
    'e\u0301',
    'a\u202eb',
    'x'.repeat(513),
  ];
  for (const path of bad) throws(() => assertModelPath(path), { code: 'model-path-invalid' });
  for (const path of ['a', 'a/b.onnx', 'ü/模型.bin', '.hidden']) doesNotThrow(() => assertModelPath(path));
});

function encodedOrCode(bytes: Uint8Array) {
  try {
    return encodeCanonicalJson(parseManifest(bytes));
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
}
