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
