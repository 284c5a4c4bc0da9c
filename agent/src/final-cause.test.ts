import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HardwareError } from '@edgekeep/hardware/error';
import { WireError } from '@edgekeep/wire/error';
import { AgentError } from './error.ts';
import { connectionFailure } from './final-cause.ts';

const kindOf = (error: unknown) => {
  const { event } = connectionFailure(error);
  return event.kind === 'failed' || event.kind === 'stopped' ? `${event.kind} ${event.code}` : event.kind;
};

test('only a hub that cannot be reached is called so; a cause of this device has its own code', () => {
  assert.equal(kindOf(new WireError('unreachable', 'refused')), 'hub-unreachable');
  assert.equal(kindOf(new AgentError('hub-refused', '503')), 'hub-unreachable');
  assert.equal(kindOf(new HardwareError('tpm-locked-out', 'locked')), 'failed tpm-locked-out');
  assert.equal(kindOf(new TypeError('ours')), 'failed unexpected');
});

test('what cannot heal is said once, as the end of the attempts', () => {
  for (const code of [
    'tpm-failure-mode',
    'tpm-endorsement-password',
    'tpm-bank-missing',
    'pkcs11-pin-refused',
  ] as const)
    assert.equal(kindOf(new HardwareError(code, 'no')), `stopped ${code}`);
  assert.equal(
    kindOf(new AgentError('endorsement-certificate-missing', 'none')),
    'stopped endorsement-certificate-missing',
  );
});
