// What holds for the fixture of each commit alike: the tests of one commit say what is special about it.
import assert from 'node:assert/strict';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { certificateList } from '@edgekeep/wire/api/revocation';
import { z } from 'zod';
import { accepted, assertRefused } from '../support/answer.ts';
import type { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';
import type { OldWorld } from './old-world.ts';

export async function openHub(old: OldWorld): Promise<HubWorld> {
  return old.open((to) => cp(old.at('hub'), to, { recursive: true }));
}

export async function tokensOf(old: OldWorld) {
  const file: unknown = JSON.parse(await readFile(old.at('tokens.json'), 'utf8'));
  return z.object({ group: z.string(), enroller: z.string(), forbidden: z.string() }).parse(file);
}

/** The certificate of thin-2, which was revoked before. */
export async function assertStillRevoked(old: OldWorld): Promise<void> {
  await using world = await openHub(old);
  await world.restart();
  const { certificates } = await world.operator.get('/v1/certificates?device=thin-2', certificateList);
  assert.deepEqual(
    certificates.map(({ reason }) => reason),
    ['keyCompromise'],
  );
}

/** One token enrolls, one is forbidden by the policy. */
export async function assertTokens(old: OldWorld, world: HubWorld): Promise<void> {
  const { enroller, forbidden } = await tokensOf(old);
  const ask = (token: string) => world.askOperator('POST', '/v1/enrollment-tokens', { token, body: '{}' });
  assert.equal((await ask(enroller)).status, 200);
  assertRefused(await ask(forbidden), { status: 403, code: 'access-refused' });
}

/** The group's token lets a device in; `pcrs` are those that it shows. */
export async function assertGroupToken(old: OldWorld, world: HubWorld, pcrs?: readonly number[]): Promise<void> {
  const { group } = await tokensOf(old);
  await using device = await TestDevice.withoutTpm('line-3-1', join(world.folder, 'line-3-1'));
  if (pcrs !== undefined) device.pcrs = pcrs;
  accepted(await device.tryEnroll(world, group), certificateResponse);
}

/** The agent of press-1 comes back with its state and gets its key. */
export async function assertAgentReturns(old: OldWorld): Promise<void> {
  await using world = await openHub(old);
  await using agent = await old.agentOn(world, 'agent', 'press-1', { models: [{ name: 'opaque', use: 'program' }] });
  const story = await agent.start();
  await story.next('attested');
  await story.next('ready');
}

export async function assertKitEnrolls(old: OldWorld, settings: object = {}): Promise<void> {
  await using world = await old.open(old.withTokensAlive);
  const kit: object = JSON.parse(await readFile(old.at('kit', 'agent.json'), 'utf8'));
  await using agent = await old.agentOn(world, 'kit', 'press-2', { ...kit, ...settings });
  const story = await agent.start();
  await story.next('enrolled');
  await story.next('attested');
}

/** The device has its receipt from before any device cosigned. */
export async function assertReceiptVerifies(old: OldWorld): Promise<void> {
  await using world = await openHub(old);
  const receipt = await readFile(old.at('agent', 'receipts', 'opaque.json'));
  const verdict = verifyReceipt(receipt, { ...(await world.trust()), policy: { witnesses: [], quorum: 0 } });
  assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
}

export async function assertUnsignedBackupRestores(old: OldWorld, devices: number): Promise<void> {
  await using world = await old.open((to) => restoreHub(old.at('hub.backup'), to, 'unsigned'));
  const list = await world.operator.get('/v1/devices', deviceList);
  assert.equal(list.devices.length, devices);
}
