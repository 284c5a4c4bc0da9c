// Real agents with hybrid keys against a real hub: on a TPM and in software, with a state folder that was copied, a hub that forgot, and an agent
// that goes back.
import assert from 'node:assert/strict';
import { cp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { keyReleaseSchema } from '@edgekeep/core/access/key-release';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { hybridKeyForgotten } from '@edgekeep/wire/api/hybrid-key';
import { z } from 'zod';
import { closeAll } from './support/closing.ts';
import { healthyBoot, logOf, measure } from './support/boot.ts';
import { changeStore } from './support/edited-store.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from './support/tpm-world.ts';

const models = [{ name: model.name, use: 'program' as const }];
const keyFile = z.looseObject({
  registered: z.boolean(),
  held: z.looseObject({ by: z.string(), seed: z.string().optional() }),
});
const keptIn = async (agent: TestAgent) => {
  const path = join(agent.stateFolder, 'hybrid-key.json');
  return { path, kept: keyFile.parse(JSON.parse(await readFile(path, 'utf8'))) };
};
let fleet: TpmWorld;
/** Without reference values: these agents are not about their boot. */
let plain: HubWorld;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  plain = await HubWorld.open();
  await allowSoftware(plain);
  await plain.publishModel(model.name, model.version, model.content);
});
after(async () => {
  await closeAll(fleet, plain);
});

const wrapsOf = async (world: HubWorld, id: string) => {
  const entries = await world.entries('key-released');
  const own = entries.filter(({ subject }) => subject === `device:${id}`);
  return own.map(({ data }) => keyReleaseSchema.parse(data).wrap);
};

test(
  'on a TPM the agent names a key that the TPM seals, runs its model by it, and comes back with the same',
  { skip },
  async () => {
    const { address } = await fleet.simulator('sealed');
    await using rootOfTrust = await TpmRootOfTrust.open(address);
    await measure(rootOfTrust, healthyBoot);
    // The log of the boot that was measured above.
    const firmwareLogFile = join(fleet.world.folder, 'sealed.log');
    await writeFile(firmwareLogFile, logOf(healthyBoot));
    const settings = { models, measuredStart: { firmwareLogFile } };
    await using agent = await TestAgent.prepare(fleet.world, 'sealed', settings, 'tpm');
    const options = { rootOfTrust };
    const story = await agent.start(options);
    const { sha256 } = await story.next('hybrid-key-registered');
    await story.next('ready');
    const { path, kept } = await keptIn(agent);
    assert.deepEqual([kept.registered, kept.held.by, kept.held.seed], [true, 'tpm', undefined]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await wrapsOf(fleet.world, 'sealed'), [hybridWrapType]);
    await agent.stop();
    const again = await agent.start(options);
    await again.next('ready');
    assert.ok(!again.has('hybrid-key-registered'));
    const entries = await fleet.world.entries('hybrid-key-registered');
    assert.equal(entries.filter(({ data }) => JSON.stringify(data).includes(sha256)).length, 1);
  },
);

test('a copied key is not taken for two devices: the second makes its own', { skip }, async () => {
  await using first = await TestAgent.prepare(plain, 'copied-1', { models });
  await (await first.start()).next('ready');
  await using second = await TestAgent.prepare(plain, 'copied-2', { models });
  await cp((await keptIn(first)).path, join(second.stateFolder, 'hybrid-key.json'));
  const story = await second.start();
  assert.equal((await story.next('refused')).step, 'hybrid-key');
  await story.next('hybrid-key-registered');
  await story.next('ready');
  const seeds = [await keptIn(first), await keptIn(second)].map(({ kept }) => kept.held.seed);
  assert.notEqual(seeds[0], seeds[1]);
});

test(
  'a hub that lost the key gets it again at the next connection, and nothing is taken in a lesser wrap meanwhile',
  { skip },
  async () => {
    await using agent = await TestAgent.prepare(plain, 'forgotten', { models });
    await (await agent.start()).next('ready');
    await agent.stop();
    const forget = "delete from device_hybrid_key where device_id = 'forgotten'";
    await changeStore(plain.place, forget);
    const story = await agent.start();
    await story.next('hybrid-key-registered');
    await story.next('ready');
    assert.deepEqual(await wrapsOf(plain, 'forgotten'), [hybridWrapType, hybridWrapType]);
  },
);

test(
  'where operators have a running agent’s key forgotten, it names it again on its next connection and runs its model',
  { skip },
  async () => {
    await using agent = await TestAgent.prepare(plain, 'ordered', { models });
    const story = await agent.start();
    const { sha256 } = await story.next('hybrid-key-registered');
    await story.next('ready');
    const order = { reason: 'the wrong device' };
    const forgotten = await plain.operator.send(
      'POST',
      '/v1/devices/ordered/forget-hybrid-key',
      order,
      hybridKeyForgotten,
    );
    assert.deepEqual([forgotten.sha256, forgotten.connectionsClosed], [sha256, 1]);
    assert.equal((await story.next('hybrid-key-registered')).sha256, sha256);
    assert.equal((await plain.device('ordered')).hybridKey?.sha256, sha256);
  },
);

test(
  'a key file that is none is made again and reported; one that others can read stops the agent',
  { skip },
  async () => {
    await using agent = await TestAgent.prepare(plain, 'broken', { models });
    const path = join(agent.stateFolder, 'hybrid-key.json');
    await writeFile(path, '{"type":"edgekeep-hybrid-key/v1"}', { mode: 0o600 });
    const story = await agent.start();
    assert.equal((await story.next('state-lost')).file, 'hybrid-key');
    await story.next('hybrid-key-registered');
    await agent.stop();
    await rm(`${path}.copy`);
    await rm(path);
    await writeFile(path, '{}', { mode: 0o644 });
    await assert.rejects(agent.start(), { code: 'state-invalid', message: /other users may read/ });
  },
);
