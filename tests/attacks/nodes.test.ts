// Attacks on the nodes of a hub: somebody between a new machine and the hub, guessed codes, one person alone, a second hub on the store.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeJoinCode, joinSecretLength, parseJoinCode } from '@edgekeep/core/authority/join-code';
import { HubError } from '@edgekeep/hub/common/error';
import { inviteResponse, nodeList, removeNodeResponse } from '@edgekeep/wire/api/node';
import { apiTokenResponse, personRequest } from '@edgekeep/wire/api/people';
import { Nodes, onServer } from '../support/nodes.ts';
import { newToken, registration } from '../support/people.ts';
import type { Hub } from '@edgekeep/hub/wiring/start';

const refusedWith = (code: string) => (error: unknown) => error instanceof HubError && error.code === code;

/** One hub for the attacks, and another one, of an attacker. */
let nodes: Nodes;
let one: Hub;
let others: Nodes;
let other: Hub;
before(async () => {
  if (onServer.skip !== false) return;
  nodes = await Nodes.make('attacked');
  one = await nodes.start('one');
  others = await Nodes.make('attacker');
  other = await others.start('one');
});
after(async () => {
  await nodes?.[Symbol.asyncDispose]();
  await others?.[Symbol.asyncDispose]();
});

const namesOf = async () =>
  (await (await nodes.operator(one)).get('/v1/nodes', nodeList)).nodes.map(({ name }) => name);

// SECURITY.md: HUB-125
test(
  'a new machine that reaches another hub, or somebody in between, gives nothing away and joins nothing',
  onServer,
  async () => {
    const before = await namesOf();
    const code = parseJoinCode(await nodes.invite(one, 'diverted'));
    const diverted = encodeJoinCode({ ...code, url: `https://127.0.0.1:${other.operatorAddress.port}` });
    await assert.rejects(nodes.join(diverted, 'diverted'), refusedWith('join-refused'));
    assert.equal(existsSync(join(nodes.folder, 'diverted', 'hub.json')), false);
    const { nodes: theirs } = await (await others.operator(other)).get('/v1/nodes', nodeList);
    assert.equal(theirs.length, 1);
    assert.deepEqual(await namesOf(), before);
    // The code was not used up: the machine joins when the way is clear.
    await nodes.join(encodeJoinCode(code), 'diverted');
    assert.ok((await namesOf()).includes('diverted'));
  },
);

// SECURITY.md: HUB-125
test('a guessed code, one of another hub and a cut one let no machine join', onServer, async () => {
  const code = parseJoinCode(await nodes.invite(one, 'guessed'));
  const guessed = encodeJoinCode({ ...code, secret: new Uint8Array(joinSecretLength).fill(7) });
  await assert.rejects(nodes.join(guessed, 'guess-1'), refusedWith('join-refused'));
  const foreign = parseJoinCode(await others.invite(other, 'foreign'));
  const here = encodeJoinCode({ ...foreign, url: code.url, rootSha256: code.rootSha256 });
  await assert.rejects(nodes.join(here, 'guess-2'), refusedWith('join-refused'));
  await assert.rejects(nodes.join(encodeJoinCode(code).slice(0, -3), 'guess-3'), refusedWith('request-invalid'));
});

// SECURITY.md: HUB-124
test('a code makes one node: a second machine with it gets nothing, and a killed one goes on', onServer, async () => {
  const code = await nodes.invite(one, 'once');
  // This machine cannot open the store: the code is used, and nothing whole is in the folder.
  const wrong = { store: { url: 'postgres://nobody@/nowhere?host=/nonexistent' } };
  await assert.rejects(nodes.join(code, 'once', wrong));
  assert.equal(existsSync(join(nodes.folder, 'once', 'hub.json')), false);
  await assert.rejects(nodes.join(code, 'thief'), refusedWith('join-refused'));
  await nodes.join(code, 'once');
  assert.equal((await namesOf()).filter((name) => name === 'once').length, 1);
  const settings = await readFile(join(nodes.folder, 'once', 'hub.json'), 'utf8');
  assert.match(settings, /"logOrigin": "hub.test\/log"/);
  await assert.rejects(nodes.join(code, 'once'), refusedWith('conflict'));
});

// SECURITY.md: HUB-04
test('where a hub has two people, one of them makes no code and removes no node', onServer, async () => {
  const operator = await nodes.operator(one);
  await operator.send('POST', '/v1/people', { name: 'ben' }, personRequest);
  await operator.send('POST', '/v1/tokens', registration('ben', newToken()), apiTokenResponse);
  const before = await namesOf();
  const invitation = { name: 'alone', publicKey: 'A'.repeat(43), lifeSeconds: 60 };
  await assert.rejects(operator.send('POST', '/v1/nodes/invitations', invitation, inviteResponse), { status: 202 });
  const removal = operator.send('POST', `/v1/nodes/once/remove`, { reason: 'x' }, removeNodeResponse);
  await assert.rejects(removal, { status: 202 });
  assert.deepEqual(await namesOf(), before);
});
