// Two spellings of one value are one, and an ambiguous value is refused (docs/design/identities.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressText, canonicalAddress, canonicalNetwork, parseAddress } from './network.ts';
import { parseDateTime } from './date-time.ts';
import { canonicalHostName } from './host-name.ts';
import { canonicalSerialNumber, canonicalSha256 } from './serial-number.ts';
import { canonicalText, textProblem } from './text.ts';

const bits6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });

/** One IPv6 address in a spelling that the numbers choose: case, leading zeros, and where zeros are left out. */
function spelled(bits: bigint, upper: boolean, padded: boolean, shorten: number): string {
  const groups = Array.from({ length: 8 }, (_, at) => {
    const group = ((bits >> BigInt(112 - at * 16)) & 0xffffn).toString(16);
    const text = padded ? group.padStart(4, '0') : group;
    return upper ? text.toUpperCase() : text;
  });
  const zeros = groups.findIndex((group, at) => at >= shorten && /^0+$/.test(group));
  if (zeros === -1 || shorten > 7) return groups.join(':');
  const end = groups.findIndex((group, at) => at > zeros && !/^0+$/.test(group));
  return `${groups.slice(0, zeros).join(':')}::${end === -1 ? '' : groups.slice(end).join(':')}`;
}

test('every spelling of an IPv6 address has one text, and that text is its own', () => {
  const sparse = fc.array(fc.constantFrom(0n, 0n, 0n, 1n, 0xdb8n, 0xffffn), { minLength: 8, maxLength: 8 });
  const zeroed = sparse.map((groups) => groups.reduce((bits, group) => (bits << 16n) | group, BigInt(0)));
  fc.assert(
    fc.property(
      fc.oneof(bits6, zeroed),
      fc.boolean(),
      fc.boolean(),
      fc.nat({ max: 9 }),
      (bits, upper, padded, shorten) => {
        const text = spelled(bits, upper, padded, shorten);
        const canonical = canonicalAddress(text);
        assert.equal(canonical, canonicalAddress(spelled(bits, false, false, 9)), text);
        assert.equal(canonicalAddress(canonical ?? ''), canonical);
        // The URL standard writes addresses as in RFC 5952, and is another implementation.
        if (bits >> 32n !== 0xffffn) assert.equal(`[${canonical}]`, new URL(`http://[${text}]/`).hostname);
      },
    ),
  );
});

test('an address that is read and written is the same address', () => {
  fc.assert(
    fc.property(bits6, (bits) => {
      const parsed = parseAddress(addressText({ family: 6, bits }));
      const expected = bits >> 32n === 0xffffn ? { family: 4, bits: bits & 0xffff_ffffn } : { family: 6, bits };
      assert.deepEqual(parsed, expected);
    }),
  );
});

test('an IPv4 address is one, mapped into IPv6 in dots or in hex, and with or without a zone', () => {
  for (const text of ['10.1.2.3', '::ffff:10.1.2.3', '::FFFF:a01:203', '0:0:0:0:0:ffff:0a01:0203']) {
    assert.equal(canonicalAddress(text), '10.1.2.3', text);
  }
  assert.equal(canonicalAddress('fe80::1%eth0'), 'fe80::1');
  for (const text of ['010.1.2.3', '10.1.2', '0x0a.1.2.3', '10.1.2.3 ', '1::2::3', 'graz', '']) {
    assert.equal(canonicalAddress(text), undefined, text);
  }
});

test('three spellings of a network are one, and a network with host bits or a mapped one is refused', () => {
  for (const text of [
    '2001:db8::/32',
    '2001:0db8::/32',
    '2001:DB8::/32',
    '2001:db8:0:0:0:0:0:0/32',
    '2001:db8::0.0.0.0/32',
  ]) {
    assert.equal(canonicalNetwork(text), '2001:db8::/32', text);
  }
  assert.equal(canonicalNetwork('10.1.0.0/16'), '10.1.0.0/16');
  assert.equal(canonicalNetwork('0:0::0/0'), '::/0');
  for (const text of [
    '2001:db8::1/32',
    '10.1.0.1/16',
    '010.1.0.0/16',
    '10.1.0.0/016',
    '::ffff:10.1.0.0/16',
    '::ffff:10.1.0.0/112',
    '::ffff:a01:0/112',
    '10.1.0.0',
    '10.1.0.0/33',
  ]) {
    assert.equal(canonicalNetwork(text), undefined, text);
  }
});

test('a time that does not exist is refused, and is never another day', () => {
  for (const text of [
    '2026-02-30',
    '2026-02-29',
    '2026-11-31',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00',
    '1900-02-29',
    '2026-11-29T24:00Z',
    '2026-11-29T23:60Z',
    '2026-06-30T23:59:60Z',
    '2016-12-31T23:59:60Z',
    '2026-11-29T10:00',
    '2026-11-29T10:00+24:00',
    '2026-11-29T10:00+01:60',
    '2026-11-29 10:00Z',
    '2026-1-2',
    '26-01-02',
    '2026-11-29t10:00z',
    '2026-11-29T10:00:00.5Z',
    '+002026-11-29',
  ]) {
    assert.equal(parseDateTime(text), undefined, text);
  }
  assert.equal(parseDateTime('2024-02-29'), Date.UTC(2024, 1, 29));
  assert.equal(parseDateTime('2000-02-29T10:00Z'), Date.UTC(2000, 1, 29, 10));
  assert.equal(parseDateTime('2027-03-01T06:00:30+02:00'), Date.UTC(2027, 2, 1, 4, 0, 30));
  assert.equal(parseDateTime('2027-03-01T06:00-05:30'), Date.UTC(2027, 2, 1, 11, 30));
});

test('every day that exists is read as itself', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }), (date) => {
      const day = date.toISOString().slice(0, 10);
      assert.equal(new Date(parseDateTime(day) ?? Number.NaN).toISOString().slice(0, 10), day);
    }),
  );
});

test('two spellings of a text are one: composed or not, with whichever spaces', () => {
  const part = fc.constantFrom(
    'é',
    'e\u0301',
    'Å',
    '\u212b',
    'a',
    ' ',
    '\u00a0',
    '\u2003',
    'ß',
    '한',
    '\u1112\u1161\u11ab',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      const canonical = canonicalText(text);
      for (const form of ['NFC', 'NFD'] as const)
        assert.equal(canonicalText(` ${text.normalize(form)}\u00a0`), canonical);
      assert.equal(canonicalText(canonical), canonical);
    }),
  );
});

test('characters that cannot be seen are refused by their number, and words of every script are not', () => {
  for (const hidden of [
    '\u202e',
    '\u2066',
    '\u2069',
    '\u200e',
    '\u061c',
    '\u200b',
    '\u00ad',
    '\ufeff',
    '\u2028',
    '\u0000',
    '\u0007',
    '\u0085',
    '\n',
    '\u{e0041}',
    '\u3164',
  ]) {
    const code = (hidden.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    assert.match(textProblem(`pre${hidden}ss`) ?? '', new RegExp(`U\\+${code}`), code);
  }
  assert.match(textProblem('\ud800') ?? '', /surrogate/);
  assert.equal(textProblem('line 1\n\tline 2', { lines: true }), undefined);
  for (const text of ['Prüfstand 3', '製造ライン', 'می\u200cخواهم', 'क्\u200dष', 'עברית', 'العربية', '👩\u200d🔧']) {
    assert.equal(textProblem(text), undefined, text);
  }
});

test('a host name is one in any case, with the dot of the root, and as a U-label', () => {
  for (const text of ['hub.example', 'HUB.Example', 'hub.example.'])
    assert.equal(canonicalHostName(text), 'hub.example');
  assert.equal(canonicalHostName('Bücher.example'), 'xn--bcher-kva.example');
  assert.equal(canonicalHostName('xn--bcher-kva.EXAMPLE'), 'xn--bcher-kva.example');
  assert.equal(canonicalHostName('2001:DB8::1'), '2001:db8::1');
  assert.equal(canonicalHostName('[2001:db8:0::1]'), '2001:db8::1');
  for (const text of [
    '',
    '.',
    'a..b',
    'hub.example..',
    '-a.example',
    'a b',
    'a/b',
    'hub:443',
    '127.1',
    '0x7f.1',
    '1.2.3.4.5',
    `${'a'.repeat(64)}.example`,
    'fe80::1%eth0',
    '%61',
  ]) {
    assert.equal(canonicalHostName(text), undefined, text);
  }
});

test('a serial number is one with colons, in capitals and with leading zeros', () => {
  for (const text of ['0A:1B:2C', '0a1b2c', 'a1b2c', '000A1B2C', '0A 1B 2C']) {
    assert.equal(canonicalSerialNumber(text), 'a1b2c', text);
  }
  assert.equal(canonicalSerialNumber('00'), '0');
  for (const text of ['', '0x0a', '0a:1', 'g1', ':0a', '0a:', 'ab:cd1', 'f'.repeat(41)]) {
    assert.equal(canonicalSerialNumber(text), undefined, text);
  }
  const digest = 'ab'.repeat(32);
  assert.equal(canonicalSha256(digest.toUpperCase()), digest);
  assert.equal(canonicalSha256(digest.match(/../g)?.join(':') ?? ''), digest);
  assert.equal(canonicalSha256(digest.slice(2)), undefined);
});
