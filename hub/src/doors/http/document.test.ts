import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { documentOf } from '../../store/document.ts';
import { sendDocument } from './document.ts';
import { openTestingListener } from './testing-server.ts';

const short = documentOf(Buffer.from('a short text'));

/** The answer for a short document. */
async function ask(headers: Readonly<Record<string, string>>) {
  await using listener = await openTestingListener((app) =>
    app.get('/short', async (request, reply) => sendDocument(request, reply, { type: 'text/plain', document: short })),
  );
  return listener.app.inject({ url: '/short', headers: { ...headers } });
}

test('a coding counts unless its weight is 0, and * counts for those that are not named', async () => {
  const takes = async (accepted: string) =>
    (await ask({ 'accept-encoding': accepted })).headers['content-encoding'] === 'gzip';
  for (const yes of ['gzip', 'deflate, gzip;q=0.5', 'GZIP', '*', 'x-gzip', 'br;q=1, *;q=0.1'])
    assert.ok(await takes(yes), yes);
  for (const no of ['', 'identity', 'gzip;q=0', 'gzip; q=0.000', '*;q=0', 'gzip;q=0, *', 'gzip;q=high'])
    assert.ok(!(await takes(no)), no);
});

test('a client names what it has: one of a list, weak or not', async () => {
  const etag = `"${short.sha256}"`;
  const status = async (named: string) => (await ask({ 'if-none-match': named })).statusCode;
  for (const same of [etag, `W/${etag}`, `"b", ${etag}`, `"b",W/${etag}`, '*'])
    assert.equal(await status(same), 304, same);
  for (const other of ['', '"b"', short.sha256, `"${short.sha256}`, `"${short.sha256}-gzip"`])
    assert.equal(await status(other), 200, other);
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
  const packed = await get({ 'accept-encoding': 'gzip' });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.equal(gunzipSync(packed.rawPayload).toString(), text);
  assert.notEqual(packed.headers.etag, plain.headers.etag);
  for (const { headers } of [plain, packed]) {
    const etag = String(headers.etag);
    const again = await get({ 'if-none-match': etag, 'accept-encoding': etag.includes('gzip') ? 'gzip' : 'identity' });
    assert.equal(again.statusCode, 304);
    assert.equal(again.body, '');
    assert.equal(again.headers.etag, etag);
  }
  assert.equal((await get({ 'if-none-match': '"other"' })).statusCode, 200);
});

test('in a turn of the event loop one piece goes out for all clients together', async () => {
  const document = documentOf(Buffer.alloc(10 * 64 * 1024));
  await using listener = await openTestingListener((app) =>
    app.get('/long', async (request, reply) => sendDocument(request, reply, { type: 'text/plain', document })),
  );
  let turns = 0;
  let counting = true;
  const count = () => {
    turns += 1;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const answers = await Promise.all(Array.from({ length: 4 }, () => listener.app.inject({ url: '/long' })));
  counting = false;
  for (const { rawPayload } of answers) assert.equal(rawPayload.length, document.bytes.length);
  assert.ok(turns >= 4 * 10, `${turns} turns for 40 pieces`);
});
