// `edgekeep hub claim`: the first operator file of a hub is valid for a day, and becomes one person's own.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { apiTokenResponse, claimResponse, personList, tokenList, tokenView } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { edgekeep, edgekeepJson } from './main-job/edgekeep.ts';
import { assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { addPerson, newToken, TestPerson } from './support/people.ts';

const hours = 24;
const open = () => HubWorld.open({ settings: { tokens: { bootstrapHours: hours } } });
const file = z.object({ token: z.string() });

/** The files of a hub's people, and a claim with the file of `hub init`. */
function filesOf(world: HubWorld) {
  const at = (name: string) => join(world.folder, name);
  const first = ['--operator', world.operatorFile];
  const claim = (name: string, out: string) => ['hub', 'claim', '--name', name, '--out', at(out), ...first];
  return { at, first, claim, ada: ['--operator', at('ada.json')] };
}

// SECURITY.md: HUB-07
test('a claim makes a token that only its person has, takes over what the first one made, and ends that one at once', async () => {
  await using world = await open();
  const { at, first, claim, ada } = filesOf(world);
  const make = ['token', 'create', '--name', 'ci', '--scope', 'models:read', '--service'];
  const service = await edgekeepJson(apiTokenResponse.extend({ token: z.string() }), make, first);
  const claimed = await edgekeepJson(claimResponse, claim('ada', 'ada.json'));
  assert.equal((await stat(at('ada.json'))).mode & 0o777, 0o600);
  const { token } = file.parse(JSON.parse(await readFile(at('ada.json'), 'utf8')));
  const firstToken = await world.adminToken();
  assert.notEqual(token, firstToken);
  assertRefused(await world.askOperator('GET', '/v1/devices', { token: firstToken }), {
    status: 401,
    code: 'token-refused',
  });
  const own = await edgekeepJson(tokenView, 'token', 'show', claimed.id, ada);
  assert.deepEqual([own.person, own.roles], ['ada', ['administrator']]);
  const { tokens } = await edgekeepJson(tokenList.omit({ next: true }), 'token', 'list', ada);
  assert.deepEqual(tokens.map(({ name }) => name).toSorted(), ['ci', 'claimed']);
  assert.equal((await world.askOperator('GET', '/v1/models', { token: service.token })).status, 200);
  // Now it is hers: it ends with her token.
  assert.equal((await edgekeep('token', 'revoke', claimed.id, ada)).code, 0);
  assert.equal((await world.askOperator('GET', '/v1/models', { token: service.token })).status, 401);
});

// SECURITY.md: HUB-07
test('a hub is claimed once: the ended file is refused, every other token too, and no file is left of it', async () => {
  await using world = await open();
  const { at, first, claim, ada } = filesOf(world);
  const make = ['token', 'create', '--name', 'own', '--role', 'administrator', '--days', '0.5'];
  const child = await edgekeepJson(apiTokenResponse.extend({ token: z.string() }), make, first);
  await edgekeepJson(claimResponse, claim('ada', 'ada.json'));
  const again = await edgekeep(claim('eve', 'eve.json'));
  assert.equal(again.code, 1);
  assert.match(again.stderr, /token-refused/);
  const byAda = await edgekeep('hub', 'claim', '--name', 'eve', '--out', at('eve.json'), ada);
  assert.match(byAda.stderr, /conflict.*only the first operator file/);
  const body = JSON.stringify({ name: 'eve', sha256: 'a'.repeat(64) });
  const byChild = await world.askOperator('POST', '/v1/claim', { token: child.token, body });
  assertRefused(byChild, { status: 409, code: 'conflict' });
  assert.equal(existsSync(at('eve.json')), false);
  const { people } = await edgekeepJson(personList, 'person', 'list', ada);
  assert.deepEqual(
    people.map(({ name, tokens }) => `${name} ${tokens}`),
    ['ada 2', 'admin 0'],
  );
});

// SECURITY.md: HUB-07
test('what a person made with the first operator file before the claim is no second person', async () => {
  await using world = await open();
  const { at, first, claim, ada } = filesOf(world);
  const own = ['token', 'create', '--role', 'administrator', '--days', '0.5', '--name'];
  const child = await edgekeepJson(apiTokenResponse.extend({ token: z.string() }), own, 'own', first);
  await edgekeepJson(claimResponse, claim('ada', 'ada.json'));
  assert.equal((await edgekeepJson(personList, 'person', 'list', ada)).twoPeople, false);
  // With a real second person, her two tokens do not approve for each other.
  assert.equal((await edgekeep('person', 'add', 'ben', ada)).code, 0);
  const { sha256 } = newToken();
  const register = ['token', 'create', '--name', 'desk', '--role', 'administrator', '--person', 'ben'];
  assert.equal((await edgekeep(register, '--sha256', sha256, ada)).code, 0);
  const adaToken = file.parse(JSON.parse(await readFile(at('ada.json'), 'utf8'))).token;
  const waiting = await new TestPerson(world, 'ada', adaToken).waits('POST', '/v1/people', { name: 'eve' });
  const approved = await new TestPerson(world, 'admin', child.token).approve(waiting);
  assertRefused(approved, { status: 403, code: 'approval-refused' });
});

test('a claim overwrites no file, and changes nothing at the hub then', async () => {
  await using world = await open();
  const { first, claim } = filesOf(world);
  await edgekeepJson(claimResponse, claim('ada', 'ada.json'));
  await using another = await open();
  const blocked = ['hub', 'claim', '--name', 'ben', '--out', join(world.folder, 'ada.json')];
  const before = await readFile(join(world.folder, 'ada.json'));
  assert.equal((await edgekeep(blocked, '--operator', another.operatorFile)).code, 3);
  assert.deepEqual(await readFile(join(world.folder, 'ada.json')), before);
  assert.equal((await edgekeep('device', 'list', '--operator', another.operatorFile)).code, 0);
  assert.equal((await edgekeep('device', 'list', first)).code, 1);
});

// SECURITY.md: HUB-07
test('the first operator file ends after tokens.bootstrapHours, and claims nothing from then on', async () => {
  await using world = await open();
  const { at, claim } = filesOf(world);
  const token = await world.adminToken();
  world.clock.advanceSeconds(hours * 3_600 - 60);
  assert.equal((await world.askOperator('GET', '/v1/devices', { token })).status, 200);
  world.clock.advanceSeconds(60);
  const refused = { status: 401, code: 'token-refused', says: /expired/ };
  assertRefused(await world.askOperator('GET', '/v1/devices', { token }), refused);
  assert.match((await edgekeep(claim('ada', 'ada.json'))).stderr, /token-refused/);
  assert.equal(existsSync(at('ada.json')), false);
});

// SECURITY.md: HUB-07
test('no backup has an operator file or the text of its token', async () => {
  await using world = await open();
  const { at } = filesOf(world);
  const out = at('hub.backup');
  await backUpHub({ folder: world.hubFolder, file: out, plain: true, blobs: true });
  const bytes = await readFile(out);
  assert.ok(bytes.includes('"path":"hub.json"'));
  assert.equal(bytes.includes('operator.json'), false);
  assert.equal(bytes.includes(await world.adminToken()), false);
});

test('with two people a claim waits for the other one, and the file that was written is good once they approve', async () => {
  await using world = await open();
  const { at, claim, ada } = filesOf(world);
  const ben = await addPerson(world, 'ben');
  const asked = await edgekeep(claim('ada', 'ada.json'));
  assert.equal(asked.code, 1);
  const [, id = ''] = /edgekeep approval show ([0-9a-f-]{36})/.exec(asked.stderr) ?? [];
  assert.ok(existsSync(at('ada.json')));
  assert.equal((await edgekeep('device', 'list', ada)).code, 1);
  assert.equal((await ben.approve(await ben.approval(id))).status, 200);
  assert.equal((await edgekeep('device', 'list', ada)).code, 0);
  assert.equal((await edgekeep('device', 'list', '--operator', world.operatorFile)).code, 1);
});
