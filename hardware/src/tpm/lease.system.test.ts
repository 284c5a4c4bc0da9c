// A key lease that the TPM itself ends: what opens within it, and what an attacker who has the device, its disk and all it ever received
// can do after it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { leaseCounter, verifyLeaseCounter } from '@edgekeep/core/access/lease-counter';
import { type LeaseTerms, policyLeaseTerms } from '@edgekeep/core/access/lease-terms';
import type { TpmWrappedKey } from '@edgekeep/core/access/wrapped-key';
import { attestationKeyOf } from '@edgekeep/core/attest/quote';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { clear, clockSet, readClock } from '@edgekeep/core/tpm/commands/clock';
import { shutdown } from '@edgekeep/core/tpm/commands/lifecycle';
import { nvUndefineSpace } from '@edgekeep/core/tpm/commands/nv';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { pcrDigest } from '@edgekeep/core/tpm/pcr-selection';
import { emptyPolicy, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { TpmClient } from './client.ts';
import type { TpmSimulator } from './simulator.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from './testing.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';
import { openTransport } from './transport.ts';

const skip = await skipWithout(...simulatorTools);
const selection = { bank: 'sha256', pcrs: [0, 7] } as const;
const hour = 3_600_000n;
let simulators: TestSimulators;
let simulator: TpmSimulator;

before(async () => {
  if (skip !== false) return;
  simulators = await testSimulators();
  simulator = await simulators.start('tpm');
});
after(() => simulators?.[Symbol.asyncDispose]());

const leaseOver = { name: 'HardwareError', code: 'tpm-lease-over' };

interface Leased {
  readonly wrapped: TpmWrappedKey & { readonly terms: LeaseTerms };
  readonly secret: string;
}

/** As a hub does: a key for the boot and the counter value that this TPM has just signed. */
async function lease(device: TpmRootOfTrust, milliseconds = hour): Promise<Leased> {
  const { endorsementKey, attestationPublic } = await device.describe();
  const qualifyingData = randomBytes(32);
  const signed = await device.attest(qualifyingData, selection);
  assert.ok(signed.kind === 'tpm');
  const { clockInfo } = parseAttest(signed.quote);
  const key = attestationKeyOf(parsePublic(attestationPublic), 'endorsement');
  const verdict = verifyLeaseCounter(await device.certifyLeaseCounter(qualifyingData), {
    key,
    qualifyingData,
    boot: clockInfo,
  });
  if (verdict.kind === 'refused') assert.fail(verdict.reasons[0]?.message);
  const { resetCount, restartCount, clock } = clockInfo;
  const terms = {
    resetCount,
    restartCount,
    clockMost: `${clock + milliseconds}`,
    counterMost: `${verdict.value}`,
  };
  const byPcr = policyPcr(emptyPolicy(), [selection], pcrDigest([...(await device.readPcrs(selection)).values()]));
  const secret = randomBytes(32);
  const blob = makeImportBlob({
    parentPublic: parsePublic(endorsementKey.publicArea),
    secret,
    policyDigest: policyLeaseTerms(byPcr, terms),
    randomBytes,
  });
  const wrapped = {
    kind: 'tpm-import' as const,
    publicArea: toBase64url(blob.publicArea),
    duplicate: toBase64url(blob.duplicate),
    encryptedSeed: toBase64url(blob.encryptedSeed),
    pcrs: [...selection.pcrs],
    terms,
  };
  return { wrapped, secret: toHex(secret) };
}

async function withDevice<Result>(use: (device: TpmRootOfTrust) => Promise<Result>): Promise<Result> {
  await using device = await TpmRootOfTrust.open(simulator.address);
  return await use(device);
}

/** What somebody does who has the TPM and no need for our software. */
async function withTpm<Result>(use: (client: TpmClient) => Promise<Result>): Promise<Result> {
  await using client = new TpmClient(await openTransport(simulator.address));
  return await use(client);
}

async function opens({ wrapped, secret }: Leased): Promise<void> {
  assert.equal(toHex(await withDevice((device) => device.openKey(wrapped))), secret);
}

const refused = ({ wrapped }: Leased, because: object) =>
  assert.rejects(
    withDevice((device) => device.openKey(wrapped)),
    because,
  );

test('within its lease a key opens, again and again', { skip }, async () => {
  const leased = await withDevice((device) => lease(device));
  await opens(leased);
  await opens(leased);
});

test(
  'once the clock of the TPM has passed the end, the key stays closed, and the next lease opens',
  { skip },
  async () => {
    const leased = await withDevice((device) => lease(device));
    const other = await withDevice((device) => lease(device, 3n * hour));
    await withTpm((client) => client.execute(clockSet(BigInt(leased.wrapped.terms.clockMost) + 1n), ['password']));
    await refused(leased, { ...leaseOver, message: /clock/ });
    await opens(other);
    await opens(await withDevice((device) => lease(device)));
  },
);

test('the clock of the TPM cannot be set back', { skip }, async () => {
  await withTpm(async (client) => {
    const { clockInfo } = await client.execute(readClock());
    await assert.rejects(client.execute(clockSet(clockInfo.clock - 1_000n), ['password']), { code: 'tpm-failed' });
  });
});

test('after a power cycle the key stays closed, although its time is not up', { skip }, async () => {
  const leased = await withDevice((device) => lease(device));
  await simulator.powerCycle();
  await refused(leased, { ...leaseOver, message: /reset/ });
});

test('nor does it help to pull the plug, which sets the clock back', { skip }, async () => {
  const leased = await withDevice((device) => lease(device));
  await simulator.cutPower();
  await simulator.powerOn();
  await withTpm(async (client) => {
    const { clockInfo } = await client.execute(readClock());
    assert.ok(clockInfo.clock < BigInt(leased.wrapped.terms.clockMost));
  });
  await refused(leased, { ...leaseOver, message: /reset/ });
});

test('a restart that keeps the state of the TPM, as suspending does, ends the lease', { skip }, async () => {
  const leased = await withDevice((device) => lease(device));
  await withTpm((client) => client.execute(shutdown('state')));
  await simulator.cutPower();
  await simulator.powerOn();
  await refused(leased, { ...leaseOver, message: /restarted/ });
});

test('counting up ends every lease given before, and none given after', { skip }, async () => {
  const [first, second] = await withDevice(async (device) => [await lease(device), await lease(device)]);
  await withDevice((device) => device.endLeases());
  for (const leased of [first, second]) await refused(leased, { ...leaseOver, message: /counted up/ });
  await opens(await withDevice((device) => lease(device)));
});

test('removing the counter, and making it again, opens nothing', { skip }, async () => {
  const leased = await withDevice((device) => lease(device));
  await withTpm((client) => client.execute(nvUndefineSpace(leaseCounter), ['password']));
  await refused(leased, leaseOver);
  // Makes it again.
  const next = await withDevice((device) => lease(device));
  assert.ok(BigInt(next.wrapped.terms.counterMost) > BigInt(leased.wrapped.terms.counterMost));
  await refused(leased, { ...leaseOver, message: /counted up/ });
});

test('a TPM that was cleared and reset until all its counts are as they were opens nothing', { skip }, async () => {
  await simulator.powerCycle();
  const leased = await withDevice((device) => lease(device));
  const { resetCount, clockMost } = leased.wrapped.terms;
  await withTpm((client) => client.execute(clear(), ['password']));
  for (let at = await resets(); at < resetCount; at = await resets()) await simulator.powerCycle();
  await withTpm(async (client) => {
    const { clockInfo } = await client.execute(readClock());
    // The attack works as far as the clock goes: only the counter stands in its way.
    assert.equal(clockInfo.resetCount, resetCount);
    assert.equal(clockInfo.restartCount, leased.wrapped.terms.restartCount);
    assert.ok(clockInfo.clock < BigInt(clockMost));
  });
  await refused(leased, leaseOver);
  await withDevice((device) => device.certifyLeaseCounter(randomBytes(32)));
  await refused(leased, { ...leaseOver, message: /counted up/ });
});

async function resets(): Promise<number> {
  return withTpm(async (client) => (await client.execute(readClock())).clockInfo.resetCount);
}

test('terms that were changed, or left out, open nothing', { skip }, async () => {
  const { wrapped } = await withDevice((device) => lease(device));
  const { terms } = wrapped;
  const later = { ...terms, clockMost: `${BigInt(terms.clockMost) + hour}` };
  const higher = { ...terms, counterMost: `${BigInt(terms.counterMost) + 1n}` };
  const { terms: _, ...without } = wrapped;
  for (const altered of [{ ...wrapped, terms: later }, { ...wrapped, terms: higher }, without]) {
    await assert.rejects(
      withDevice((device) => device.openKey(altered)),
      { name: 'HardwareError', code: 'tpm-policy-refused' },
    );
  }
});

test('with the whole disk in another device the key stays closed', { skip }, async () => {
  const { wrapped } = await withDevice((device) => lease(device));
  await using other = await TpmRootOfTrust.open((await simulators.start('other')).address);
  await other.certifyLeaseCounter(randomBytes(32));
  await assert.rejects(other.openKey(wrapped), { name: 'HardwareError', code: 'tpm-blob-refused' });
});
