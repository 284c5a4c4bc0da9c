import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { utf8 } from '@edgekeep/core/bytes';
import { WireError } from '../../error.ts';
import { isExcepted } from './no-proxy.ts';
import { parseProxyCredentials, parseProxyUrl, ProxyCredentials, proxyName } from './proxy.ts';
import { proxyFromEnvironment } from './environment.ts';
import { namedProxy, proxySettingsSchema } from './settings.ts';

const nameOf = (text: string) => proxyName(parseProxyUrl(text, 'test').address);
const secretOf = (credentials: ProxyCredentials | undefined) =>
  Buffer.from(/^Basic (.*)$/.exec(credentials?.authorization ?? '')?.[1] ?? '', 'base64').toString('utf8');

test('a proxy is read as curl reads it', () => {
  for (const [text, name] of [
    ['http://proxy.example:3128', 'http://proxy.example:3128'],
    ['http://proxy.example:3128/', 'http://proxy.example:3128'],
    ['proxy.example:3128', 'http://proxy.example:3128'],
    ['proxy.example', 'http://proxy.example:1080'],
    ['http://proxy.example:80', 'http://proxy.example:80'],
    ['HTTPS://Proxy.Example', 'https://proxy.example:443'],
    ['http://[2001:DB8::1]:8080', 'http://[2001:db8::1]:8080'],
    ['http://münchen.example:1', 'http://xn--mnchen-3ya.example:1'],
    [' http://10.0.0.1:3128 ', 'http://10.0.0.1:3128'],
    ['http://a:b@10.0.0.1:3128', 'http://10.0.0.1:3128'],
  ] as const)
    assert.equal(nameOf(text), name, text);
});

test('user and password of a URL are decoded, and the last @ ends them', () => {
  for (const [text, secret] of [
    ['http://user:pass@proxy.example:1', 'user:pass'],
    ['http://user@proxy.example:1', 'user:'],
    ['http://dom%5Cuser:p%40ss%3A%2f@proxy.example:1', 'dom\\user:p@ss:/'],
    ['http://user:p@ss@proxy.example:1', 'user:p@ss'],
    ['user:a:b@proxy.example:1', 'user:a:b'],
  ] as const)
    assert.equal(secretOf(parseProxyUrl(text, 'test').credentials), secret, text);
});

// SECURITY.md: NET-17
test('a URL of no proxy is refused, and the text of the refusal has nothing of a password', () => {
  for (const text of [
    '',
    'ftp://proxy.example:1',
    'socks5h://user:s3cret@proxy.example:1080',
    'http://user:s3cret@proxy.example:0',
    'http://user:s3cret@proxy.example:65536',
    'http://user:s3cret@proxy.example:99999999',
    'http://user:s3cret',
    'http://user:s3cret@',
    'http://user:s3/cret@proxy.example:1',
    'http://user:s3cret%zz@proxy.example:1',
    'http://us%3Aer:s3cret@proxy.example:1',
    'http://user:s3cret%0d%0aX@proxy.example:1',
    'http://user:s3cret@10.0.0.300:1',
    'http://user:s3cret@2001:db8::1:1',
    'http://user:s3cret@proxy.example:1/path',
  ])
    assert.throws(
      () => parseProxyUrl(text, 'the variable'),
      (error: unknown) => error instanceof WireError && !/s3|cret|user:/.test(error.message),
      text,
    );
});

// SECURITY.md: NET-17
test('credentials are one line of a file, and nothing prints them', () => {
  for (const content of ['user:pass', 'user:pass\n', 'user:pass\r\n', '\ufeffuser:pass\n'])
    assert.equal(secretOf(parseProxyCredentials(utf8(content), 'file')), 'user:pass', JSON.stringify(content));
  assert.equal(secretOf(parseProxyCredentials(utf8('DOMAIN\\user:pä:ss wörd'), 'file')), 'DOMAIN\\user:pä:ss wörd');
  for (const content of ['', 's3cret', ':s3cret', 'user:s3cret\n\n', 'user:s3cret\nother:s3cret', 'user:s3\u0000cret'])
    assert.throws(
      () => parseProxyCredentials(utf8(content), 'file'),
      (error: unknown) => error instanceof WireError && !/s3|cret/.test(error.message),
      JSON.stringify(content),
    );
  assert.throws(() => parseProxyCredentials(Uint8Array.of(0x75, 0x3a, 0xff), 'file'), { code: 'settings-invalid' });
  const credentials = new ProxyCredentials('user', 's3cret');
  for (const text of [inspect(credentials, { depth: 9, showHidden: true }), JSON.stringify({ credentials })])
    assert.doesNotMatch(text, /s3cret|dXNlcjpzM2NyZXQ/);
});

test('NO_PROXY has names, suffixes, addresses, networks and ports', () => {
  for (const [list, host, port, expected] of [
    ['*', 'hub.example', 443, true],
    ['a, * ,b', 'hub.example', 443, true],
    ['hub.example', 'hub.example', 443, true],
    ['HUB.Example.', 'hub.example', 443, true],
    ['hub.example', 'Hub.Example.', 443, true],
    ['example', 'hub.example', 443, true],
    ['.example', 'hub.example', 443, true],
    ['.hub.example', 'hub.example', 443, true],
    ['*.example', 'hub.example', 443, true],
    ['ample', 'hub.example', 443, false],
    ['b.example', 'hub.example', 443, false],
    ['x.hub.example', 'hub.example', 443, false],
    ['other, ,,hub.example', 'hub.example', 443, true],
    ['other hub.example', 'hub.example', 443, true],
    ['hub.example:443', 'hub.example', 443, true],
    ['hub.example:444', 'hub.example', 443, false],
    ['münchen.example', 'xn--mnchen-3ya.example', 443, true],
    ['10.1.2.3', '10.1.2.3', 8443, true],
    ['10.1.2.3:8443', '10.1.2.3', 8443, true],
    ['10.1.2.3:8444', '10.1.2.3', 8443, false],
    ['10.1.2.0/24', '10.1.2.3', 8443, true],
    ['10.1.2.77/24', '10.1.2.3', 8443, true],
    ['10.1.3.0/24', '10.1.2.3', 8443, false],
    ['0.0.0.0/0', '10.1.2.3', 8443, true],
    ['10.1.2.3/33', '10.1.2.3', 8443, false],
    ['2.3', '10.1.2.3', 8443, false],
    ['10.1.2.3', '::ffff:10.1.2.3', 8443, true],
    ['2001:db8::/32', '2001:db8:1::5', 8443, true],
    ['2001:DB8:0:0::5', '2001:db8::5', 8443, true],
    ['[2001:db8::5]', '2001:db8::5', 8443, true],
    ['[2001:db8::5]:8443', '2001:db8::5', 8443, true],
    ['[2001:db8::5]:1', '2001:db8::5', 8443, false],
    ['2001:db8::5', '2001:db8::6', 8443, false],
    ['::/0', '10.1.2.3', 8443, false],
    ['fe80::/10', 'fe80::1%eth0', 8443, true],
    ['localhost', '127.0.0.1', 443, false],
    ['[', 'hub.example', 443, false],
    ['/,:,::,.,[]:1,a/b', 'hub.example', 443, false],
    ['', 'hub.example', 443, false],
  ] as const)
    assert.equal(isExcepted(list, { host, port }), expected, `${list} for ${host}:${port}`);
});

test('the environment is read as curl reads it', () => {
  const target = { host: 'hub.example', port: 443 };
  const from = (environment: Readonly<Record<string, string>>) => {
    const found = proxyFromEnvironment(environment, target);
    return found && `${found.variable} ${proxyName(found.address)}`;
  };
  const [a, b] = ['http://a:1', 'http://b:1'];
  assert.equal(from({}), undefined);
  assert.equal(from({ HTTP_PROXY: a, http_proxy: a }), undefined);
  assert.equal(from({ https_proxy: a, HTTPS_PROXY: b, ALL_PROXY: b }), 'https_proxy http://a:1');
  assert.equal(from({ https_proxy: '', HTTPS_PROXY: b }), 'HTTPS_PROXY http://b:1');
  assert.equal(from({ ALL_PROXY: b, all_proxy: a }), 'all_proxy http://a:1');
  assert.equal(from({ HTTPS_PROXY: b, no_proxy: 'example' }), undefined);
  assert.equal(from({ HTTPS_PROXY: b, no_proxy: 'other', NO_PROXY: 'example' }), 'HTTPS_PROXY http://b:1');
  assert.equal(from({ HTTPS_PROXY: b, no_proxy: '', NO_PROXY: 'example' }), undefined);
  assert.throws(() => from({ HTTPS_PROXY: 'socks5://a:1' }), { code: 'settings-invalid', message: /HTTPS_PROXY/ });
  // Nobody goes through it, so nobody needs to read it.
  assert.equal(from({ HTTPS_PROXY: 'socks5://a:1', NO_PROXY: '*' }), undefined);
});

test('a settings file has no password and no guessed port, and either a URL or the environment', () => {
  const parse = (settings: object) => proxySettingsSchema.safeParse(settings);
  assert.equal(parse({ url: 'http://proxy.example:3128', credentialsFile: 'c', caFile: 'a' }).success, true);
  assert.equal(parse({ url: 'https://proxy.example' }).success, true);
  for (const [settings, why] of [
    [{ url: 'http://user:s3cret@proxy.example:1' }, /credentialsFile/],
    [{ url: 'http://proxy.example' }, /name its port/],
    [{ url: 'http://proxy.example:1', fromEnvironment: true }, /either url or fromEnvironment/],
    [{}, /either url or fromEnvironment/],
    [{ url: 'http://proxy.example:1', password: 'x' }, /password/],
  ] as const) {
    const { error } = parse(settings);
    assert.match(error?.message ?? '', why);
    assert.doesNotMatch(error?.message ?? '', /s3cret/);
  }
  const environment = { HTTPS_PROXY: 'http://a:1' };
  const target = { host: 'hub.example', port: 443 };
  const byEnvironment = proxySettingsSchema.parse({ fromEnvironment: true });
  assert.equal(namedProxy(undefined, target, environment), undefined);
  assert.equal(namedProxy(byEnvironment, target, environment)?.variable, 'HTTPS_PROXY');
  assert.equal(namedProxy(byEnvironment, target, {}), undefined);
});
