import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHubSettings, parseHubSettings, parseSettingsText } from './settings.ts';

const written = (settings: object): unknown => JSON.parse(encodeHubSettings(parseHubSettings(settings, 'test')));

test('hub.json holds what differs from the defaults, and nothing that does not', () => {
  assert.deepEqual(written({}), {});
  assert.deepEqual(
    written({ leaseSeconds: 3_600, device: { port: 8443 }, pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14] }),
    {},
  );
  const own = { names: ['127.0.0.1', 'localhost'], device: { host: '0.0.0.0' }, attestation: { coveredPcrs: [14] } };
  assert.deepEqual(written({ ...own, lease: { maxPerWindow: 30 }, publicUrl: null }), own);
});

test('what is written is read as the same settings', () => {
  const settings = parseHubSettings(
    { names: ['hub.example.net'], witness: { quorum: 3 }, unlockProgram: ['/bin/a', 'b'] },
    'test',
  );
  assert.deepEqual(parseHubSettings(JSON.parse(encodeHubSettings(settings)), 'test'), settings);
});

test('a setting that is twice in hub.json is refused by its name', () => {
  const twice = { code: 'settings-invalid', message: /^hub\.json: the key "twoPeople" occurs twice/ };
  assert.throws(() => parseSettingsText('{"access":{"twoPeople":"on","twoPeople":"off"}}', 'hub.json'), twice);
  assert.throws(() => parseSettingsText('{', 'hub.json'), { code: 'settings-invalid', message: /not JSON/ });
});
