import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseHex, toHex } from './bytes.ts';
import {
  derBitString,
  derBoolean,
  DerReader,
  DER_DEPTH_MAX,
  derInteger,
  derOid,
  derSequence,
  derTime,
  derValue,
} from './der.ts';
import { CoreError } from './error.ts';

const refused = (error: unknown) => error instanceof CoreError && error.code === 'der-invalid';
const reader = (hex: string) => new DerReader(parseHex(hex, 'test'), 'test');

test('what is written reads back as the same value', () => {
  const arc = fc.bigInt({ min: 0n, max: 2n ** 100n });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: 0, max: 39 }),
      fc.array(arc),
      (root, second, rest) => {
        const oid = [root, second, ...rest.slice(0, 3)].join('.');
        assert.equal(new DerReader(derOid(oid), 'oid').oid(), oid);
      },
    ),
  );
  fc.assert(
    fc.property(fc.nat(), fc.boolean(), fc.uint8Array({ maxLength: 70_000 }), (number, flag, bytes) => {
      const written = derSequence(derInteger(number), derBoolean(flag), derBitString(bytes), derValue(0x04, bytes));
      const inner = new DerReader(written, 'test').inside();
      assert.equal(inner.smallInteger(), number);
      assert.equal(inner.boolean(), flag);
      assert.equal(toHex(inner.octetsInBitString()), toHex(bytes));
      assert.equal(toHex(inner.octetString()), toHex(bytes));
      inner.end();
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: -631_152_000, max: 253_402_300_799 }), (seconds) => {
      assert.equal(new DerReader(derTime(seconds), 'time').time(), seconds);
    }),
  );
});

test('random bytes throw only der-invalid from every reader', () => {
  const reads: readonly ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => new DerReader(bytes, 'test').any(),
    (bytes) => new DerReader(bytes, 'test').inside().inside().any(),
    (bytes) => new DerReader(derValue(0x06, bytes), 'test').oid(),
    (bytes) => new DerReader(derValue(0x02, bytes), 'test').smallInteger(),
    (bytes) => new DerReader(derValue(0x03, bytes), 'test').bitString(),
    (bytes) => new DerReader(derValue(0x17, bytes), 'test').time(),
    (bytes) => new DerReader(derValue(0x18, bytes), 'test').time(),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...reads), fc.uint8Array({ maxLength: 80 }), (read, bytes) => {
      try {
        read(bytes);
      } catch (error) {
        assert.ok(refused(error), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

const refusals: readonly [string, string, (reader: DerReader) => unknown][] = [
  ['an indefinite length', '3080', (r) => r.any()],
  ['a length in more octets than it needs', '048101ff', (r) => r.any()],
  ['a length with a leading zero octet', `04820080${'00'.repeat(128)}`, (r) => r.any()],
  ['a length of four octets', '048400000001ff', (r) => r.any()],
  ['a length past the end', '0402ff', (r) => r.any()],
  ['a multi-byte tag', '1f8100', (r) => r.any()],
  ['another type', '0401ff', (r) => r.integer()],
  ['an empty integer', '0200', (r) => r.integer()],
  ['a padded positive integer', '02020001', (r) => r.integer()],
  ['a padded negative integer', '0202ff80', (r) => r.integer()],
  ['a negative small integer', '0201ff', (r) => r.smallInteger()],
  ['a boolean of 01', '010101', (r) => r.boolean()],
  ['a bit string without its first octet', '0300', (r) => r.bitString()],
  ['a bit string with eight unused bits', '030208ff', (r) => r.bitString()],
  ['a bit string with unused bits set', '030201ff', (r) => r.bitString()],
  ['a padded arc', '06032a8001', (r) => r.oid()],
  ['an arc cut short', '06022a81', (r) => r.oid()],
  ['an empty object identifier', '0600', (r) => r.oid()],
  ['bytes left over', '05000500', (r) => [r.null(), r.end()]],
];
for (const [what, hex, read] of refusals) {
  test(`${what} is refused`, () => assert.throws(() => read(reader(hex)), refused));
}

test('nesting deeper than the limit is refused', () => {
  let nested: Uint8Array = new Uint8Array(0);
  for (let depth = 0; depth < DER_DEPTH_MAX + 2; depth++) nested = derSequence(nested);
  const descend = () => {
    for (let inner = new DerReader(nested, 'test'); !inner.done;) inner = inner.inside();
  };
  assert.throws(descend, refused);
});

test('an object identifier that is not one cannot be written', () => {
  for (const oid of ['', '1', '3.1', '1.40', '1.2.-1', '1.02', '1..2']) assert.throws(() => derOid(oid), refused, oid);
});

test('a time outside 1950 to 9999 cannot be written', () => {
  for (const seconds of [-631_152_001, 253_402_300_800, 0.5, Number.NaN])
    assert.throws(() => derTime(seconds), refused);
});
