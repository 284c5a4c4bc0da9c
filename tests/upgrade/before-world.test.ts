// A hub's folder, its backup and an agent's state from the commit before "Meet the world" (make-fixture.ts) still work.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { parseBase64url } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { entryVersionHeader, releaseResponse, saltedEntryVersion } from '@edgekeep/wire/api/access';
import { alertList } from '@edgekeep/wire/api/alert';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { modelList } from '@edgekeep/wire/api/model-release';
import { tokenList } from '@edgekeep/wire/api/people';
import { vendorRootList } from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import { accepted } from '../support/answer.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestAgent } from '../support/test-agent.ts';
import { assertReceiptVerifies, openHub } from './as-before.ts';
import { OldWorld } from './old-world.ts';

let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-world');
});
after(() => old?.[Symbol.asyncDispose]());

test('a hub of the version before opens with its devices, models and log as they were', async () => {
  await using world = await openHub(old);
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  const states = devices.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states.toSorted(), ['press-1 active', 'thin-1 quarantined']);
  const { models } = await world.operator.get('/v1/models', modelList);
  const releases = models.map(({ version, state }) => `${version} ${state}`);
  assert.deepEqual(releases.toSorted(), ['0.9.0 withdrawn', '1.0.0 published']);
  assert.equal((await world.entries('key-released')).length, 1);
  await world.integrated();
});

// SECURITY.md: HUB-07
test('tokens of the version before end with the one that made them, whose file runs to its end with an alert', async () => {
  const ends = Date.now() + 3_600_000;
  await using world = await old.open(async (to) => {
    await cp(old.at('hub'), to, { recursive: true });
    using store = new DatabaseSync(join(to, 'hub.sqlite'));
    // Made long ago, and valid for an hour; the token that it made is still valid.
    const first = "update api_token set expires_at = ?, created_at = created_at - 90000000 where created_by = 'hub'";
    store.prepare(first).run(ends);
    store.prepare("update api_token set expires_at = ? where created_by <> 'hub'").run(ends + 3_600_000);
  });
  const file: unknown = JSON.parse(await readFile(old.at('hub', 'operator.json'), 'utf8'));
  const { token } = z.object({ token: z.string() }).parse(file);
  assert.equal((await world.askOperator('GET', '/v1/devices', { token })).status, 200);
  await world.hub.sweepAuthorities();
  const { alerts } = await world.operator.get('/v1/alerts?state=any', alertList);
  const kinds = alerts.map(({ kind }) => kind);
  assert.ok(kinds.includes('bootstrap-token'), kinds.join(' '));
  assert.ok(!kinds.includes('service-token-orphaned'), kinds.join(' '));
  const { tokens } = await world.operator.get('/v1/tokens', tokenList);
  const made = tokens.filter(({ name }) => ['ci', 'child-of-admin'].includes(name));
  assert.deepEqual(made.map(({ name, expiresAt }) => `${name} ${expiresAt - ends}`).toSorted(), [
    'child-of-admin 0',
    'ci 0',
  ]);
  const body = JSON.stringify({ name: 'berta', sha256: 'b'.repeat(64) });
  assert.equal((await world.askOperator('POST', '/v1/claim', { token, body })).status, 200);
  assert.equal((await world.askOperator('GET', '/v1/devices', { token })).status, 401);
  await world.hub.sweepAuthorities();
  const standing = await world.operator.get('/v1/alerts', alertList);
  assert.deepEqual(
    standing.alerts.filter(({ kind }) => kind === 'bootstrap-token'),
    [],
  );
});

test('files in vendor-roots of the version before are in the store, each certificate once', async () => {
  await using world = await openHub(old);
  const { roots } = await world.operator.get('/v1/vendor-roots', vendorRootList);
  assert.deepEqual(
    roots.map(({ kind, role, source }) => `${kind} ${role} ${source}`),
    ['tpm root vendor-roots/0.pem'],
  );
  await world.restart();
  const after = await world.operator.get('/v1/vendor-roots', vendorRootList);
  assert.deepEqual(after, { roots, next: null });
});

test('an agent of the version before comes back with its state and gets its key', async () => {
  await using world = await openHub(old);
  const state = await mkdtemp(join(tmpdir(), 'edgekeep-agent-'));
  await cp(old.at('agent'), state, { recursive: true });
  await using agent = TestAgent.onState(world, 'press-1', state, { models: [{ name: 'opaque', use: 'program' }] });
  const story = await agent.start();
  await story.next('attested');
  await story.next('released');
  await story.next('ready');
});

test('a receipt of the version before verifies with what the hub says today', () => assertReceiptVerifies(old));

test('the receipt of a key is over an entry that the device can read: without a salt for an agent of the version before', async () => {
  await using opened = await SoftwareWorld.open();
  const { world, device, link } = opened;
  await world.publishModel('opaque', '1.0.0', 'weights');
  const ask = async (headers: Readonly<Record<string, string>>) => {
    const proof = await device.releaseProof(await link.challenge(), link.exporter);
    const body = JSON.stringify({ model: 'opaque', version: '1.0.0', ...proof });
    const answer = accepted(await link.send('POST', '/v1/releases', body, headers), releaseResponse);
    const receipt = parseBase64url(answer.receipt, 'receipt');
    const { entry } = parseJson(receipt, z.looseObject({ entry: z.string() }), 'receipt');
    return parseAuditEntry(Buffer.from(entry, 'base64')).type;
  };
  assert.equal(await ask({}), 'edgekeep-audit-entry/v1');
  assert.equal(await ask({ [entryVersionHeader]: saltedEntryVersion }), 'edgekeep-audit-entry/v2');
});

test('a backup of the version before restores to a hub that starts', async () => {
  await using world = await old.open((to) => restoreHub(old.at('hub.backup'), to, 'unsigned'));
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  assert.equal(devices.length, 2);
});
