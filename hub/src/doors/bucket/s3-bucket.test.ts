// What the hub makes of the answers of S3 servers: those of AWS, MinIO, Ceph, swift and R2, and those of servers that fail or lie.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HubError } from '../../common/error.ts';
import { hubSettingsSchema } from '../../settings.ts';
import { errorXml, openBySettings, scriptedBucket, type Script, testSecret } from './testing-server.ts';

const range = { start: 2, end: 5 } as const;
const whole = Buffer.from('0123456789');

function answer(response: ServerResponse, status: number, body: string | Buffer = '', headers: object = {}): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body);
}

async function errorOf(work: Promise<unknown>): Promise<HubError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    return error;
  }
  return assert.fail('it was not refused');
}

/** The hub's error for a server that always answers this. */
async function refusal(status: number, body: string, headers: object = {}, nowMs = Date.now()) {
  await using server = await scriptedBucket((_request, response) => answer(response, status, body, headers), nowMs);
  const error = await errorOf(server.bucket.get('x', range));
  return { error, tries: server.requests.length, waits: server.waits };
}

test('a request is signed over its time, its range is sent, and the part of the object is returned', async () => {
  await using server = await scriptedBucket((_request, response) => answer(response, 206, '2345'));
  assert.equal(String(await server.bucket.get('x', range)), '2345');
  const [{ url, headers } = assert.fail()] = server.requests;
  assert.equal(url, '/models/p/x');
  assert.equal(headers.range, 'bytes=2-5');
  assert.match(headers.authorization ?? '', /^AWS4-HMAC-SHA256 Credential=KEY\/\d{8}\/us-east-1\/s3\/aws4_request, /);
});

test('a server that answers the whole object in place of the range is understood', async () => {
  await using server = await scriptedBucket((_request, response) => answer(response, 200, whole));
  assert.equal(String(await server.bucket.get('x', range)), '2345');
});

test('what may pass is tried again, after the pause that the server asks for', async () => {
  const script: Script = (_request, response, at) => {
    if (at === 1) answer(response, 503, errorXml('SlowDown'), { 'retry-after': '3' });
    else if (at === 2) response.socket?.destroy();
    else if (at === 3) {
      // A connection that breaks in the middle of the range.
      response.writeHead(206, { 'content-length': 4 });
      response.write('23', () => response.socket?.destroy());
    } else answer(response, 206, '2345');
  };
  await using server = await scriptedBucket(script);
  assert.equal(String(await server.bucket.get('x', range)), '2345');
  assert.equal(server.waits.length, 3);
  assert.equal(server.waits[0], 3_000);
});

test('tries end, and a pause that a server asks for has a limit', async () => {
  for (const [status, body] of [
    [503, errorXml('SlowDown')],
    [500, errorXml('InternalError')],
    [429, ''],
    [502, '<html>bad gateway</html>'],
    [409, errorXml('OperationAborted')],
    [400, errorXml('RequestTimeout')],
    [503, errorXml('ServiceUnavailable')],
  ] as const) {
    const { error, tries, waits } = await refusal(status, body, { 'retry-after': '86400' });
    assert.equal(error.code, 'artifacts-unreachable', body);
    assert.equal(tries, 4);
    assert.deepEqual(waits, [10_000, 10_000, 10_000]);
    assert.equal(error.retryAfterSeconds, 60);
  }
});

test('what will not pass is named, and is not tried again and again', async () => {
  const hour = 3_600_000;
  const now = Date.UTC(2026, 0, 1);
  const cases: readonly (readonly [number, string, object, RegExp])[] = [
    [403, errorXml('SignatureDoesNotMatch'), {}, /the secret is not that of the access key/],
    [403, errorXml('InvalidAccessKeyId'), {}, /does not know the access key/],
    [403, errorXml('AccessDenied'), {}, /rights are in docs\/artifacts\.md/],
    [401, '', {}, /access key, its secret or its rights/],
    [404, errorXml('NoSuchBucket'), {}, /no such bucket: create it/],
    [404, '<html>nothing here</html>', {}, /no answer of an S3 server/],
    [400, errorXml('AuthorizationHeaderMalformed', '<Region>eu-west-1</Region>'), {}, /region eu-west-1/],
    [
      301,
      errorXml('PermanentRedirect', '<Endpoint>models.s3.eu-west-1.amazonaws.com</Endpoint>'),
      {},
      /endpoint models\.s3\.eu-west-1/,
    ],
    [
      403,
      errorXml('RequestTimeTooSkewed'),
      { date: new Date(now - hour).toUTCString() },
      /clock is 3600 s ahead of the server's/,
    ],
    [403, errorXml('InvalidObjectState'), {}, /archive/],
    [403, errorXml('QuotaExceeded'), {}, /quota/],
    [507, errorXml('XMinioStorageFull'), {}, /507 XMinioStorageFull: A message\./],
  ];
  for (const [status, body, headers, expected] of cases) {
    const { error, tries } = await refusal(status, body, headers, now);
    assert.equal(error.code, 'artifacts-refused', error.message);
    assert.match(error.message, expected);
    assert.ok(tries <= 2, `${error.message}: ${tries} tries`);
  }
});

// SECURITY.md: HUB-154
test('a signed request follows no redirect to another place', async () => {
  await using other = await scriptedBucket((_request, response) => answer(response, 206, '2345'));
  const headers = { location: `http://127.0.0.1:${other.port}/models/p/x`, 'x-amz-bucket-region': 'eu-north-1' };
  const { error } = await refusal(307, errorXml('TemporaryRedirect'), headers);
  assert.equal(error.code, 'artifacts-refused');
  assert.match(error.message, /region eu-north-1.*follows no redirect/);
  assert.deepEqual(other.requests, []);
});

// SECURITY.md: HUB-154
test('the secret is in no error, no URL and no header, and a server that repeats what it got writes nothing into one', async () => {
  const echo = `<StringToSign>${testSecret}</StringToSign><AWSAccessKeyId>KEY</AWSAccessKeyId>`;
  for (const code of ['SignatureDoesNotMatch', 'AccessDenied', 'Unknown', 'SlowDown']) {
    const { error } = await refusal(403, errorXml(code, echo));
    assert.ok(!`${error.message}${String(error.stack)}`.includes(testSecret), code);
  }
  await using server = await scriptedBucket((_request, response) => answer(response, 204));
  await server.bucket.remove('x');
  assert.ok(!JSON.stringify(server.requests).includes(testSecret));
  const lines = await refusal(418, '<Error><Code>Odd</Code><Message>a\u001b[2Jb\nc</Message></Error>');
  assert.match(lines.error.message, /a\?\[2Jb\?c$/);
});

// SECURITY.md: HUB-154
test('settings with a secret in the URL, a path behind the host, or plain HTTP to another machine are refused', () => {
  const given = { kind: 's3', bucket: 'models', accessKeyId: 'KEY' };
  const accepted = (more: object) => hubSettingsSchema.safeParse({ artifacts: { ...given, ...more } }).success;
  for (const endpoint of [
    'https://s3.example',
    'http://127.0.0.1:9000',
    'http://[::1]:9000',
    'http://localhost:9000',
    null,
  ])
    assert.ok(accepted({ endpoint }), String(endpoint));
  for (const endpoint of [
    `https://KEY:${testSecret}@s3.example`,
    'https://s3.example/models',
    'https://s3.example/?x=1',
    'http://s3.example',
    'http://10.0.0.1',
    'http://127.0.0.1.example',
    'ftp://s3.example',
    's3.example',
  ])
    assert.ok(!accepted({ endpoint }), endpoint);
  for (const more of [
    { bucket: '' },
    { accessKeyId: '' },
    { bucket: '../x' },
    { prefix: 'a' },
    { prefix: '../' },
    { prefix: '/' },
    { secret: testSecret },
  ])
    assert.ok(!accepted(more), JSON.stringify(more));
});

// SECURITY.md: HUB-154
test('a secret comes from a file that only its user can read, and a changed one is read when the server refuses the old one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-bucket-'));
  try {
    const given = { kind: 's3', bucket: 'models', accessKeyId: 'KEY', secretFile: 'secret' };
    await assert.rejects(openBySettings(folder, given), { code: 'settings-invalid', message: /no such file/ });
    await writeFile(join(folder, 'secret'), testSecret, { mode: 0o644 });
    await assert.rejects(openBySettings(folder, given), { code: 'settings-invalid', message: /chmod 600/ });
    await assert.rejects(openBySettings(folder, { ...given, secretFile: null }), {
      message: /EDGEKEEP_ARTIFACTS_SECRET/,
    });
    await using server = await scriptedBucket((_request, response, at) => {
      if (at > 1) answer(response, 206, '2345');
      else {
        writeFileSync(join(folder, 'secret'), `${testSecret}2\n`);
        answer(response, 403, errorXml('SignatureDoesNotMatch'));
      }
    });
    await rm(join(folder, 'secret'));
    await writeFile(join(folder, 'secret'), testSecret, { mode: 0o600 });
    using opened = await openBySettings(folder, { ...given, endpoint: `http://127.0.0.1:${server.port}` });
    assert.equal(String(await opened.bucket.get('x', range)), '2345');
    const [first, second] = server.requests.map(({ headers }) => headers.authorization);
    assert.notEqual(first?.split('Signature=')[1], second?.split('Signature=')[1]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a missing object is none, a shorter one is lost, and an answer without an end is cut off', async () => {
  await using missing = await scriptedBucket((_request, response) => answer(response, 404, errorXml('NoSuchKey')));
  assert.equal(await missing.bucket.get('x', range), undefined);
  await missing.bucket.remove('x');
  assert.equal((await refusal(416, errorXml('InvalidRange'))).error.code, 'artifact-lost');
  await using endless = await scriptedBucket((_request, response) => {
    const chunk = Buffer.alloc(1_048_576);
    const more = () => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  const error = await errorOf(endless.bucket.get('x', range));
  assert.equal(error.code, 'artifacts-unreachable');
  assert.match(error.message, /an answer of more than \d+ bytes/);
});

// SECURITY.md: HUB-155
test('a receiver that has gone ends the request to a silent server', async () => {
  const came = Promise.withResolvers<void>();
  await using server = await scriptedBucket(() => came.resolve());
  const control = new AbortController();
  const reading = server.bucket.get('x', range, control.signal);
  await came.promise;
  control.abort();
  await assert.rejects(reading, { name: 'AbortError' });
  assert.equal(server.requests.length, 1);
});

const listing = (keys: readonly string[], next?: string) =>
  `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><IsTruncated>${next !== undefined}</IsTruncated>${next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`}${keys.map((key) => `<Contents><Key>${key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d&quot;</ETag><Size>3</Size></Contents>`).join('')}</ListBucketResult>`;

// SECURITY.md: HUB-153
test('a listing is read page by page, names of others in it are left out, and one without an end is refused', async () => {
  await using server = await scriptedBucket((request, response) => {
    const token = new URL(request.url ?? '', 'http://s3').searchParams.get('continuation-token');
    if (token === null) answer(response, 200, listing(['p/a/1', 'other/x', 'p/a/%C3%A9+1'], 'a+/b='));
    else answer(response, 200, listing(token === 'a+/b=' ? ['p/a/2'] : []));
  });
  const keys = (await Array.fromAsync(server.bucket.list('a/'))).map(({ key }) => key);
  assert.deepEqual(keys, ['a/1', 'a/é 1', 'a/2']);
  assert.match(server.requests[0]?.url ?? '', /list-type=2.*prefix=p%2Fa%2F/);
  await using turning = await scriptedBucket((_request, response) => answer(response, 200, listing([], 'same')));
  assert.equal((await errorOf(Array.fromAsync(turning.bucket.list('')))).code, 'artifacts-refused');
  await using page = await scriptedBucket((_request, response) => answer(response, 200, '<html>welcome</html>'));
  assert.equal((await errorOf(Array.fromAsync(page.bucket.list('')))).code, 'artifacts-refused');
});

// SECURITY.md: HUB-155
test('a server that accepts and says nothing, and one that drips its answer, are cut off and named', async () => {
  const limits = { silentMs: 40, minBytesPerMs: 1_000_000 };
  await using silent = await scriptedBucket(() => undefined, Date.now(), limits);
  const error = await errorOf(silent.bucket.get('x', range));
  assert.equal(error.code, 'artifacts-unreachable');
  assert.match(error.message, /no byte for|took too long/);
  assert.equal(silent.requests.length, 4);
  const size = 60_000;
  // A byte in each turn of the event loop: it is never silent, and not done for long.
  const drip = (response: ServerResponse): void => {
    if (response.socket !== null && !response.socket.destroyed) response.write('x', () => setImmediate(drip, response));
  };
  const script: Script = (_request, response) => {
    response.writeHead(206, { 'content-length': size });
    drip(response);
  };
  await using dripping = await scriptedBucket(script, Date.now(), limits);
  const late = await errorOf(dripping.bucket.get('x', { start: 0, end: size - 1 }));
  assert.equal(late.code, 'artifacts-unreachable');
  assert.match(late.message, /took too long/);
});
