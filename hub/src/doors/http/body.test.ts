import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestingListener, type TestingClient } from './testing-server.ts';

const timeout = 20_000;

function send(client: TestingClient, path: string, body: string): void {
  client.head(path, body.length);
  client.socket.write(body);
}

// SECURITY.md: HUB-39
test(
  'a body beyond its limit is refused before its first byte is sent, and the connection goes on',
  { timeout },
  async () => {
    await using listener = await openTestingListener((app) => app.post('/small', { bodyLimit: 100 }, () => 'taken'));
    const client = await listener.connect();
    client.head('/small', 100_000);
    assert.deepEqual(await client.answers(1), ['413 payload-too-large']);
    client.socket.write('x'.repeat(100_000));
    send(client, '/small', '{}');
    assert.deepEqual(await client.answers(2), ['413 payload-too-large', '200']);
  },
);

test('a refusal arrives while megabytes are still sent', { timeout }, async () => {
  await using listener = await openTestingListener((app) => app.post('/small', { bodyLimit: 100 }, () => 'taken'));
  for (const length of [1_000_000, 8_000_000, 60_000_000]) {
    const client = await listener.connect();
    send(client, '/small', 'x'.repeat(length));
    assert.deepEqual(await client.answers(1), ['413 payload-too-large'], `${length} bytes`);
  }
});

test('a chunked body is counted while it is read, and refused when it is beyond the limit', { timeout }, async () => {
  await using listener = await openTestingListener((app) => app.post('/small', { bodyLimit: 100 }, () => 'taken'));
  const client = await listener.connect();
  client.head('/small', 'chunked');
  client.chunk('{"a":"');
  client.chunk('x'.repeat(90));
  client.chunk('x'.repeat(90));
  assert.deepEqual(await client.answers(1), ['413 payload-too-large']);
});

// SECURITY.md: HUB-39
test('JSON that nests too deep or has too many values is refused while it arrives', { timeout }, async () => {
  await using listener = await openTestingListener((app) => app.post('/json', { bodyLimit: 50_000 }, () => 'taken'));
  const texts = [['[', 33] as const, ['[],', 2_000] as const, ['{"a":', 33] as const];
  for (const [piece, times] of texts) {
    const client = await listener.connect();
    client.head('/json', 40_000);
    client.socket.write((piece === '[],' ? '[' : '') + piece.repeat(times));
    // The rest of the body never comes.
    assert.deepEqual(await client.answers(1), ['400 request-invalid'], piece);
  }
});

test('an object with one key twice is refused, at any depth and in any spelling', { timeout }, async () => {
  await using listener = await openTestingListener((app) => app.post('/json', { bodyLimit: 500 }, () => 'taken'));
  for (const [text, answer] of [
    ['{"add":["a"],"add":["b"]}', '400 request-invalid'],
    [String.raw`{"list":[{"id":"a","\u0069d":"b"}]}`, '400 request-invalid'],
    ['{"list":[{"id":"a"},{"id":"a"}],"id":"a"}', '200'],
  ] as const) {
    const client = await listener.connect();
    send(client, '/json', text);
    assert.deepEqual(await client.answers(1), [answer], text);
  }
});

test('a key that reaches the prototype is refused', { timeout }, async () => {
  await using listener = await openTestingListener((app) => app.post('/json', { bodyLimit: 500 }, () => 'taken'));
  const client = await listener.connect();
  send(client, '/json', '{"__proto__":{"admin":true}}');
  assert.deepEqual(await client.answers(1), ['400 request-invalid']);
});

// SECURITY.md: HUB-39
test('bodies that one payer sends at once are counted before they are read', { timeout }, async () => {
  await using listener = await openTestingListener((app) => app.post('/json', { bodyLimit: 500 }, () => 'taken'), {
    bodies: 2,
  });
  const [first, second, third] = [await listener.connect(), await listener.connect(), await listener.connect()];
  for (const client of [first, second]) client.head('/json', 400);
  // The hub knows both once it has answered another request on the same listener.
  third.head('/json', 2);
  third.socket.write('{}');
  assert.deepEqual(await third.answers(1), ['429 rate-limited']);
  first.socket.write(JSON.stringify('x'.repeat(398)));
  assert.deepEqual(await first.answers(1), ['200']);
  send(third, '/json', '{}');
  assert.deepEqual(await third.answers(2), ['429 rate-limited', '200']);
});

test('the bytes of all bodies together are bounded, also of those without a length', { timeout }, async () => {
  await using listener = await openTestingListener(
    (app) => app.post('/json', { bodyLimit: 500 }, () => 'taken'),
    {},
    { roomBytes: 600 },
  );
  const [first, second, third] = [await listener.connect(), await listener.connect(), await listener.connect()];
  first.head('/json', 400);
  second.head('/json', 400);
  assert.deepEqual(await second.answers(1), ['429 rate-limited']);
  third.head('/json', 'chunked');
  third.chunk(' '.repeat(300));
  assert.deepEqual(await third.answers(1), ['429 rate-limited']);
  first.socket.destroy();
});

test(
  'bytes a second are counted before a body is read; one body of the largest kind passes whole',
  { timeout },
  async () => {
    await using listener = await openTestingListener(
      (app) => app.post('/json', { bodyLimit: 50_000 }, () => 'taken'),
      { bytesPerSecond: 1 },
      { maxBodyBytes: 50_000 },
    );
    const client = await listener.connect();
    send(client, '/json', JSON.stringify('x'.repeat(49_000)));
    send(client, '/json', JSON.stringify('x'.repeat(49_000)));
    assert.deepEqual(await client.answers(2), ['200', '429 rate-limited']);
  },
);
