import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@edgekeep/core/canonical/network';
import { receiverAddresses, refusalOf } from './receiver-address.ts';

const own = ['10.0.0.0/8', '127.0.0.0/8', '::1/128', 'fc00::/7'];
const why = (text: string, permitted: readonly string[] = []) => {
  const address = parseAddress(text);
  return address === undefined ? assert.fail(text) : refusalOf(address, permitted);
};

// SECURITY.md: HUB-114
test('a receiver is at a public address; a private one, or one of the machine itself, where a setting permits it', () => {
  for (const text of ['93.184.216.34', '1.1.1.1', '2606:4700::1111', '64:ff9b::101:101', '::ffff:1.1.1.1'])
    assert.equal(why(text), undefined, text);
  for (const text of ['10.1.2.3', '127.0.0.1', '::1', 'fd12:3456::1', '::ffff:127.0.0.1', '64:ff9b::a01:203']) {
    assert.match(why(text) ?? '', /private or loopback/, text);
    assert.equal(why(text, own), undefined, text);
  }
  assert.match(why('192.168.1.1', own) ?? '', /no setting permits/);
  assert.match(why('172.31.255.255') ?? '', /private/);
  assert.match(why('100.64.0.1') ?? '', /private/);
});

// SECURITY.md: HUB-114
test('no setting opens link-local addresses, metadata services, multicast and what hides another address', () => {
  const all = ['0.0.0.0/0', '::/0'];
  for (const text of [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '168.63.129.16',
    '100.100.100.200',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fe80::1',
    'fec0::1',
    '0.0.0.0',
    '::',
    '0.1.2.3',
    '224.0.0.1',
    'ff02::1',
    '255.255.255.255',
    '240.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '203.0.113.9',
    '2001:db8::1',
    '2001::1',
    '2002:a9fe:a9fe::1',
    '::7f00:1',
    '::a9fe:a9fe',
    '100::1',
    '64:ff9b:1::a9fe:a9fe',
    '::ffff:0:a9fe:a9fe',
  ])
    assert.notEqual(why(text, all), undefined, text);
});

// SECURITY.md: HUB-114
test('a name is asked for once, and only its addresses that may be connected to count', async () => {
  let asked = 0;
  const resolve = (addresses: readonly string[]) => async () => {
    asked += 1;
    return addresses.map((address) => ({ address }));
  };
  const mixed = await receiverAddresses('r.example', [], resolve(['169.254.169.254', '1.1.1.1', '10.0.0.1']));
  assert.deepEqual(mixed, [{ address: '1.1.1.1', family: 4 }]);
  assert.equal(asked, 1);
  await assert.rejects(receiverAddresses('r.example', [], resolve(['10.0.0.1', 'fe80::1%eth0'])), {
    name: 'RangeError',
    message: /does not connect to r\.example \(10\.0\.0\.1: it is private .*link-local/,
  });
  await assert.rejects(receiverAddresses('r.example', [], resolve([])), RangeError);
  await assert.rejects(receiverAddresses('127.0.0.1', [], resolve(['1.1.1.1'])), RangeError);
});
