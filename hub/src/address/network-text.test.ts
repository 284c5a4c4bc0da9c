import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedNetwork, networkHas } from './network-text.ts';

test('a network has one text, in whichever spelling it came', () => {
  for (const [text, network] of [
    ['203.0.113.9', '203.0.113.9/32'],
    ['::ffff:203.0.113.9', '203.0.113.9/32'],
    ['203.0.113.0/24', '203.0.113.0/24'],
    ['2001:DB8:0:1::5', '2001:db8:0:1::/64'],
    ['2001:0db8:0000:0001:0000:0000:0000:0005', '2001:db8:0:1::/64'],
    ['2001:0DB8::/32', '2001:db8::/32'],
    ['::1', '::/64'],
  ] as const)
    assert.equal(namedNetwork(text), network, text);
});

test('text that does not name a network, has host bits, or would cut off a continent is refused', () => {
  for (const text of [
    '',
    'here',
    '203.0.113.9/24',
    '0.0.0.0/0',
    '10.0.0.0/7',
    '::/0',
    '2001::/15',
    '1.2.3.4/33',
    'fe80::1%eth0',
  ])
    assert.throws(() => namedNetwork(text), { code: 'request-invalid' }, text);
});

test('a network has the addresses that begin with its bits, mapped ones as well', () => {
  assert.equal(networkHas('203.0.113.0/24', '::ffff:203.0.113.77'), true);
  assert.equal(networkHas('203.0.113.0/24', '203.0.114.1'), false);
  assert.equal(networkHas('2001:db8:0:1::/64', '2001:db8:0:1:ffff::1'), true);
});
