import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import { loadBinding } from './binding.ts';
import { hardwareErrorOf } from './cryptoki-error.ts';
import { assertPinMayBeTried, chooseToken, type Token } from './slots.ts';

function token(label: string, slot: number, change: Partial<Token> = {}): Token {
  const description = { label, manufacturer: 'maker', model: 'chip', serialNumber: `${slot}` };
  const flags = { initialized: true, loginRequired: true, pinFinalTry: false, pinLocked: false };
  return { slot, handle: Buffer.alloc(8), description, ...flags, ...change };
}

function withCode(code: HardwareErrorCode) {
  return (error: unknown) => error instanceof HardwareError && error.code === code;
}

test('a token is chosen by label, by slot, by both, or because it is the only one', () => {
  const tokens = [token('a', 1), token('b', 2), token('b', 3), token('', 4, { initialized: false })];
  assert.equal(chooseToken(tokens, { label: 'a' }).slot, 1);
  assert.equal(chooseToken(tokens, { slot: 2 }).slot, 2);
  assert.equal(chooseToken(tokens, { label: 'b', slot: 3 }).slot, 3);
  assert.equal(chooseToken(tokens.slice(0, 1), {}).slot, 1);
  for (const choice of [{}, { label: 'b' }, { label: 'c' }, { slot: 4 }, { label: 'a', slot: 2 }]) {
    assert.throws(() => chooseToken(tokens, choice), withCode('pkcs11-token-missing'), JSON.stringify(choice));
  }
});

test('a PIN that is locked or has one try left is not tried', () => {
  assertPinMayBeTried(token('a', 1));
  for (const flag of ['pinLocked', 'pinFinalTry']) {
    assert.throws(() => assertPinMayBeTried(token('a', 1, { [flag]: true })), withCode('pkcs11-pin-refused'), flag);
  }
});

test('without the native package a secure element is refused by name, and the message says what to install', async () => {
  const absent = loadBinding(() => Promise.reject(new Error("Cannot find package 'pkcs11js'")));
  await assert.rejects(absent, (error: unknown) => {
    return withCode('pkcs11-binding-missing')(error) && error instanceof Error && /setup.mjs/.test(error.message);
  });
});

test('return values become codes: gone, PIN, anything else', () => {
  const codes: readonly (readonly [string, HardwareErrorCode])[] = [
    ['CKR_DEVICE_REMOVED', 'pkcs11-token-missing'],
    ['CKR_SESSION_HANDLE_INVALID:179', 'pkcs11-token-missing'],
    ['CKR_PIN_LOCKED', 'pkcs11-pin-refused'],
    ['CKR_PIN_INCORRECT:160\n    at C_Login', 'pkcs11-pin-refused'],
    ['CKR_GENERAL_ERROR', 'pkcs11-failed'],
    ['something else', 'pkcs11-failed'],
  ];
  for (const [message, code] of codes) assert.equal(hardwareErrorOf(new Error(message), 'testing').code, code, message);
  const own = new HardwareError('wrapped-key-refused', 'ours');
  assert.equal(hardwareErrorOf(own, 'testing'), own);
});
