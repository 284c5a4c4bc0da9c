// Every root operation, asked for in a form that one person could carry out alone before there were two: it waits, and nothing of it is done.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { toBase64, toBase64url } from '@edgekeep/core/bytes';
import { parsePem } from '@edgekeep/core/identity/pem';
import { tokenId } from '@edgekeep/hub/people/token-store';
import { rootOperations } from '@edgekeep/hub/people/root-operations';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { sha256Hex } from '@edgekeep/core/digest';
import { hubKeysView, issuingRequestResponse, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { policyView } from '@edgekeep/wire/api/policy';
import { importReport } from '@edgekeep/wire/api/registry';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { z } from 'zod';
import { accepted, assertRefused } from '../support/answer.ts';
import { HubWorld, newPublisher, publicPem } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { addPerson, firstPerson, newToken, registration, type TestPerson } from '../support/people.ts';
import { inStore } from '../support/outside-store.ts';

/** Policy text that looks at two groups, at tags and at the place. */
const restingOnFacts = `@id("facts") forbid (principal in Edgekeep::Group::"ben", action == Edgekeep::Action::"fetch", resource)
when { principal.hasTag("line") && principal.getTag("line") == "press" && !context.network.atSite };
@id("others") forbid (principal in Edgekeep::Group::"carl", action == Edgekeep::Action::"fetch", resource);
@id("wanted") forbid (principal in Edgekeep::Group::"wanted", action == Edgekeep::Action::"fetch", resource);`;

const derOf = (pem: string) => parsePem(pem, 'CERTIFICATE')[0] ?? new Uint8Array(0);

/** What each operation is about, made while one person is enough. */
async function prepare(world: HubWorld, ada: TestPerson) {
  const post = async (path: string, body: object): Promise<Uint8Array> => {
    const answer = await ada.ask('POST', path, body);
    assert.equal(answer.status, 200, `${path}: ${Buffer.from(answer.body).toString()}`);
    return answer.body;
  };
  const tokenIn = (body: Uint8Array) => accepted({ status: 200, body }, z.object({ token: z.string() })).token;
  await post('/v1/enrollment-groups', { name: 'ben', kind: 'token' });
  await post('/v1/groups', { name: 'ben' });
  await post('/v1/groups', { name: 'presses' });
  await post('/v1/groups', { name: 'strict' });
  await post('/v1/groups', { name: 'wanted', filter: 'desired.line==1' });
  await post('/v1/sites', { name: 'ben' });
  await post('/v1/webhooks', { name: 'old', url: 'https://desk.example/hook' });
  for (const id of ['press-1', 'press-2']) await post('/v1/token-devices', { id });
  const service = newToken();
  await post('/v1/tokens', { name: 'ci', scopes: ['devices:read'], service: true, sha256: service.sha256 });
  const enrollmentToken = tokenIn(await post('/v1/enrollment-tokens', {}));
  const maker = derOf((await makeTestAuthority('a maker')).authorityPem);
  await post('/v1/vendor-roots', { kind: 'tpm', certificates: [toBase64(maker)] });
  const root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  const request = async () =>
    accepted(
      { status: 200, body: await post('/v1/authorities/request', { classes: ['device'] }) },
      issuingRequestResponse,
    );
  const next = await request();
  await post('/v1/authorities/install', { certificates: await root.signIssuing(next.request) });
  const { text } = accepted(await ada.ask('GET', '/v1/policy'), policyView);
  const applied = await ada.ask('PUT', '/v1/policy', { text: `${text}\n${restingOnFacts}` });
  assert.equal(applied.status, 200, Buffer.from(applied.body).toString());
  const rootSha256 = sha256Hex(root.certificate.der);
  // A hub has one that was replaced after months of a roll-over.
  const replaced = 'f'.repeat(64);
  await inStore(world.place, async (store) => {
    const previous =
      "insert into root_authority (sha256, generation, status, der, added_at) values (?, 0, 'previous', ?, 0)";
    await store.run(previous, replaced, root.certificate.der);
    const hybrid = "insert into device_hybrid_key (device_id, public_key, registered_at) values ('press-1', ?, 0)";
    await store.run(hybrid, new Uint8Array(1_216));
    await store.run("insert into event_cursor (name, position, moved_at, failures) values ('late', 0, 0, 0)");
  });
  const keyRequest = async (purposes: readonly string[]) =>
    accepted({ status: 200, body: await post('/v1/authorities/keys/request', { purposes }) }, keyRequestResponse)
      .request;
  const keyList = await root.signKeys(await keyRequest(['attestation-result']));
  const { keys } = accepted({ status: 200, body: await post('/v1/authorities/keys/list', { keyList }) }, hubKeysView);
  return {
    publisher: keyFingerprint(world.publisher.publicKey),
    nextKey: keys.find(({ status }) => status === 'next')?.id,
    keyList: await root.signKeys(await keyRequest([])),
    issuing: next.id,
    maker: sha256Hex(maker),
    replaced,
    rootSha256,
    service: tokenId(service.sha256),
    enrollmentToken: tokenId(sha256Hex(enrollmentToken)),
    policy: `${text}\n${restingOnFacts}\n// once more`,
    signed: await root.signIssuing((await request()).request),
    introduced: await root.introduce(await root.successor(join(world.folder, 'next-root'))),
    list: toBase64url(await root.revoke((await makeTestAuthority('of somebody else')).authorityPem)),
    otherMaker: toBase64(derOf((await makeTestAuthority('another maker')).authorityPem)),
  };
}

/** A request for each operation: its path, with names filled in where it has them, and its body. */
function requestsOf(made: Awaited<ReturnType<typeof prepare>>): Readonly<Record<string, readonly [string, object?]>> {
  const claim = { name: 'carl', sha256: '0'.repeat(64) };
  return {
    'trust-publisher': ['/v1/publishers', { name: 'another', publicKey: publicPem(newPublisher()) }],
    'end-publisher': [`/v1/publishers/${made.publisher}/end`, { note: 'left' }],
    'open-enrollment-group': ['/v1/enrollment-groups', { name: 'lot', kind: 'manifest' }],
    'limit-enrollment-group': ['/v1/enrollment-groups/ben/limit', { maxDevices: 10 }],
    'long-enrollment-token': ['/v1/enrollment-tokens', { lifeSeconds: 8 * 86_400 }],
    'long-group-token': ['/v1/enrollment-groups/ben/tokens', { maxUses: 2, lifeSeconds: 8 * 86_400 }],
    'import-vendor-roots': ['/v1/vendor-roots', { kind: 'tpm', certificates: [made.otherMaker] }],
    'remove-vendor-root': [`/v1/vendor-roots/tpm/${made.maker}?reason=x`],
    'apply-policy': ['/v1/policy', { text: made.policy }],
    'assign-model': ['/v1/models/belt/groups', { add: ['presses'] }],
    'change-countries': ['/v1/countries', { networks: [] }],
    'create-group': ['/v1/groups', { name: 'carl' }],
    'delete-group': ['/v1/groups/ben'],
    'change-members': ['/v1/groups/ben/members', { add: ['press-1'] }],
    'change-tags': ['/v1/devices/press-1/tags', { set: { line: 'press' } }],
    'change-desired': ['/v1/devices/press-1/desired', { attributes: { line: 1 } }],
    'create-site': ['/v1/sites', { name: 'hall' }],
    'change-site': ['/v1/sites/ben', { description: 'x' }],
    'delete-site': ['/v1/sites/ben'],
    'move-devices': ['/v1/sites/ben/devices', { add: ['press-1'] }],
    'roll-policy-back': ['/v1/policy/rollback', { version: 1 }],
    'enable-enrollment-group': ['/v1/enrollment-groups/ben/enable', {}],
    'roll-platform-key': ['/v1/platform-key/roll'],
    'install-issuing': ['/v1/authorities/install', { certificates: made.signed }],
    'activate-issuing': [`/v1/authorities/issuing/${made.issuing}/activate`, {}],
    'revoke-issuing': [`/v1/authorities/issuing/${made.issuing}/revoke`, { note: 'x' }],
    'announce-root': ['/v1/authorities/roots', { certificates: made.introduced }],
    'end-overlap': [`/v1/authorities/roots/${made.replaced}/overlap`, { endsAt: 0 }],
    'install-key-list': ['/v1/authorities/keys/list', { keyList: made.keyList }],
    'activate-key': [`/v1/authorities/keys/${made.nextKey}/activate`, { force: true }],
    'change-post-quantum': ['/v1/post-quantum', { groups: ['strict'] }],
    'forget-hybrid-key': ['/v1/devices/press-1/forget-hybrid-key', { reason: 'x' }],
    'change-witness-policy': ['/v1/witness-policy', { quorum: 1, tiers: ['tpm'], whenUnmet: 'refuse', text: null }],
    'install-root-list': [`/v1/authorities/roots/${made.rootSha256}/list`, { list: made.list }],
    'add-person': ['/v1/people', { name: 'carl' }],
    'enable-person': ['/v1/people/ben/enable', {}],
    'grant-token': ['/v1/tokens', registration('ben', newToken())],
    'claim-hub': ['/v1/claim', claim],
    'hand-over-token': [`/v1/tokens/${made.service}/hand-over`, {}],
    'hand-over-enrollment-token': [`/v1/enrollment-tokens/${made.enrollmentToken}/hand-over`, {}],
    'add-webhook': ['/v1/webhooks', { name: 'ben', url: 'https://desk.example/hook' }],
    'remove-webhook': ['/v1/webhooks/old'],
    'reset-cursor': ['/v1/event-cursors/late/reset', { position: null, reason: 'x' }],
    'revoke-many': ['/v1/certificates/revoke', { devices: ['press-1', 'press-2'], reason: 'unspecified', note: 'x' }],
  };
}

// SECURITY.md: HUB-04
test('every root operation waits for all who ask, and nothing of it is done; no other request of an administrator waits', async () => {
  await using world = await HubWorld.open({
    settings: { access: { maxRevokedAlone: 1, requirePostQuantum: ['strict'] } },
  });
  const ada = await firstPerson(world);
  const made = await prepare(world, ada);
  await addPerson(world, 'ben');
  const requests = requestsOf(made);
  const done = async () => {
    const { entries } = await world.operator.get(
      '/v1/audit?from=0&limit=1000',
      z.object({ entries: z.array(z.object({ kind: z.string() })) }),
    );
    return entries.map(({ kind }) => kind).filter((kind) => !/^(?:approval-|security-state)/.test(kind));
  };
  const before = await done();
  // A hub whose store is a file refuses these at once: tests/attacks/nodes.test.ts.
  const ofNodes: ReadonlySet<string> = new Set(['invite-node', 'remove-node']);
  for (const { name, method, route } of rootOperations.filter((each) => !ofNodes.has(each.name))) {
    const [path = '', body] = requests[name] ?? [];
    assert.ok(matches(path, route), `no request for ${name}: ${path}`);
    const asked = await ada.waits(method, path, body);
    assert.equal(asked.operation, name);
    // A person has at most twenty waiting requests.
    await ada.ask('POST', `/v1/approvals/${asked.id}/refuse`, { reason: 'the next one' });
  }
  // Who takes a device out of such a group lets it in on a classical key exchange.
  await ada.waits('POST', '/v1/groups/strict/members', { remove: ['press-1'] });
  await ada.waits('DELETE', '/v1/groups/strict');
  assert.deepEqual(await done(), before);
  const few = { devices: ['nobody'], reason: 'unspecified', note: 'x' };
  assertRefused(await ada.ask('POST', '/v1/certificates/revoke', few), { status: 404, code: 'not-found' });
  const own = { name: 'mine', roles: ['operator'] };
  assert.equal((await ada.ask('POST', '/v1/tokens', own)).status, 200);
});

// SECURITY.md: HUB-04
test('one person takes no device out of a group that needs post-quantum protection by what its filter asks', async () => {
  await using world = await HubWorld.open();
  const ada = await firstPerson(world);
  for (const [path, body] of [
    ['/v1/groups', { name: 'at-site', filter: 'site==graz' }],
    ['/v1/groups', { name: 'of-line', filter: 'id==press-*,desired.line==1' }],
    ['/v1/sites', { name: 'graz' }],
    ['/v1/token-devices', { id: 'belt-1' }],
  ] as const)
    assert.equal((await ada.ask('POST', path, body)).status, 200, path);
  const ben = await addPerson(world, 'ben');
  const move = async (change: object) => (await ada.ask('POST', '/v1/sites/graz/devices', change)).status;
  const want = async (line: number) =>
    (await ada.ask('PUT', '/v1/devices/belt-1/desired', { attributes: { line } })).status;
  const require = async (group: string) => {
    const asked = await ada.waits('PUT', '/v1/post-quantum', { groups: [group] });
    assert.equal((await ben.approve(asked)).status, 200);
  };
  // No rule names a group: one person is enough.
  assert.deepEqual([await move({ add: ['belt-1'] }), await want(1)], [200, 200]);
  await require('at-site');
  assert.deepEqual([await move({ remove: ['belt-1'] }), await want(2)], [202, 200]);
  assert.equal((await ada.ask('DELETE', '/v1/sites/graz')).status, 202);
  await require('of-line');
  assert.deepEqual([await move({ remove: ['belt-1'] }), await want(3)], [200, 202]);
});

// SECURITY.md: HUB-04
test('one person imports no member of a group that the policy names, no tag and no site that it looks at', async () => {
  await using world = await HubWorld.open();
  const ada = await firstPerson(world);
  for (const [path, body] of [
    ['/v1/groups', { name: 'named' }],
    ['/v1/groups', { name: 'other' }],
    ['/v1/sites', { name: 'graz' }],
    ['/v1/token-devices', { id: 'belt-1' }],
  ] as const)
    assert.equal((await ada.ask('POST', path, body)).status, 200, path);
  const imported = async (line: object) => {
    const input = { token: ada.token, body: JSON.stringify(line), contentType: 'application/x-ndjson' };
    const { rejected } = accepted(await world.askOperator('POST', '/v1/devices/import', input), importReport);
    return rejected === 0;
  };
  const lines = [
    { id: 'belt-1', groups: ['named'] },
    { id: 'belt-2', tags: { line: 'press' } },
    { id: 'belt-2', site: 'graz' },
  ];
  const free = { id: 'belt-3', groups: ['other'] };
  const all = async () => [await imported(free), ...(await Promise.all(lines.map(imported)))];
  const ben = await addPerson(world, 'ben');
  assert.deepEqual(await all(), [true, true, true, true], 'nothing of it decides yet');
  await ada.ask('POST', '/v1/groups/named/members', { remove: ['belt-1'] });
  const { text } = accepted(await ada.ask('GET', '/v1/policy'), policyView);
  const inGroup = `@id("named") permit (principal in Edgekeep::Group::"named", action == Edgekeep::Action::"fetch", resource)
when { principal.hasTag("line") };`;
  assert.equal((await ben.approve(await ada.waits('PUT', '/v1/policy', { text: `${text}\n${inGroup}` }))).status, 200);
  // What was imported before and stayed is no change; the device that left the group does not come back by it.
  assert.deepEqual(await all(), [true, false, true, true]);
  lines[1] = { id: 'belt-2', tags: { line: 'oven' } };
  lines[2] = { id: 'belt-4', site: 'graz' };
  assert.deepEqual(await all(), [true, false, false, false]);
  const { groups } = accepted(await ada.ask('GET', '/v1/devices/belt-1'), z.object({ groups: z.array(z.string()) }));
  assert.deepEqual(groups, []);
});

function matches(path: string, route: string): boolean {
  return new RegExp(`^${route.replaceAll(/:[a-z0-9]+/g, '[^/?]+')}(?:\\?.*)?$`).test(path);
}
