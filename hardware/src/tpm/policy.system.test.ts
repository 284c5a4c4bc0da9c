// Each policy command, run by the TPM in a session, gives the digest that core computes; a blob opens only while its policy is satisfied.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ByteWriter, toHex } from '@edgekeep/core/bytes';
import { type Entity, entityOf } from '@edgekeep/core/tpm/command';
import { commandCodes } from '@edgekeep/core/tpm/command-code';
import {
  nvAttributes,
  nvDefineSpace,
  nvIncrement,
  nvRead,
  nvReadPublic,
  nvUndefineSpace,
} from '@edgekeep/core/tpm/commands/nv';
import { importObject, load, unseal } from '@edgekeep/core/tpm/commands/object';
import * as commands from '@edgekeep/core/tpm/commands/policy';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import {
  type ComparisonTerm,
  emptyPolicy,
  policyCommandCode,
  policyCounterTimer,
  policyNv,
  policyOr,
  policySecret,
} from '@edgekeep/core/tpm/policy';
import { hierarchies } from '@edgekeep/core/tpm/public-area';
import { TpmClient, type TpmSession } from './client.ts';
import { loadEndorsementKey, withEndorsementKey } from './endorsement.ts';
import type { TpmSimulator } from './simulator.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from './testing.ts';
import { openTransport } from './transport.ts';

const skip = await skipWithout(...simulatorTools);
let simulators: TestSimulators;
let simulator: TpmSimulator;

before(async () => {
  if (skip !== false) return;
  simulators = await testSimulators();
  simulator = await simulators.start('tpm');
});
after(() => simulators?.[Symbol.asyncDispose]());

const owner = entityOf(hierarchies.owner);
const endorsement = entityOf(hierarchies.endorsement);
const nvIndex = 0x01800020;
const number = (value: bigint) => new ByteWriter().u64(value).finish();
/** `clock` of TPMS_TIME_INFO, in milliseconds. */
const clockIs = (operation: ComparisonTerm['operation'], value: bigint) => ({
  operand: number(value),
  offset: 8,
  operation,
});

type Steps = (session: TpmSession) => Promise<unknown>;

async function digestOf(client: TpmClient, steps: Steps): Promise<string> {
  const session = await client.startSession('policy', 'sha256');
  try {
    await steps(session);
    return toHex(await client.execute(commands.policyGetDigest(session.handle)));
  } finally {
    await client.flush(session.handle);
  }
}

/** Imports a secret under this policy and opens it in a session that takes these steps. */
async function openUnder(client: TpmClient, policyDigest: Uint8Array, steps: Steps): Promise<void> {
  const parent = await loadEndorsementKey(client, 'rsa-2048');
  const secret = randomBytes(32);
  const blob = makeImportBlob({ parentPublic: parent.publicArea, secret, policyDigest, randomBytes });
  const imported = await withEndorsementKey(client, parent, (authorization) =>
    client.execute(importObject(parent.entity, blob.publicArea, blob.duplicate, blob.encryptedSeed), [authorization]),
  );
  const item = await withEndorsementKey(client, parent, (authorization) =>
    client.execute(load(parent.entity, imported, blob.publicArea), [authorization]),
  );
  const session = await client.startSession('policy', 'sha256', parent);
  try {
    await steps(session);
    assert.equal(toHex(await client.execute(unseal(item), [{ session, encrypt: true }])), toHex(secret));
  } finally {
    await client.flush(session.handle);
    await client.flush(item.handle);
  }
}

async function defineCounter(client: TpmClient): Promise<Entity> {
  const attributes =
    nvAttributes.counter | nvAttributes.ownerRead | nvAttributes.ownerWrite | nvAttributes.noDictionaryAttack;
  const nvPublic = {
    index: nvIndex,
    nameAlgorithm: 'sha256',
    attributes,
    authPolicy: new Uint8Array(0),
    dataSize: 8,
  } as const;
  await client.execute(nvDefineSpace(nvPublic), ['password']);
  await client.execute(nvIncrement(owner, await counterEntity(client)), ['password']);
  return counterEntity(client);
}

async function counterEntity(client: TpmClient): Promise<Entity> {
  return { handle: nvIndex, name: (await client.execute(nvReadPublic(nvIndex))).name };
}

async function counterValue(client: TpmClient, counter: Entity): Promise<bigint> {
  return Buffer.from(await client.execute(nvRead(owner, counter, 8, 0), ['password'])).readBigUInt64BE();
}

test(
  'PolicySecret, PolicyCommandCode, PolicyOR and PolicyCounterTimer give the computed digests',
  { skip },
  async () => {
    await using client = new TpmClient(await openTransport(simulator.address));
    const bySecret = policySecret(emptyPolicy(), endorsement.name);
    const secretStep: Steps = ({ handle }) => client.execute(commands.policySecret(endorsement, handle), ['password']);
    assert.equal(await digestOf(client, secretStep), toHex(bySecret));
    const byCommand = policyCommandCode(emptyPolicy(), commandCodes.unseal);
    const commandStep: Steps = ({ handle }) => client.execute(commands.policyCommandCode(handle, commandCodes.unseal));
    assert.equal(await digestOf(client, commandStep), toHex(byCommand));
    const branches = [bySecret, byCommand];
    const either = await digestOf(client, async (session) => {
      await commandStep(session);
      await client.execute(commands.policyOr(session.handle, branches));
    });
    assert.equal(either, toHex(policyOr(branches)));
    const term = clockIs('unsignedGreater', 0n);
    const clockStep: Steps = ({ handle }) => client.execute(commands.policyCounterTimer(handle, term));
    assert.equal(await digestOf(client, clockStep), toHex(policyCounterTimer(emptyPolicy(), term)));
  },
);

test('a blob with PolicyCounterTimer opens before its time and not after', { skip }, async () => {
  await using client = new TpmClient(await openTransport(simulator.address));
  const far = clockIs('unsignedLess', 1n << 60n);
  const past = clockIs('unsignedLess', 1n);
  const steps =
    (term: ComparisonTerm): Steps =>
    ({ handle }) =>
      client.execute(commands.policyCounterTimer(handle, term));
  await openUnder(client, policyCounterTimer(emptyPolicy(), far), steps(far));
  await assert.rejects(openUnder(client, policyCounterTimer(emptyPolicy(), past), steps(past)), { code: 'tpm-failed' });
});

test(
  'a blob with PolicyNV closes for ever once the counter has passed, also when the counter is made again',
  { skip },
  async () => {
    await using client = new TpmClient(await openTransport(simulator.address));
    const counter = await defineCounter(client);
    const value = await counterValue(client, counter);
    const term = { operand: number(value), offset: 0, operation: 'unsignedLessOrEqual' } as const;
    const policyDigest = policyNv(emptyPolicy(), counter.name, term);
    const step: Steps = ({ handle }) => client.execute(commands.policyNv(owner, counter, handle, term), ['password']);
    assert.equal(await digestOf(client, step), toHex(policyDigest));
    await openUnder(client, policyDigest, step);
    await client.execute(nvIncrement(owner, counter), ['password']);
    await assert.rejects(openUnder(client, policyDigest, step), { code: 'tpm-failed' });
    await client.execute(nvUndefineSpace(counter), ['password']);
    const again = await defineCounter(client);
    assert.ok((await counterValue(client, again)) > value);
    await assert.rejects(openUnder(client, policyDigest, step), { code: 'tpm-failed' });
  },
);
