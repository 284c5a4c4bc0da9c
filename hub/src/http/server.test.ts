import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServer } from './server.ts';

test('a connection between two requests has no time limit, one within a request has', async () => {
  const app = createServer({}, 'silent', 'device');
  try {
    assert.equal(app.server.keepAliveTimeout, 0);
    assert.equal(app.server.timeout, 0);
    assert.equal(app.server.requestTimeout, 30_000);
    assert.equal(app.server.headersTimeout, 10_000);
  } finally {
    await app.close();
  }
});

test('a body that is too long for its route is read to its end, and refused; a longer one ends the connection', async () => {
  const app = createServer({}, 'silent', 'device');
  app.post('/small', { bodyLimit: 100 }, () => 'taken');
  await app.listen({ host: '127.0.0.1', port: 0 });
  try {
    const answer = async (length: number) =>
      app.inject({
        method: 'POST',
        url: '/small',
        headers: { 'content-type': 'application/json' },
        payload: 'x'.repeat(length),
      });
    const long = await answer(100_000);
    assert.deepEqual([long.statusCode, long.json().error.code], [413, 'payload-too-large']);
    assert.notEqual(long.headers.connection, 'close');
    assert.equal((await answer(8 * 1024 * 1024 + 1)).headers.connection, 'close');
  } finally {
    await app.close();
  }
});

test('a route that takes a body and says no limit does not start', async () => {
  const app = createServer({}, 'silent', 'device');
  try {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const)
      assert.throws(() => app.route({ method, url: '/open', handler: () => 'taken' }), /bodyLimit/);
    app.get('/read', () => 'taken');
  } finally {
    await app.close();
  }
});
