import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { utf8 } from '../bytes.ts';
import { parseJson } from '../json.ts';
import { requestDigest } from './request-digest.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/access/request-digest');
const vectorSchema = z.strictObject({
  comment: z.string(),
  method: z.string(),
  path: z.string(),
  body: z.string(),
  digest: z.string(),
});

for (const name of readdirSync(folder)) {
  const { comment, digest, ...request } = parseJson(readFileSync(join(folder, name)), vectorSchema, name);
  test(`${name}: ${comment}`, () => {
    assert.equal(requestDigest({ ...request, body: utf8(request.body) }), digest);
  });
}

test('no part of a request can change, or move into another, without changing the digest', () => {
  const request = { method: 'POST', path: '/v1/people', body: utf8('{"name":"ben"}') };
  const digests = [
    request,
    { ...request, method: 'PUT' },
    { ...request, path: '/v1/people/' },
    { ...request, body: utf8('{"name":"eve"}') },
    { ...request, body: utf8('') },
    { ...request, method: 'POST\n', path: 'v1/people' },
  ].map(requestDigest);
  assert.equal(new Set(digests).size, digests.length);
});
