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

test('a host in the settings has one form, and one that another machine could be is refused by name', () => {
  const { device, operator, names, publicUrl } = parseHubSettings(
    {
      device: { host: '[::]' },
      operator: { host: 'fe80::1%25eth0' },
      names: ['Bücher.example.', '*.Edge.example', '[2001:DB8::5]', '::ffff:10.0.4.2'],
      publicUrl: 'http://[2001:DB8::5]:8080',
    },
    'test',
  );
  assert.deepEqual([device.host, operator.host], ['::', 'fe80::1%eth0']);
  assert.deepEqual(names, ['xn--bcher-kva.example', '*.edge.example', '2001:db8::5', '10.0.4.2']);
  assert.equal(publicUrl, 'http://[2001:db8::5]:8080');
  for (const [settings, message] of [
    [{ device: { host: '10.0.0.300' } }, /device\.host: "10\.0\.0\.300": an IPv4 address has four numbers/],
    [{ operator: { host: 'hub:8444' } }, /operator\.host/],
    [{ operator: { host: 'fe80::1' } }, /needs its interface/],
    [{ names: ['fe80::1%eth0'] }, /one machine only/],
    [{ names: ['010.0.0.1'] }, /without leading zeros/],
    [{ publicUrl: 'http://10.1/' }, /four numbers/],
    [{ publicUrl: 'http://[fe80::1%25eth0]/' }, /one machine only/],
    [{ publicUrl: 'ftp://hub.example' }, /http/],
    [{ witness: { public: [{ url: 'https://witness.example/', key: '' }] } }, /no slash at its end/],
  ] as const)
    assert.throws(() => parseHubSettings(settings, 'test'), { code: 'settings-invalid', message });
});

test('a setting that is twice in hub.json is refused by its name', () => {
  const twice = { code: 'settings-invalid', message: /^hub\.json: the key "twoPeople" occurs twice/ };
  assert.throws(() => parseSettingsText('{"access":{"twoPeople":"on","twoPeople":"off"}}', 'hub.json'), twice);
  assert.throws(() => parseSettingsText('{', 'hub.json'), { code: 'settings-invalid', message: /not JSON/ });
});
