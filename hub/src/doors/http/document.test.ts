import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { documentOf } from '../../store/document.ts';
import { isNamed, sendDocument, takesGzip } from './document.ts';
import { openTestingListener } from './testing-server.ts';

test('a coding counts unless its weight is 0, and * counts for those that are not named', () => {
  for (const yes of ['gzip', 'deflate, gzip;q=0.5', 'GZIP', '*', 'x-gzip', 'br;q=1, *;q=0.1'])
    assert.ok(takesGzip(yes), yes);
  for (const no of [undefined, '', 'identity', 'gzip;q=0', 'gzip; q=0.000', '*;q=0', 'gzip;q=0, *', 'gzip;q=high'])
    assert.ok(!takesGzip(no), String(no));
});

test('a client names what it has: one of a list, weak or not', () => {
  for (const yes of ['"a"', 'W/"a"', '"b", "a"', '"b",W/"a"', '*']) assert.ok(isNamed('"a"', yes), yes);
  for (const no of [undefined, '', '"b"', 'a', '"a', '"a-gzip"']) assert.ok(!isNamed('"a"', no), String(no));
});

// SECURITY.md: HUB-100
test('a long document comes whole in either form, is not sent to a client that has it, and is charged by its length', async () => {
  const text = Array.from({ length: 40_000 }, (_, at) => `witness ${at}`).join(' ');
  const document = documentOf(Buffer.from(text));
  await using listener = await openTestingListener((app) =>
    app.get('/long', async (request, reply) => sendDocument(request, reply, { type: 'text/plain', document })),
  );
  const get = (headers: Readonly<Record<string, string>>) =>
    listener.app.inject({ url: '/long', headers: { ...headers } });
  const before = listener.payers.workedMs;
  const plain = await get({});
  assert.equal(plain.body, text);
  assert.equal(plain.headers['content-length'], `${text.length}`);
  assert.ok(listener.payers.workedMs - before >= (text.length / 2 ** 20) * 1.9);
  const short = await get({ 'accept-encoding': 'gzip' });
  assert.equal(short.headers['content-encoding'], 'gzip');
  assert.equal(gunzipSync(short.rawPayload).toString(), text);
  assert.notEqual(short.headers.etag, plain.headers.etag);
  for (const { headers } of [plain, short]) {
    const etag = String(headers.etag);
    const again = await get({ 'if-none-match': etag, 'accept-encoding': etag.includes('gzip') ? 'gzip' : 'identity' });
    assert.equal(again.statusCode, 304);
    assert.equal(again.body, '');
    assert.equal(again.headers.etag, etag);
  }
  assert.equal((await get({ 'if-none-match': '"other"' })).statusCode, 200);
});
