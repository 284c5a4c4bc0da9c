// What the commit "The joins" added to a hub's folder, for make-fixture.ts: hub keys that a root certified, a log that was handed over, policies of
// witnesses, publishers and runtimes, a device with a secure element.
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import type { ImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { type TestTokens, testTokens } from '@edgekeep/hardware/pkcs11/testing';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { witnessPolicyView } from '@edgekeep/wire/api/audit';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { type HubWorld, newPublisher, publicPem } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { TestAgent } from '../support/test-agent.ts';

const witnessPolicy = {
  quorum: 1,
  tiers: ['secure-element', 'software', 'tpm'],
  whenUnmet: 'name-weaker',
  text: null,
};
const imaPolicy: ImaPolicy = {
  type: 'edgekeep-ima-policy/v1',
  name: 'runtime',
  version: '1.0.0',
  for: ['test-device'],
  files: { '/opt/edgekeep/agent': [`sha256:${'ab'.repeat(32)}`] },
  excludes: ['/data/.{1,64}', '/var/log/[a-z]+'],
};

/** Before the first device: the policies, and a set of reference values that is for devices with one tag. */
export async function setPolicies(world: HubWorld): Promise<void> {
  await world.operator.send('PUT', '/v1/witness-policy', witnessPolicy, witnessPolicyView);
  const target = { tags: { line: 'referenced' } };
  const values = referenceValuesOf(healthyBoot, '1.0.0');
  await world.publishReferenceValues({ ...values, type: 'edgekeep-reference-values/v3', target });
  await world.publishImaPolicy(imaPolicy);
  const few = { tiers: ['software' as const] };
  await world.publishModel('narrow', '1.0.0', 'weights for few', world.publisher, few);
}

/** A publisher whose end is over, with the model that it published before. */
export async function endPublisher(world: HubWorld): Promise<void> {
  const { operator } = world;
  const publisher = newPublisher();
  const order = { name: 'former publisher', publicKey: publicPem(publisher) };
  await operator.send('POST', '/v1/publishers', order, publisherResponse);
  await world.publishModel('inherited', '1.0.0', 'weights of a publisher who left', publisher);
  const path = `/v1/publishers/${keyFingerprint(publisher.publicKey)}/end`;
  await operator.send('POST', path, { note: 'left' }, publisherResponse);
}

/** The key list after the first, with a key for backups, and the next log. */
export async function handOver(world: HubWorld): Promise<void> {
  const { operator } = world;
  const root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  const body = { purposes: ['backup', 'log'] };
  const { request } = await operator.send('POST', '/v1/authorities/keys/request', body, keyRequestResponse);
  const list = { keyList: await root.signKeys(request, {}, 1_096) };
  const { keys } = await operator.send('POST', '/v1/authorities/keys/list', list, hubKeysView);
  const next = keys.find(({ purpose, status }) => purpose === 'log' && status === 'next');
  if (next === undefined) throw new TypeError('no next log key');
  await operator.send('POST', `/v1/authorities/keys/${next.id}/activate`, { force: true }, hubKeysView);
  while (world.hub.logKey.name !== 'edgekeep.test/log/2') await operator.get('/v1/authorities/keys', hubKeysView);
}

/** An agent whose keys are in a secure element, with its model. The caller disposes of both. */
export async function chipDevice(world: HubWorld): Promise<{ readonly agent: TestAgent; readonly tokens: TestTokens }> {
  const tokens = await testTokens('chip-1');
  const { module, pinFile } = tokens.place('chip-1');
  const rootOfTrust = { kind: 'pkcs11' as const, module, token: 'chip-1', pinFile };
  const agent = await TestAgent.prepare(world, 'chip-1', { rootOfTrust, models: [{ name: 'opaque', use: 'program' }] });
  const order = { deviceId: 'chip-1', tier: 'secure-element' };
  const { token } = await world.operator.send('POST', '/v1/enrollment-tokens', order, enrollmentTokenResponse);
  await writeFile(join(agent.stateFolder, 'enrollment-token'), token);
  return { agent, tokens };
}
