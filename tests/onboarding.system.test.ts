// docs/onboarding.md as an operator follows it, on the command line.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { z } from 'zod';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

const program = join(import.meta.dirname, '../cli/src/main.ts');
let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

interface Ended {
  readonly code: number;
  readonly out: string;
}

async function edgekeep(line: string): Promise<Ended> {
  const env = { ...process.env, EDGEKEEP_OPERATOR: world.operatorFile };
  const args = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [];
  const options = { env, cwd: world.folder, timeout: 200_000 };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], options);
    return { code: 0, out: stdout };
  } catch (error) {
    const ended = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() }).parse(error);
    return { code: ended.code, out: ended.stdout + ended.stderr };
  }
}

async function done(line: string): Promise<string> {
  const { code, out } = await edgekeep(line);
  assert.equal(code, 0, `${line}\n${out}`);
  return out;
}

async function refused(line: string, code: number, says: RegExp): Promise<void> {
  const ended = await edgekeep(line);
  assert.equal(ended.code, code, ended.out);
  assert.match(ended.out, says);
}

const device = async (id: string) => TestDevice.withoutTpm(id, join(world.folder, 'devices', id));

test('a line of devices: a group, its token, its roll-over, its end', async () => {
  await done('site create graz --time-zone Europe/Vienna --network 127.0.0.0/8');
  await done('group create pilot');
  await writeFile(join(world.folder, 'desired.json'), '{"fps":25}');
  const made = await done(
    'enrollment-group create line-3 --kind token --id-prefix press- --devices 2 --tag line=press --group pilot --desired desired.json --site graz --description "the third line"',
  );
  assert.match(made, /line-3 made; make its token: edgekeep enrollment-group token line-3/);
  const [token = ''] = (await done('enrollment-group token line-3 --uses 200 --hours 48')).split('\n');
  await using press = await device('press-1');
  accepted(await press.tryEnroll(world, token), certificateResponse);
  const shown = await done('enrollment-group show line-3');
  for (const part of [/devices +1 of 2/, /press-…/, /line=press/, /joins +pilot/, /"fps":25/, /site +graz/])
    assert.match(shown, part);
  assert.ok(shown.includes(`${createHash('sha256').update(token).digest('hex').slice(0, 16)}  usable: used 1 of 200`));
  assert.ok(!shown.includes(token));
  assert.match(await done('enrollment-group list'), /line-3 +token +1 of 2 +enabled +the third line/);

  const [next = ''] = (await done('enrollment-group token line-3 --uses 200 --older-hours 0')).split('\n');
  await using second = await device('press-2');
  assertRefused(await second.tryEnroll(world, token), { status: 403, code: 'enrollment-refused' });
  await done('enrollment-group disable line-3 --reason "a pallet is missing"');
  const closed = { status: 403, code: 'enrollment-refused', reason: 'enrollment-group-disabled', says: /pallet/ };
  assertRefused(await second.tryEnroll(world, next), closed);
  await done('enrollment-group enable line-3');
  accepted(await second.tryEnroll(world, next), certificateResponse);
  await done('enrollment-group limit line-3 --devices any');
  await using third = await device('press-3');
  accepted(await third.tryEnroll(world, next), certificateResponse);
  assert.match(await done('enrollment-group limit line-3 --devices 3'), /3 of 3 devices/);
  await using fourth = await device('press-4');
  const full = { status: 403, code: 'enrollment-refused', reason: 'enrollment-group-full' };
  assertRefused(await fourth.tryEnroll(world, next), full);
  await done('enrollment-group delete line-3');
  await refused('enrollment-group show line-3', 3, /no enrollment group line-3/);
  assert.match(await done('device show press-2'), /enrollment group +line-3/);
  assert.match(await done('device list --filter enrollmentGroup==line-3'), /press-1[\s\S]*press-2/);
});

test('a manifest, the list of those to come, and a block', async () => {
  await done('enrollment-group create lot-17 --kind manifest --tier tpm');
  const root = (name: string) => createHash('sha256').update(name).digest('hex');
  const lines = [
    { id: 'oven-1', enrollmentGroup: 'lot-17', rootSha256: root('a'), site: 'graz' },
    { enrollmentGroup: 'lot-17', rootSha256: root('b') },
    { id: 'oven-2' },
  ];
  await writeFile(join(world.folder, 'lot.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  assert.match(
    await done('device import lot.ndjson'),
    /2 devices expected, 1 listed, 0 roots of trust blocked, 0 lines left out/,
  );
  assert.match(await done('enrollment-group show lot-17'), /listed +2/);
  assert.match(await done('expected-device list'), new RegExp(`oven-1 +waiting +${root('a')} +graz`));
  await done('expected-device remove oven-1');
  await refused('expected-device remove oven-1', 3, /not expected/);
  assert.match(await done(`root-of-trust block ${root('b')} --reason "stolen"`), /is blocked$/m);
  assert.match(await done('root-of-trust list'), /stolen/);
  await done(`root-of-trust unblock ${root('b')} --reason "found"`);
  await refused(`root-of-trust unblock ${root('b')} --reason "found"`, 3, /not blocked/);
});

test('what a group cannot be is refused', async () => {
  await writeFile(join(world.folder, 'leaf.pem'), world.hub.rootPem + world.hub.rootPem);
  await refused('enrollment-group create x --kind ca', 3, /ca takes a certificate/);
  await refused('enrollment-group create x --kind ca --certificate leaf.pem', 3, /one certificate/);
  await refused('enrollment-group create x --kind token --group nobody', 3, /no group nobody/);
  await refused('enrollment-group create x --kind token --site nowhere', 3, /no site nowhere/);
  await refused('enrollment-group create x --kind token --devices 0', 2, /--devices takes a whole number/);
  await done('enrollment-group create x --kind manifest');
  await refused('enrollment-group create x --kind token', 1, /already/);
  await refused('enrollment-group token x --uses 5', 1, /needs no token/);
  await writeFile(join(world.folder, 'ca.pem'), world.hub.rootPem);
  await done('enrollment-group create maker --kind ca --certificate ca.pem');
  await refused('enrollment-group create maker-2 --kind ca --certificate ca.pem', 1, /already belongs to maker/);
});

test('wiped, and back', async () => {
  await using saw = await device('saw-1');
  accepted(await saw.tryEnroll(world, await world.enrollmentToken()), certificateResponse);
  await refused('device mark-wiped saw-1 --reason x', 1, /it cannot become wiped/);
  await done('device quarantine saw-1 --reason "opened"');
  assert.match(await done('device mark-wiped saw-1 --reason "erased in the workshop"'), /saw-1 is wiped/);
  await refused('device release saw-1 --reason x', 1, /enrolling again/);
  const [token = ''] = (await done('enroll token --device saw-1')).split('\n');
  await using again = await TestDevice.withoutTpm('saw-1', join(world.folder, 'devices', 'saw-1-erased'));
  accepted(await again.tryEnroll(world, token), certificateResponse);
  const shown = await done('device show saw-1');
  assert.match(shown, /identity +2, since/);
  assert.match(shown, /1, until .*: erased in the workshop/);
  const board = 'b'.repeat(64);
  await refused(`device replace-root saw-1 --root ${board} --reason x`, 1, /quarantine and wipe it first/);
  await done('device quarantine saw-1 --reason "opened again"');
  await done('device mark-wiped saw-1 --reason "erased again"');
  await done(`device replace-root saw-1 --root ${board} --reason "a TPM was built in"`);
  assert.match(await done('device show saw-1'), new RegExp(`returns with +${board}`));
});
