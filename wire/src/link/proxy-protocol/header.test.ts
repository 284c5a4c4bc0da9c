import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';
import { beginsAsHeader, parseProxyHeader } from './header.ts';

const hex = (...parts: readonly string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
const signature = '0d0a0d0a000d0a515549540a';
const ipv4 = 'c0000207 0a000001 c001 20fb';
const ipv6 = '20010db8000000000000000000000007 20010db8000000000000000000000001 c001 20fb';
const client = { kind: 'client', address: '192.0.2.7', port: 0xc001 };
const refused = (reason: string) => ({ kind: 'refused', reason });

const tlv = (type: number, value: string) =>
  hex(type.toString(16).padStart(2, '0'), (value.length / 2).toString(16).padStart(4, '0'), value).toString('hex');

/** A header of these extensions, with its checksum where one of them is `checksum`. */
function withExtensions(...extensions: readonly string[]): Buffer {
  const rest = `${ipv4}${extensions.join('')}`.replaceAll(' ', '');
  return hex(signature, '2111', (rest.length / 2).toString(16).padStart(4, '0'), rest);
}

function checked(...before: readonly string[]): Buffer {
  const bytes = withExtensions(...before, tlv(3, '00000000'));
  bytes.writeUInt32BE(crc32c(bytes), bytes.length - 4);
  return bytes;
}

test('the checksum is the one of RFC 9260 and of iSCSI', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe306_9283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a91_36aa);
  assert.equal(crc32c(new Uint8Array()), 0);
});

test('client addresses of both families are read in their canonical form', () => {
  assert.deepEqual(parseProxyHeader(hex(signature, '2111 000c', ipv4)), { ...client, length: 28 });
  assert.deepEqual(parseProxyHeader(hex(signature, '2121 0024', ipv6)), {
    kind: 'client',
    address: '2001:db8::7',
    port: 0xc001,
    length: 52,
  });
  const mapped = `00000000000000000000ffffc0000207 ${'00'.repeat(16)} 0001 0002`;
  const found = parseProxyHeader(hex(signature, '2121 0024', mapped));
  assert.equal(found.kind === 'client' && found.address, '192.0.2.7');
});

test('what comes after the header is not a part of it', () => {
  const again = hex(signature, '2111 000c', ipv4);
  assert.deepEqual(parseProxyHeader(Buffer.concat([again, again])), { ...client, length: 28 });
});

test('a balancer that speaks for itself, or does not know the client, gives no address', () => {
  assert.deepEqual(parseProxyHeader(hex(signature, '2000 0000')), { kind: 'local', length: 16 });
  assert.deepEqual(parseProxyHeader(hex(signature, '20ff 0003 ffffff')), { kind: 'local', length: 19 });
  assert.deepEqual(parseProxyHeader(hex(signature, '2111 000c', ipv4).fill(0x20, 12, 13)), {
    kind: 'local',
    length: 28,
  });
  assert.deepEqual(parseProxyHeader(hex(signature, '2100 0000')), { kind: 'unspecified', length: 16 });
  assert.deepEqual(parseProxyHeader(hex(signature, '2100 0002 abcd')), { kind: 'unspecified', length: 18 });
  const unix = hex(signature, '2131 00d8', '00'.repeat(216));
  assert.deepEqual(parseProxyHeader(unix), { kind: 'unspecified', length: 232 });
});

test('extensions are skipped, and a checksum is verified', () => {
  const alpn = tlv(1, Buffer.from('h2').toString('hex'));
  const ofAws = tlv(0xea, `01${Buffer.from('vpce-08d2bf15fac5001c9').toString('hex')}`);
  const whole = withExtensions(alpn, ofAws, tlv(4, ''), tlv(0x20, '0700000000'));
  assert.deepEqual(parseProxyHeader(whole), { ...client, length: whole.length });
  const good = checked(alpn, ofAws);
  assert.deepEqual(parseProxyHeader(good), { ...client, length: good.length });
  for (let at = 16; at < good.length; at += 1) {
    // The type of the checksum: with another one there is none.
    if (at === good.length - 7) continue;
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ 0x01;
    assert.equal(parseProxyHeader(bad).kind, 'refused', `byte ${at}`);
  }
  const wrong = Buffer.from(good);
  wrong[20] = 99;
  assert.deepEqual(parseProxyHeader(wrong), refused('checksum'));
  assert.deepEqual(parseProxyHeader(withExtensions(tlv(3, '0000'))), refused('malformed'));
  assert.deepEqual(parseProxyHeader(checked(tlv(3, '00000000'))), refused('malformed'));
});

test('a header is waited for byte by byte', () => {
  const whole = checked(tlv(1, '6832'));
  for (let length = 0; length < whole.length; length += 1) {
    assert.deepEqual(parseProxyHeader(whole.subarray(0, length)), { kind: 'incomplete' }, `${length} bytes`);
    assert.equal(beginsAsHeader(whole.subarray(0, length)), true);
  }
});

// SECURITY.md: NET-18
test('other bytes, version 1 and everything outside the format are refused by name', () => {
  for (const [bytes, reason] of [
    [hex('16030100'), 'no-header'],
    [Buffer.from('GET / HTTP/1.1\r\n'), 'no-header'],
    [Buffer.from('PROXX'), 'no-header'],
    [hex('0d0a0d0a000d0a515549540b'), 'no-header'],
    [Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n'), 'version-1'],
    [Buffer.from('PROXY UNKNOWN\r\n'), 'version-1'],
    [hex(signature, '1111 000c', ipv4), 'malformed'],
    [hex(signature, '3111 000c', ipv4), 'malformed'],
    [hex(signature, '2211 000c', ipv4), 'malformed'],
    [hex(signature, '2112 000c', ipv4), 'malformed'],
    [hex(signature, '2122 0024', ipv6), 'malformed'],
    [hex(signature, '2141 000c', ipv4), 'malformed'],
    [hex(signature, '2101 000c', ipv4), 'malformed'],
    [hex(signature, '2111 000b', ipv4), 'malformed'],
    [hex(signature, '2121 000c', ipv4), 'malformed'],
    [hex(signature, '2111 4001'), 'malformed'],
    [hex(signature, '2111 ffff'), 'malformed'],
    [withExtensions('01'), 'malformed'],
    [withExtensions('010005aa'), 'malformed'],
  ] as const)
    assert.deepEqual(parseProxyHeader(bytes), refused(reason), bytes.toString('hex'));
});
