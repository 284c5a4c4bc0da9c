// The lease counter and the terms, with tpm2-tools as a second implementation and as an owner's tool to define the counter.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { leaseCounter } from '@edgekeep/core/access/lease-counter';
import { leaseTermSteps, policyLeaseTerms } from '@edgekeep/core/access/lease-terms';
import { toHex } from '@edgekeep/core/bytes';
import { emptyPolicy } from '@edgekeep/core/tpm/policy';
import { leaseKey, opensRight } from './testing-lease.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators, tpm2 } from './testing.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';

const skip = await skipWithout(...simulatorTools, 'tpm2_quote');
const index = `0x${leaseCounter.handle.toString(16).padStart(8, '0')}`;
let simulators: TestSimulators;

before(async () => {
  if (skip === false) simulators = await testSimulators();
});
after(() => simulators?.[Symbol.asyncDispose]());

test('where the owner has a password, a counter that the owner defined is used', { skip }, async () => {
  const simulator = await simulators.start('owned');
  const run = (tool: string, ...args: readonly string[]) => tpm2(simulator, simulators.folder, tool, ...args);
  await run('changeauth', '-c', 'owner', 'password');
  {
    await using device = await TpmRootOfTrust.open(simulator.address);
    await assert.rejects(device.endLeases(), { name: 'HardwareError', code: 'tpm-owner-password' });
  }
  // As spec/tpm.md defines.
  await run('nvdefine', '-C', 'o', '-P', 'password', '-s', '8', '-a', 'nt=counter|authread|authwrite|no_da', index);
  await using device = await TpmRootOfTrust.open(simulator.address);
  assert.ok(await opensRight(device, await leaseKey(device, 3_600_000n)));
});

test('something else in the place of the counter is not taken for it', { skip }, async () => {
  const simulator = await simulators.start('taken');
  await tpm2(simulator, simulators.folder, 'nvdefine', '-C', 'o', '-s', '8', '-a', 'authread|authwrite', index);
  await using device = await TpmRootOfTrust.open(simulator.address);
  await assert.rejects(device.certifyLeaseCounter(new Uint8Array(32)), { code: 'lease-counter-taken' });
});

test('the Name of the counter and the policy of the terms are those of tpm2-tools', { skip }, async () => {
  const simulator = await simulators.start('agreeing');
  const run = (tool: string, ...args: readonly string[]) => tpm2(simulator, simulators.folder, tool, ...args);
  {
    await using device = await TpmRootOfTrust.open(simulator.address);
    await device.endLeases();
  }
  assert.match(await run('nvreadpublic', index), new RegExp(toHex(leaseCounter.name)));
  const terms = { resetCount: 5, restartCount: 1, clockMost: '90061001', counterMost: '3' };
  const counted = leaseTermSteps(terms).find(({ kind }) => kind === 'counter');
  await run('startauthsession', '-S', 'lease.ctx');
  await run('policycountertimer', '-S', 'lease.ctx', '--eq', `resets=${terms.resetCount}`);
  await run('policycountertimer', '-S', 'lease.ctx', '--eq', `restarts=${terms.restartCount}`);
  await run('policycountertimer', '-S', 'lease.ctx', '--ule', `clock=${terms.clockMost}`);
  const operand = join(simulators.folder, 'operand');
  assert.ok(counted !== undefined);
  await writeFile(operand, counted.term.operand);
  await run('policynv', '-S', 'lease.ctx', '-C', index, '-i', operand, '-L', 'lease.policy', index, 'ule');
  await run('flushcontext', 'lease.ctx');
  const policy = await readFile(join(simulators.folder, 'lease.policy'));
  assert.equal(toHex(policy), toHex(policyLeaseTerms(emptyPolicy(), terms)));
});
