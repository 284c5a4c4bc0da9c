import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ByteWriter, concat, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { digest } from './algorithm.ts';
import { encodeCommand, parseParameters, parseResponse } from './command.ts';
import { getRandom } from './commands/lifecycle.ts';
import { authorizeCommand, emptyPassword, openResponse, sessionAttributes, type SessionUse } from './session.ts';

const command = getRandom(32);

function use(attributes: number): SessionUse {
  const session = { handle: 0x03000000, hash: 'sha256', key: randomBytes(32), nonceTpm: randomBytes(32) } as const;
  return { session, nonceCaller: randomBytes(32), attributes };
}

/** A TPM's answer: an HMAC over the parameters with its new nonce. */
function answerTo({ session, nonceCaller, attributes }: SessionUse, parameters: Uint8Array) {
  const nonce = randomBytes(32);
  const codes = new ByteWriter().u32(0).u32(command.code).finish();
  const hmac = createHmac('sha256', session.key)
    .update(concat(digest('sha256', codes, parameters), nonce, nonceCaller, Uint8Array.of(attributes)))
    .digest();
  return { nonce, attributes, hmac };
}

test('an answer whose HMAC fits is taken, and the nonce rolls', () => {
  const used = use(sessionAttributes.continueSession);
  const parameters = new ByteWriter().sized16(randomBytes(32)).finish();
  const answer = answerTo(used, parameters);
  const opened = openResponse(command, used, parameters, answer);
  assert.equal(toHex(opened.parameters), toHex(parameters));
  assert.equal(toHex(opened.nonceTpm), toHex(answer.nonce));
});

test('an answer with a byte changed in parameters, nonce, attributes or HMAC is refused', () => {
  const used = use(sessionAttributes.continueSession);
  const parameters = new ByteWriter().sized16(randomBytes(32)).finish();
  const answer = answerTo(used, parameters);
  const flip = (bytes: Uint8Array) => bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte));
  const altered = [
    [flip(parameters), answer],
    [parameters, { ...answer, nonce: flip(answer.nonce) }],
    [parameters, { ...answer, hmac: flip(answer.hmac) }],
    [parameters, { ...answer, hmac: new Uint8Array(0) }],
    [parameters, { ...answer, attributes: 0 }],
  ] as const;
  for (const [changed, given] of altered) {
    assert.throws(() => openResponse(command, used, changed, given), CoreError);
  }
});

test('an encrypted first command parameter keeps its length and hides its contents', () => {
  const secret = randomBytes(32);
  const used = use(sessionAttributes.continueSession | sessionAttributes.decrypt);
  const secretive = { ...command, parameters: new ByteWriter().sized16(secret).u16(7).finish() };
  const { parameters, entry } = authorizeCommand(secretive, used);
  assert.equal(parameters.length, secretive.parameters.length);
  assert.equal(toHex(parameters.subarray(34)), '0007');
  assert.ok(!toHex(parameters).includes(toHex(secret)));
  assert.equal(entry.hmac.length, 32);
});

test('a session without a key cannot encrypt', () => {
  const { session, ...rest } = use(sessionAttributes.encrypt);
  const unsalted = { ...rest, session: { ...session, key: new Uint8Array(0) } };
  const answer = { nonce: randomBytes(32), attributes: sessionAttributes.encrypt, hmac: new Uint8Array(0) };
  const parameters = new ByteWriter().sized16(randomBytes(8)).finish();
  assert.throws(() => openResponse(command, unsalted, parameters, answer), CoreError);
});

test('a command has the tag, length and authorization area of the standard', () => {
  assert.equal(toHex(encodeCommand(command, [])), '80010000000c0000017b0020');
  const authorized = encodeCommand({ ...command, handles: [] }, [emptyPassword]);
  assert.equal(toHex(authorized), '8002000000190000017b000000094000000900000100000020');
});

test('a response with a wrong length, a wrong tag or bytes behind it is refused', () => {
  const good = Buffer.from('80010000000e000000000002abcd', 'hex');
  const response = parseResponse(good, command, 0);
  assert.ok(response.kind === 'success');
  assert.equal(toHex(parseParameters(command, response.parameters, 0)), 'abcd');
  const bad = [
    '80010000000f000000000002abcd',
    '80020000000e000000000002abcd',
    '8001000000',
    '80010000000e0000010100000000',
    '',
  ];
  for (const text of bad) assert.throws(() => parseResponse(Buffer.from(text, 'hex'), command, 0), CoreError, text);
  assert.throws(() => parseParameters(command, Buffer.from('0002abcdef', 'hex'), 0), CoreError);
  assert.deepEqual(parseResponse(Buffer.from('80010000000a00000922', 'hex'), command, 0), {
    kind: 'error',
    responseCode: 0x922,
  });
});
