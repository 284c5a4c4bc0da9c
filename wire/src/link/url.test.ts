import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpsUrl } from './url.ts';

test('the URL of every listener is one that can be read again', () => {
  for (const host of ['127.0.0.1', '::1', '2001:db8::5', 'hub.plant.example']) {
    const url = new URL(httpsUrl({ host, port: 8_444 }));
    assert.equal(url.hostname.replaceAll(/[[\]]/g, ''), host);
    assert.equal(url.port, '8444');
  }
});
