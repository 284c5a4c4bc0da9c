// Orders about authorities are judged by what the store has in the transaction that acts: another node, or another request, may have changed it since
// this hub read its snapshot.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { parsePem } from '@edgekeep/core/identity/pem';
import { authorityOverview, issuingRequestResponse } from '@edgekeep/wire/api/authority';
import { accepted, assertRefused } from '../support/answer.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { changeStore } from '../support/edited-store.ts';

let world: HubWorld;
let root: OfflineRoot;
before(async () => {
  world = await HubWorld.open();
  root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
});
after(() => world?.[Symbol.asyncDispose]());

/** As another node of the hub writes it. */
async function elsewhere(sql: string, ...values: readonly (string | Uint8Array)[]): Promise<void> {
  await changeStore(world.place, sql, ...values);
}

const ask = async (path: string, body: object) =>
  world.askOperator('POST', `/v1/authorities/${path}`, { token: await world.adminToken(), body: JSON.stringify(body) });
const statusOf = async (id: string) =>
  (await world.operator.get('/v1/authorities', authorityOverview)).issuing.find((each) => each.id === id)?.status;

test('an issuing CA of a root that was dropped meanwhile is not installed', async () => {
  const { id, request } = accepted(await ask('request', { classes: ['device'] }), issuingRequestResponse);
  const certificates = await root.signIssuing(request);
  await elsewhere("update root_authority set status = 'dropped'");
  const refused = { status: 400, code: 'request-invalid', says: /does not chain to a root of this hub/ };
  assertRefused(await ask('install', { certificates }), refused);
  await elsewhere("update root_authority set status = 'current'");
  assert.equal(await statusOf(id), 'requested');
  accepted(await ask('install', { certificates }), authorityOverview);
  assert.equal(await statusOf(id), 'next');
});

test('a root list with an issuing CA that was installed meanwhile is not taken', async () => {
  const { id, request } = accepted(await ask('request', { classes: ['device'] }), issuingRequestResponse);
  const pem = await root.signIssuing(request);
  const list = toBase64url(await root.revoke(pem));
  const [der = new Uint8Array(0)] = parsePem(pem, 'CERTIFICATE');
  await elsewhere("update issuing_authority set status = 'next', der = ? where id = ?", der, id);
  const path = `roots/${sha256Hex(root.certificate.der)}/list`;
  assertRefused(await ask(path, { list }), { status: 409, code: 'conflict', says: new RegExp(`${id} is on the list`) });
  await elsewhere("update issuing_authority set status = 'revoked' where id = ?", id);
  accepted(await ask(path, { list }), authorityOverview);
});

test('a root is announced by what is the newest one when it is announced', async () => {
  const next = await root.successor(join(world.folder, 'next-root'));
  const other = await root.successor(join(world.folder, 'other-root'));
  const introduced = await root.introduce(next);
  await elsewhere(
    "insert into root_authority (sha256, generation, status, der, added_at) values (?, 2, 'current', ?, 0)",
    sha256Hex(other.certificate.der),
    other.certificate.der,
  );
  const refused = { status: 400, code: 'request-invalid', says: /does not certify the new one/ };
  assertRefused(await ask('roots', { certificates: introduced }), refused);
  await elsewhere('delete from root_authority where generation = 2');
  accepted(await ask('roots', { certificates: introduced }), authorityOverview);
});
