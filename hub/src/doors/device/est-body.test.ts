import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { HubError } from '../../common/error.ts';
import { encodeEstBody, parseBasic, parseEstBody } from './est-body.ts';

const named = (error: unknown) => error instanceof CoreError || (error instanceof HubError && error.status === 400);

test('a body that was written reads as what it was written from, however its lines are broken', () => {
  const space = fc.constantFrom('', '\n', '\r\n', ' ', '\t');
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.array(space, { minLength: 3 }), (bytes, spaces) => {
      const written = encodeEstBody(bytes);
      assert.equal(toHex(parseEstBody(Buffer.from(written))), toHex(bytes));
      const broken = written
        .split('')
        .map((character, at) => character + (spaces[at % spaces.length] ?? ''))
        .join('');
      assert.equal(toHex(parseEstBody(Buffer.from(broken))), toHex(bytes));
    }),
  );
});

test('a body is one line: some clients read no line ends', () => {
  assert.match(encodeEstBody(new Uint8Array(200)), /^[A-Za-z0-9+/]{267}=$/);
});

test('every other body is refused by name', () => {
  const wrong = ['', ' \r\n', 'QQ', 'QQ=', 'QR==', 'Q Q = = =', '-----BEGIN CERTIFICATE REQUEST-----', 'a-_b'];
  for (const text of wrong) assert.throws(() => parseEstBody(Buffer.from(text)), named, text);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        parseEstBody(bytes);
      } catch (error) {
        assert.ok(named(error), String(error));
      }
    }),
  );
});

test('HTTP Basic is read as RFC 7617 says: the password may hold colons, the user name not', () => {
  const header = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  assert.deepEqual(parseBasic(header('pump-1:ee_a:b')), { user: 'pump-1', password: 'ee_a:b' });
  assert.deepEqual(parseBasic(header(':token')), { user: '', password: 'token' });
  assert.equal(parseBasic(undefined), undefined);
  for (const wrong of ['', 'Basic', 'Basic !', 'Bearer YTpi', header('no colon'), 'Basic YTpi=', 'Basic /zo=']) {
    assert.throws(() => parseBasic(wrong), named, wrong);
  }
});
