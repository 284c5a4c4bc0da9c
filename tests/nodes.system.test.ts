// Two nodes of one hub over a PostgreSQL database: the second joins with a one-time code, both use the same keys, and one is removed.
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { toHex } from '@edgekeep/core/bytes';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import type { Hub } from '@edgekeep/hub/wiring/start';
import { authorityOverview, issuingRequestResponse } from '@edgekeep/wire/api/authority';
import { nodeList, removeNodeResponse } from '@edgekeep/wire/api/node';
import { platformKeyRollResponse, platformKeyView } from '@edgekeep/wire/api/platform-key';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import { z } from 'zod';
import { Nodes, onServer, startNode, until, withDatabase } from './support/nodes.ts';
import { OfflineRoot } from './support/offline-root.ts';

const anything = z.unknown();

/** The id of the CA that certified the operator listener. */
async function issuerOf({ operatorAddress, rootPem }: Hub): Promise<string> {
  await using connection = await HubConnection.open({
    ...operatorAddress,
    serverName: 'localhost',
    authoritiesPem: [rootPem],
  });
  return toHex(keyIdentifierOf(connection.serverChain[1]?.spki ?? new Uint8Array(0)));
}

test('a machine joins with a code, and what one node makes the other uses', onServer, async () => {
  await using nodes = await Nodes.make('join');
  const one = await nodes.start('one');
  await nodes.join(await nodes.invite(one, 'two'), 'two');
  // A person who has just typed a new passphrase does not type it again.
  assert.equal(nodes.asked, 0);
  const two = await nodes.start('two');
  const [first, second] = [await nodes.operator(one), await nodes.operator(two)];
  assert.equal(two.rootPem, one.rootPem);
  assert.deepEqual(two.logKey, one.logKey);
  const listed = await until(
    () => second.get('/v1/nodes', nodeList),
    ({ nodes: all }) => all.every(({ state }) => state === 'running'),
  );
  assert.equal(listed.self, 'two');
  assert.equal(listed.nodes.length, 2);
  // A CA that was made at the first certifies the listeners of the second.
  const root = await OfflineRoot.open(nodes.rootFolder, Date.now);
  const { id, request } = await first.send(
    'POST',
    '/v1/authorities/request',
    { classes: ['server'] },
    issuingRequestResponse,
  );
  const installed = { certificates: await root.signIssuing(request), activate: 'now', force: true };
  await first.send('POST', '/v1/authorities/install', installed, authorityOverview);
  await until(
    () => issuerOf(two),
    (issuer) => issuer === id,
  );
  // A platform key too.
  const rolled = await first.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse);
  await until(
    () => second.get('/v1/platform-key', platformKeyView),
    ({ version, finished }) => version === rolled.version && finished,
  );
});

// SECURITY.md: HUB-123
test('a removed node ends, and does not start again', onServer, async () => {
  await using nodes = await Nodes.make('remove');
  const one = await nodes.start('one');
  await nodes.join(await nodes.invite(one, 'two'), 'two');
  const two = await nodes.start('two');
  const operator = await nodes.operator(one);
  await operator.send('POST', '/v1/nodes/two/remove', { reason: 'stolen' }, removeNodeResponse);
  assert.equal((await two.refused).code, 'node-ended');
  await two[Symbol.asyncDispose]();
  await assert.rejects(nodes.start('two'), { code: 'node-unknown' });
  const { nodes: all } = await operator.get('/v1/nodes', nodeList);
  assert.deepEqual(new Set(all.map(({ state }) => state)), new Set(['running', 'removed']));
  assert.equal(all.find(({ name }) => name === 'two')?.state, 'removed');
});

test(
  'nodes go on while the next version upgrades their store by additions, start again on it, and end when it serves them no more',
  onServer,
  async () => {
    await using nodes = await Nodes.make('mixed');
    const one = await nodes.start('one');
    await nodes.join(await nodes.invite(one, 'two'), 'two');
    const upgrade = (statements: readonly string[]) =>
      withDatabase(nodes.place, async (client) => {
        for (const statement of statements) await client.query(statement);
      });
    await upgrade([
      'create table later_thing (id integer)',
      'alter table hub_name add column later_text text',
      "insert into kysely_migration (name, timestamp) values ('0999-later', '2099-01-01T00:00:00.000Z')",
    ]);
    // A node of this version starts on the upgraded store, and both change it.
    const two = await nodes.start('two');
    for (const hub of [one, two]) {
      const operator = await nodes.operator(hub);
      await operator.send('POST', '/v1/sites', { name: `site-${hub.operatorAddress.port}` }, anything);
    }
    await upgrade(["update store_floor set migration = '0999-later'"]);
    for (const hub of [one, two]) assert.equal((await hub.refused).code, 'store-newer');
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
    await assert.rejects(nodes.start('two'), { code: 'store-newer' });
  },
);

// SECURITY.md: HUB-127
test('a copied data folder and a folder that never joined do not start', onServer, async () => {
  await using nodes = await Nodes.make('copied');
  const one = await nodes.start('one');
  const copy = join(nodes.folder, 'copy');
  await cp(join(nodes.folder, 'one'), copy, { recursive: true });
  await assert.rejects(startNode(copy), { code: 'node-in-use' });
  await rm(join(copy, 'keys', 'node.json'));
  await assert.rejects(startNode(copy), { code: 'node-unknown' });
  await one[Symbol.asyncDispose]();
  // The keys of the hub are in the store, and the folder has the key of the node.
  await nodes.start('one');
});
