import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { HardwareError } from '../error.ts';
import { TpmSimulator } from './simulator.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from './testing.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';

const skip = await skipWithout(...simulatorTools);
const selection = { bank: 'sha256', pcrs: [0, 14] } as const;
let simulators: TestSimulators;

before(async () => {
  if (skip === false) simulators = await testSimulators();
});
after(() => simulators?.[Symbol.asyncDispose]());

async function quoteOf(simulator: TpmSimulator) {
  await using device = await TpmRootOfTrust.open(simulator.address);
  const signed = await device.attest(new Uint8Array(32), selection);
  assert.ok(signed.kind === 'tpm');
  return parseAttest(signed.quote);
}

test('simulators made at the same time share their vendor and differ in their keys', { skip }, async () => {
  const made = await Promise.all(['a', 'b', 'c'].map((name) => simulators.start(name)));
  const roots = await Promise.all(made.map(async (simulator) => (await simulator.vendorCertificates()).root));
  assert.equal(new Set(roots).size, 1);
  const keys = await Promise.all(
    made.map(async (simulator) => {
      await using device = await TpmRootOfTrust.open(simulator.address);
      return Buffer.from((await device.describe()).endorsementKey.publicArea).toString('hex');
    }),
  );
  assert.equal(new Set(keys).size, 3);
});

// swtpm locks itself after three wrong authorizations, and counts a power cut as one where a key was authorized by a password.
for (const kind of endorsementKeyKinds) {
  test(`power cuts do not lock a TPM whose ${kind} endorsement key is used`, { skip }, async () => {
    const simulator = await simulators.start(`cut-${kind}`);
    for (let cuts = 0; cuts < 6; cuts += 1) {
      const device = await TpmRootOfTrust.open(simulator.address);
      await device.useEndorsementKey(kind);
      const sealed = await device.sealLocally(Uint8Array.of(cuts));
      assert.deepEqual([...(await device.unsealLocally(sealed))], [cuts]);
      await simulator.cutPower();
      await device[Symbol.asyncDispose]().catch(() => undefined);
      await simulator.powerOn();
    }
  });
}

test('after power is cut PCRs start over, and the clock is not called safe', { skip }, async () => {
  const simulator = await simulators.start('cut');
  {
    await using device = await TpmRootOfTrust.open(simulator.address);
    await device.extend(14, new Uint8Array(32).fill(1));
  }
  await simulator.cutPower();
  await simulator.powerOn();
  assert.equal((await quoteOf(simulator)).clockInfo.safe, false);
  await using device = await TpmRootOfTrust.open(simulator.address);
  assert.ok((await device.readPcrs(selection)).get(14)?.every((byte) => byte === 0));
});

test('a simulator that outlived its program is taken over, with the same keys', { skip }, async () => {
  const before = await simulators.start('orphan');
  const signer = (await quoteOf(before)).qualifiedSigner;
  const next = await simulators.start('orphan');
  assert.deepEqual((await quoteOf(next)).qualifiedSigner, signer);
});

test('a stopped simulator has no process and can be stopped again', { skip }, async () => {
  const simulator = await simulators.start('stopped');
  await simulator.powerOff();
  await simulator.powerOff();
  await assert.rejects(TpmRootOfTrust.open(simulator.address), { code: 'tpm-unreachable' });
  await access(join(simulators.folder, 'stopped', 'tpm2-00.permall'));
});

test('a relative folder is refused', async () => {
  const start = TpmSimulator.start({ stateFolder: 'relative', vendorFolder: '/tmp/vendor' });
  await assert.rejects(start, (error) => error instanceof HardwareError && error.code === 'simulator-failed');
});
