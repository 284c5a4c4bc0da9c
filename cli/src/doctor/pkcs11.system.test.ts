import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipWithoutSoftHsm, softHsmModule, testTokens } from '@edgekeep/hardware/pkcs11/testing';
import { examineSecureElements } from './pkcs11.ts';

const skip = await skipWithoutSoftHsm();

test('the binding, the installed module and its tokens are found, and no PIN is asked for', { skip }, async () => {
  await using tokens = await testTokens('press-7');
  const findings = await examineSecureElements(softHsmModule);
  assert.deepEqual(
    findings.map(({ state }) => state),
    ['ok', 'ok', 'ok'],
  );
  assert.ok(findings[1]?.found.includes(softHsmModule));
  assert.match(findings[2]?.found ?? '', /^press-7 in slot \d+: SoftHSM project SoftHSM v2, serial number [0-9a-f]+$/);
  assert.ok(!JSON.stringify(findings).includes(tokens.pin('press-7')));
});

test('a module that is not there is a warning, and without one nothing is loaded', { skip }, async () => {
  assert.equal((await examineSecureElements('/nonexistent.so'))[2]?.state, 'warning');
  assert.equal((await examineSecureElements(undefined)).length, 2);
});
