import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalAddress, networkContains, parseAddress, parseNetwork } from './network.ts';

function contains(network: string, address: string): boolean {
  const parsed = parseNetwork(network);
  const asked = parseAddress(address);
  assert.ok(parsed !== undefined && asked !== undefined, `${network} ${address}`);
  return networkContains(parsed, asked);
}

test('a network contains exactly the addresses that begin with its bits', () => {
  for (const [network, inside, outside] of [
    ['10.1.0.0/16', '10.1.255.255', '10.2.0.0'],
    ['127.0.0.2/32', '127.0.0.2', '127.0.0.3'],
    ['0.0.0.0/0', '203.0.113.9', '2001:db8::1'],
    ['2001:db8::/32', '2001:db8:ffff::1', '2001:db9::'],
    ['fe80::/10', 'febf::1', 'fec0::1'],
    ['::1/128', '::1', '::2'],
    ['64:ff9b::192.0.2.0/120', '64:ff9b::c000:2ff', '64:ff9b::c000:300'],
  ] as const) {
    assert.equal(contains(network, inside), true, `${network} ${inside}`);
    assert.equal(contains(network, outside), false, `${network} ${outside}`);
  }
});

test('an IPv4 address that is mapped into IPv6 is an IPv4 address', () => {
  assert.equal(contains('10.0.0.0/8', '::ffff:10.1.2.3'), true);
  assert.equal(contains('::/0', '::ffff:10.1.2.3'), false);
  assert.equal(canonicalAddress('::FFFF:10.1.2.3'), '10.1.2.3');
  assert.equal(canonicalAddress('2001:db8::1'), '2001:db8::1');
});

test('text that does not name a network is refused', () => {
  for (const text of [
    '',
    '10.0.0.0',
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '010.0.0.0/8',
    '10.0.0/24',
    '10.0.0.0/8/8',
    ' 10.0.0.0/8',
    '2001:db8::/129',
    '2001:db8::1/32',
    'fe80::%eth0/64',
    '::ffff:10.0.0.0/104',
    '999.0.0.0/8',
    'graz/24',
  ]) {
    assert.equal(parseNetwork(text), undefined, text);
  }
  for (const text of ['', 'graz', '10.0.0.256', 'fe80::1%eth0', '::ffff:10.0.0.300', '1::2::3']) {
    assert.equal(parseAddress(text), undefined, text);
  }
});
