// Actions on the operator listener that no other test covers: reading the log as static files, withdrawing a model, revoking a token.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { publishModel } from '@edgekeep/cli/model/publication';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { modelView } from '@edgekeep/wire/api/model-release';
import { apiTokenRevoked } from '@edgekeep/wire/api/people';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';

const root = join(import.meta.dirname, '..');
let world: HubWorld;

before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

// SECURITY.md: HUB-11, HUB-35
test('anyone can verify the hashes of the log over HTTPS, without a token, and an auditor its entries', async () => {
  await world.integrated();
  const authority = join(world.folder, 'ca.pem');
  writeFileSync(authority, world.hub.rootPem);
  const { host, port } = world.hub.operatorAddress;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority };
  const verify = (place: string, ...more: readonly string[]) => {
    const args = ['cli/src/main.ts', 'audit', 'verify', place, '--key', encodeVerifierKey(world.hub.logKey), '--json'];
    return promisify(execFile)(process.execPath, [...args, ...more], { cwd: root, env, timeout: 200_000 });
  };
  const url = `https://${host}:${port}/log`;
  assert.match((await verify(url, '--hashes-only')).stdout, /"verified"/);
  await assert.rejects(verify(url), { code: 1, stderr: /scope-missing.* is for auditors.*--hashes-only/ });
  assert.match((await verify('hub', '--operator', world.operatorFile)).stdout, /"verified"/);
  const answer = await world.askOperator('GET', '/log/tile/0/x001/001');
  assertRefused(answer, { status: 404, code: 'not-found' });
  assertRefused(await world.askOperator('GET', '/log/tile/0/..%2f..%2fhub.json'), { status: 404, code: 'not-found' });
});

test('a withdrawn model is offered no more, and can not be withdrawn twice', async () => {
  await world.publishModel('scratch', '1.0.0', 'weights');
  const path = '/v1/models/scratch/1.0.0/withdraw';
  assert.equal((await world.operator.send('POST', path, {}, modelView)).state, 'withdrawn');
  const token = await world.adminToken();
  assertRefused(await world.askOperator('POST', path, { token, body: '{}' }), { status: 409, code: 'conflict' });
  assert.equal((await world.entries('model-withdrawn')).length, 1);
});

test('a version below one that devices may have served is published with a warning, at its beginning and at its end', async () => {
  const said: string[] = [];
  const publish = async (version: string) => {
    const path = join(world.folder, 'weights.bin');
    await writeFile(path, version);
    const order = { path, name: 'ladder', version, signer: world.publisher, withoutOrt: true };
    return publishModel(world.operator, { ...order, progress: (step) => void said.push(step) });
  };
  const warnings = () => said.filter((step) => step.startsWith('warning: '));
  assert.equal((await publish('2.0.0')).advice, null);
  assert.deepEqual(warnings(), []);
  await world.operator.send('POST', '/v1/models/ladder/2.0.0/withdraw', {}, modelView);
  const { advice, state } = await publish('1.9.0');
  assert.equal(state, 'published');
  assert.match(advice ?? '', /ladder 2\.0\.0 was published before: devices that served it refuse 1\.9\.0/);
  assert.deepEqual(warnings(), [`warning: ${advice}`]);
  assert.equal((await publish('2.0.1')).advice, null);
});

test('a revoked API token opens nothing from then on', async () => {
  const token = await world.apiToken(['devices:read']);
  accepted(await world.askOperator('GET', '/v1/devices', { token }), deviceList);
  assert.equal((await world.operator.send('POST', '/v1/tokens/test/revoke', {}, apiTokenRevoked)).revoked, 1);
  assertRefused(await world.askOperator('GET', '/v1/devices', { token }), { status: 401, code: 'token-refused' });
});
