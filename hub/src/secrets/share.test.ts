import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HubError } from '../common/error.ts';
import {
  combineShares,
  encodeShare,
  encodeShareFile,
  parseShare,
  parseShareFile,
  type Share,
  splitSecret,
} from './share.ts';

const refused = { code: 'unlock-refused' };
const secret = randomBytes(32);
const shares = await splitSecret(secret, 3, 5);
const share = (at: number): Share => shares[at] ?? assert.fail();

test('any three of five shares give the secret back, in any order', async () => {
  for (const chosen of [
    [0, 1, 2],
    [4, 2, 0],
    [1, 3, 4],
    [3, 2, 1, 0],
  ]) {
    assert.deepEqual(Buffer.from(await combineShares(chosen.map(share))), secret);
  }
});

test('two of three needed shares, or one share three times, are refused', async () => {
  await assert.rejects(combineShares([share(0), share(1)]), refused);
  await assert.rejects(combineShares([share(0), share(0), share(1)]), refused);
  await assert.rejects(combineShares([]), refused);
});

test('shares of two splits are refused together', async () => {
  const others = await splitSecret(secret, 3, 5);
  await assert.rejects(combineShares([share(0), share(1), others[2] ?? assert.fail()]), refused);
});

test('the library agrees with an interpolation written from the definition of GF(2^8)', () => {
  const points = [share(4), share(0), share(2)];
  const found = points[0]?.value.map((_, byte) =>
    points.reduce((sum, { at, value }) => {
      const others = points.filter((other) => other.at !== at);
      const basis = others.reduce((product, other) => multiply(product, multiply(other.at, invert(other.at ^ at))), 1);
      return sum ^ multiply(basis, value[byte] ?? 0);
    }, 0),
  );
  assert.deepEqual(Buffer.from(found ?? []), secret);
});

test('two splits of one secret have nothing in common', async () => {
  const texts = [...(await splitSecret(secret, 2, 4)), ...(await splitSecret(secret, 2, 4))].map(encodeShare);
  const groups = texts.flatMap((text) => text.split('-').slice(4, -1));
  assert.equal(new Set(groups).size, groups.length);
});

test('a share is read as it was written, in capitals, and from its file', () => {
  for (const each of shares) {
    assert.deepEqual(plain(parseShare(encodeShare(each))), plain(each));
    assert.deepEqual(plain(parseShare(`  ${encodeShare(each).toUpperCase()}\r\n`)), plain(each));
    assert.deepEqual(plain(parseShareFile(encodeShareFile(each, 1))), plain(each));
  }
});

test('a share with any digit changed is refused, and so is half of one', () => {
  const text = encodeShare(share(0));
  for (let at = 8; at < text.length; at += 1) {
    const digit = text[at] ?? '';
    if (digit === '-') continue;
    const changed = `${text.slice(0, at)}${digit === '0' ? '1' : '0'}${text.slice(at + 1)}`;
    assert.throws(() => parseShare(changed), refused);
  }
  assert.throws(() => parseShare(text.slice(0, -9)), refused);
  assert.throws(() => parseShareFile(`${text}\n${text}\n`), refused);
});

test('a share at place 0, which would be the secret itself, is refused', () => {
  assert.throws(() => parseShare(encodeShare({ ...share(0), at: 0 })), refused);
});

test('any text that is given for a share throws only the named error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^ekshare(-[0-9a-f]{8}){12}$/)), (text) => {
      try {
        parseShareFile(text);
      } catch (error) {
        assert.ok(error instanceof HubError && error.code === 'unlock-refused');
      }
    }),
  );
});

const plain = (each: Share) => ({ ...each, set: Buffer.from(each.set), value: Buffer.from(each.value) });

/** Multiplication modulo x^8 + x^4 + x^3 + x + 1, bit by bit. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11b : 0);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

function invert(a: number): number {
  for (let b = 1; b < 256; b += 1) if (multiply(a, b) === 1) return b;
  throw new RangeError('0 has no inverse');
}
