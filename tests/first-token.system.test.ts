// The first API token of a hub is only for the start (spec/operator-access.md, "The bootstrap"). A service's token ends with its maker or
// is handed over. A backup contains no token, and no program is run from it without confirmation.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { claimHub } from '@edgekeep/cli/hub/claim';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { apiTokenResponse, handOverResponse, tokenView } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { addPerson, firstPerson, TestPerson } from './support/people.ts';

const run = promisify(execFile);
const hubMain = join(import.meta.dirname, '../hub/src/main.ts');
const idOf = (token: string) => createHash('sha256').update(token).digest('hex').slice(0, 16);
const ended = { status: 401, code: 'token-refused' };

async function serviceToken(maker: TestPerson): Promise<string> {
  const order = { name: 'ci', scopes: ['devices:read'], service: true };
  return accepted(await maker.ask('POST', '/v1/tokens', order), apiTokenResponse.extend({ token: z.string() })).token;
}

const opens = async (world: HubWorld, token: string) => {
  const answer = await world.askOperator('GET', '/v1/devices', { token });
  if (answer.status === 200) return accepted(answer, deviceList) !== undefined;
  assertRefused(answer, ended);
  return false;
};

// SECURITY.md: HUB-09
test('the first token is good for its hours, and no longer', async () => {
  await using world = await HubWorld.open({ settings: { tokens: { bootstrapHours: 2 } } });
  const token = await world.adminToken();
  world.clock.advanceSeconds(7_100);
  assert.equal(await opens(world, token), true);
  world.clock.advanceSeconds(101);
  assert.equal(await opens(world, token), false);
});

// SECURITY.md: HUB-09
test('a claim puts a token of one person in the place of the first, with what that one made, and can be made once', async () => {
  await using world = await HubWorld.open();
  const first = await firstPerson(world);
  const service = await serviceToken(first);
  const out = join(world.folder, 'ada.json');
  await claimHub({ from: world.operatorFile, out, name: 'ada' });
  const { token } = z.object({ token: z.string() }).parse(JSON.parse(await readFile(out, 'utf8')));
  assert.equal(await opens(world, first.token), false);
  assert.equal(await opens(world, token), true);
  assert.equal(await opens(world, service), true);
  const again = claimHub({ from: out, out: join(world.folder, 'eve.json'), name: 'eve' });
  await assert.rejects(again, { code: 'conflict' });
  assert.equal((await readdir(world.folder)).includes('eve.json'), false);
  const ada = new TestPerson(world, 'ada', token);
  assert.equal((await ada.ask('POST', `/v1/tokens/${idOf(token)}/revoke`, {})).status, 200);
  assert.equal(await opens(world, service), false);
});

// SECURITY.md: HUB-09
test('a service token that two people handed over ends with who took it, and no more with who made it', async () => {
  await using world = await HubWorld.open();
  const maker = await firstPerson(world);
  const ben = await addPerson(world, 'ben');
  const [taken, left] = [await serviceToken(maker), await serviceToken(maker)];
  const asked = await ben.waits('POST', `/v1/tokens/${idOf(taken)}/hand-over`, {});
  accepted(await maker.approve(asked), z.object({ answer: handOverResponse }));
  const shown = accepted(await ben.ask('GET', `/v1/tokens/${idOf(taken)}`), tokenView);
  assert.equal(shown.endsWith, idOf(ben.token));
  assert.equal((await maker.ask('POST', `/v1/tokens/${idOf(maker.token)}/revoke`, {})).status, 200);
  assert.equal(await opens(world, left), false);
  assert.equal(await opens(world, taken), true);
  assert.equal((await ben.ask('POST', `/v1/tokens/${idOf(ben.token)}/revoke`, {})).status, 200);
  assert.equal(await opens(world, taken), false);
});

// SECURITY.md: HUB-10
test('a backup has no operator file, and one that names a program to execute is restored only by a word of its own', async () => {
  await using world = await HubWorld.open();
  const settings = join(world.hubFolder, 'hub.json');
  const before: object = JSON.parse(await readFile(settings, 'utf8'));
  await writeFile(settings, JSON.stringify({ ...before, unlockProgram: ['/bin/echo', 'of whom?'] }));
  const file = join(world.folder, 'backup');
  await backUpHub({ folder: world.hubFolder, file, plain: true, blobs: false });
  const target = join(world.folder, 'restored');
  const restore = (...more: readonly string[]) =>
    run(process.execPath, [hubMain, 'restore', '--unsigned', file, '--data', target, ...more]);
  await assert.rejects(restore(), { code: 3, stderr: /"\/bin\/echo" "of whom\?".*--yes/s });
  await assert.rejects(readdir(target), { code: 'ENOENT' });
  await restore('--yes');
  assert.equal((await readdir(target)).includes('operator.json'), false);
});
