import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServer } from './server.ts';

test('a connection between two requests has no time limit, one within a head or a handshake has', async () => {
  const app = createServer({}, 'silent', 'device');
  try {
    assert.equal(app.server.keepAliveTimeout, 0);
    assert.equal(app.server.timeout, 0);
    // Bodies have a separate watch (body-watch.test.ts).
    assert.equal(app.server.requestTimeout, 0);
    assert.equal(app.server.headersTimeout, 10_000);
  } finally {
    await app.close();
  }
});

// SECURITY.md: HUB-39
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
