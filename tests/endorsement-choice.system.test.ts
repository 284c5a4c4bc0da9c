// By which endorsement key a real agent enrolls on a TPM whose maker certified an RSA key and one on P-384, as swtpm_setup does.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { importReport } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { accepted } from './support/answer.ts';
import { healthyBoot, logOf, measure } from './support/boot.ts';
import { closeAll } from './support/closing.ts';
import { TestAgent } from './support/test-agent.ts';
import { skipWithoutTpm as skip, TpmWorld } from './support/tpm-world.ts';

let fleet: TpmWorld;

before(async () => {
  if (skip === false) fleet = await TpmWorld.open();
});
after(async () => {
  await closeAll(fleet);
});

/** An agent on a fresh TPM that booted; the address is in its settings, so that it opens the TPM itself. */
async function agentOn(name: string) {
  const { address } = await fleet.simulator(name);
  assert.ok(address.kind === 'unix');
  const firmwareLogFile = join(fleet.world.folder, `${name}.log`);
  await writeFile(firmwareLogFile, logOf(healthyBoot));
  const rootOfTrust = { kind: 'tpm' as const, address: `unix:${address.path}` };
  const settings = { rootOfTrust, measuredStart: { firmwareLogFile } };
  await using tpm = await TpmRootOfTrust.open(address);
  await measure(tpm, healthyBoot);
  const { endorsementKey } = await tpm.describe();
  const rsa = encodeSpki(publicKeyOf(parsePublic(endorsementKey.publicArea)));
  return {
    kinds: await tpm.certifiedKinds(),
    rsaSha256: createHash('sha256').update(rsa).digest('hex'),
    agent: await TestAgent.prepare(fleet.world, name, settings, 'tpm'),
  };
}

const enrolledBy = async ({ stateFolder }: TestAgent) => {
  const text = await readFile(join(stateFolder, 'enrolled-tpm.json'), 'utf8');
  return z.looseObject({ endorsementKeyKind: z.string() }).parse(JSON.parse(text)).endorsementKeyKind;
};

test('it enrolls by P-384, and comes back by it', { skip }, async () => {
  const { kinds, agent } = await agentOn('strongest');
  await using _ = agent;
  assert.deepEqual(kinds, ['p-384', 'rsa-2048']);
  await (await agent.start()).next('enrolled');
  await agent.stop();
  assert.equal(await enrolledBy(agent), 'p-384');
  await (await agent.start()).next('recovered');
});

test('a hub that lists the RSA key gets that one, and the agent keeps it', { skip }, async () => {
  const { rsaSha256, agent } = await agentOn('listed');
  await using _ = agent;
  const { world } = fleet;
  const body = JSON.stringify({ id: 'listed', rootSha256: rsaSha256 });
  const input = { token: await world.adminToken(), body, contentType: 'application/x-ndjson' };
  assert.equal(accepted(await world.askOperator('POST', '/v1/devices/import', input), importReport).rejected, 0);
  await (await agent.start()).next('enrolled');
  await agent.stop();
  assert.equal(await enrolledBy(agent), 'rsa-2048');
  await (await agent.start()).next('recovered');
});
