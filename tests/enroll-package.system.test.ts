// `edgekeep enroll package`: the file that it makes is run by a shell, and the device enrolls with what it installs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { enrollmentTokenList } from '@edgekeep/wire/api/enrollment-token';
import { z } from 'zod';
import { edgekeep } from './main-job/edgekeep.ts';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

async function make(file: string, ...words: readonly string[]) {
  const out = join(world.folder, file);
  const ended = await edgekeep(
    'enroll',
    'package',
    ...words,
    '--out',
    out,
    '--software',
    '--operator',
    world.operatorFile,
  );
  return { out, ...ended };
}

const settingsSchema = z.looseObject({ deviceId: z.string(), hub: z.looseObject({ serverName: z.string() }) });
const sh = (file: string, ...words: readonly string[]) => spawnSync('sh', [file, ...words], { encoding: 'utf8' });

test('a package for one device is a secret, installs what its agent needs, works once and removes itself', async () => {
  const { out, code, stdout, stderr } = await make('press-1.sh', 'press-1', '--model', 'light', '--force');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /a secret: .*\nusable until .* UTC, once/);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  const state = join(world.folder, 'press 1', 'state');
  const installed = sh(out, '--state', state);
  assert.equal(installed.status, 0, installed.stderr);
  assert.equal(existsSync(out), false);
  const settings = settingsSchema.parse(JSON.parse(await readFile(join(state, 'agent.json'), 'utf8')));
  assert.equal(settings.deviceId, 'press-1');
  assert.match(readFileSync(join(state, 'hub-ca.pem'), 'utf8'), /BEGIN CERTIFICATE/);
  for (const name of ['agent.json', 'enrollment-token']) assert.equal(statSync(join(state, name)).mode & 0o777, 0o600);
  const token = await readFile(join(state, 'enrollment-token'), 'utf8');
  await using device = await TestDevice.withoutTpm('press-1', join(world.folder, 'device-1'));
  accepted(await device.tryEnroll(world, token), certificateResponse);
  await using other = await TestDevice.withoutTpm('press-2', join(world.folder, 'device-2'));
  assertRefused(await other.tryEnroll(world, token), { status: 403, code: 'enrollment-refused' });
});

test('a package does not overwrite an agent, refuses another device, and refuses after its token has ended', async () => {
  const { out } = await make('press-3.sh', 'press-3');
  const state = join(world.folder, 'taken');
  assert.match(sh(out, 'press-4', '--state', state).stderr, /for press-3 alone/);
  const text = await readFile(out, 'utf8');
  await writeFile(out, text.replace(/-lt \d+ \]/, '-lt 1000 ]'));
  assert.match(sh(out, '--state', state).stderr, /its token ended on/);
  await writeFile(out, text);
  assert.equal(existsSync(join(state, 'agent.json')), false);
  assert.equal(sh(out, '--state', state).status, 0);
  await writeFile(out, text);
  const again = sh(out, '--state', state);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /has an agent already: nothing was changed/);
});

// SECURITY.md: DEV-94
test('a link that the agent’s user left in its folder takes no file of a package elsewhere', async () => {
  const { out } = await make('press-6.sh', 'press-6');
  const [state, elsewhere] = [join(world.folder, 'linked'), join(world.folder, 'elsewhere')];
  for (const folder of [state, elsewhere]) mkdirSync(folder);
  symlinkSync(elsewhere, join(state, 'enrollment-token'));
  const refused = sh(out, '--state', state);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /is a folder: nothing was changed/);
  assert.deepEqual(readdirSync(elsewhere), []);
  assert.deepEqual(readdirSync(state), ['enrollment-token']);
});

test('a package of a group takes the id of each device, and nothing else', async () => {
  const group = ['create', 'line-3', '--kind', 'token', '--id-prefix', 'press-', '--devices', '5'];
  const created = await edgekeep('enrollment-group', ...group, '--operator', world.operatorFile);
  assert.equal(created.code, 0, created.stderr);
  const { out, code, stderr } = await make('line-3.sh', '--enrollment-group', 'line-3', '--uses', '2');
  assert.equal(code, 0, stderr);
  for (const bad of ['', '-x', 'A', 'press 1', 'x/../y', 'a"b', '$(id)', 'a&b'])
    assert.match(sh(out, bad, '--state', join(world.folder, 'bad')).stderr, /name the device|unknown option/, bad);
  for (const id of ['press-11', 'press-12']) {
    const state = join(world.folder, id);
    const { status, stderr: why } = sh(out, id, '--state', state);
    assert.equal(status, 0, why);
    assert.equal(settingsSchema.parse(JSON.parse(await readFile(join(state, 'agent.json'), 'utf8'))).deviceId, id);
    await using device = await TestDevice.withoutTpm(id, join(world.folder, `device-${id}`));
    accepted(
      await device.tryEnroll(world, await readFile(join(state, 'enrollment-token'), 'utf8')),
      certificateResponse,
    );
  }
  assert.ok(existsSync(out));
});

test('a package that fails leaves no file, and one that is there costs no token', async () => {
  const tokens = async () =>
    (await world.operator.get('/v1/enrollment-tokens?state=any', enrollmentTokenList)).tokens.length;
  const before = await tokens();
  const there = join(world.folder, 'there.sh');
  await writeFile(there, 'mine');
  assert.equal((await make('there.sh', 'press-5')).code, 3);
  assert.equal(await readFile(there, 'utf8'), 'mine');
  assert.equal(await tokens(), before);
  const wrong = await make('none.sh', '--enrollment-group', 'nobody', '--uses', '2');
  assert.notEqual(wrong.code, 0);
  assert.equal(existsSync(wrong.out), false);
  for (const words of [[], ['a', '--enrollment-group', 'b'], ['A b']])
    assert.equal((await make('x.sh', ...words)).code, 2);
});
