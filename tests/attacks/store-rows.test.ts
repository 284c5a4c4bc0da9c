// Somebody writes into the store of a stopped hub, or into a copy that is put back: rows that no entry of the log made grant nothing.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { testEngine } from '@edgekeep/hub/store/testing-place';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { alertList } from '@edgekeep/wire/api/alert';
import { modelList } from '@edgekeep/wire/api/model-release';
import { personList } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { addPerson, firstPerson } from '../support/people.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { join } from 'node:path';
import { inStore, loggedIn, textOf } from '../support/outside-store.ts';

const far = 4_000_000_000_000;

/** Runs statements on the store while the hub is stopped. */
async function writeInto(world: HubWorld, ...statements: readonly string[]): Promise<void> {
  await world.stop();
  await inStore(world.place, async (store) => {
    for (const statement of statements)
      assert.ok((await store.run(statement)) > 0 || /^create/i.test(statement), `${statement} changes nothing`);
  });
}

/** What `edgekeep hub check` says of the stopped hub's rows. */
async function checked(world: HubWorld): Promise<string> {
  const findings = await checkHub(world.hubFolder, world.clock.now());
  const { state, found } = findings.find(({ subject }) => subject === 'rows') ?? assert.fail('rows are not checked');
  return `${state} ${found}`;
}

const refused = { code: 'state-refused' };

/** The hub starts without the rows, says so, and has them nowhere but among the refused ones. */
async function startsWithout(world: HubWorld, table: string, count = 1): Promise<void> {
  await world.start();
  const { alerts } = await world.operator.get('/v1/alerts?kind=rows-refused', alertList);
  assert.equal(alerts.length, 1);
  assert.equal(alerts[0]?.severity, 'critical');
  const [entry] = (await world.entries('rows-refused')).slice(-1);
  const data = z.object({
    count: z.number(),
    removed: z.literal(true),
    rows: z.array(z.object({ table: z.string() })),
  });
  const { count: logged, rows } = data.parse(entry?.data);
  assert.deepEqual([logged, rows[0]?.table], [count, table]);
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, new RegExp(`edgekeep_security_state_refused_rows ${count}`));
  // What was removed stays removed, and the next start has nothing to say.
  await world.restart();
  assert.equal((await world.entries('rows-refused')).length, 1);
}

async function token(world: HubWorld): Promise<string> {
  const text = `ek_${randomBytes(32).toString('base64url')}`;
  const sha256 = createHash('sha256').update(text).digest('hex');
  await writeInto(
    world,
    `insert into api_token (sha256, name, person, roles, scopes, created_at, created_by, expires_at) values ('${sha256}', 'mine', 'admin', 'administrator', 'admin', 1, 'hub', ${far})`,
  );
  return text;
}

// SECURITY.md: HUB-71
test('a token that was written into the store grants nothing', async () => {
  await using world = await HubWorld.open();
  const mine = await token(world);
  assert.match(await checked(world), /^failed .*api_token ".*" has no entry in the log$/);
  await startsWithout(world, 'api_token');
  assert.equal((await world.askOperator('GET', '/v1/people', { token: mine })).status, 401);
});

// SECURITY.md: HUB-71
test('a person who was written into the store is none', async () => {
  await using world = await HubWorld.open();
  await writeInto(world, "insert into person (name, added_at) values ('mallory', 1)");
  await startsWithout(world, 'person');
  const { people } = await world.operator.get('/v1/people', personList);
  assert.ok(people.every(({ name }) => name !== 'mallory'));
});

// SECURITY.md: HUB-71
test('a token whose role was changed in the store grants nothing', async () => {
  await using world = await HubWorld.open();
  const reader = await world.apiToken(['devices:read'], 3_600);
  const sha256 = createHash('sha256').update(reader).digest('hex');
  await writeInto(world, `update api_token set scopes = 'admin', roles = 'administrator' where sha256 = '${sha256}'`);
  await startsWithout(world, 'api_token', 2);
  assert.equal((await world.askOperator('GET', '/v1/devices', { token: reader })).status, 401);
});

// SECURITY.md: HUB-71
test('a publisher and a vendor root that were written into the store are not trusted', async () => {
  await using world = await HubWorld.open();
  await writeInto(
    world,
    "insert into publisher (fingerprint, name, public_key, added_at) values ('00', 'mallory', 'x', 1)",
  );
  await startsWithout(world, 'publisher');
});

// SECURITY.md: HUB-71
test('a policy that was written into the store is not in force', async () => {
  await using world = await HubWorld.open();
  await writeInto(
    world,
    "insert into policy (version, digest, text, applied_at, meaning, applied_by) select max(version) + 1, 'x', 'permit(principal, action, resource);', 1, 'any-action', 'hub' from policy",
  );
  await startsWithout(world, 'policy');
  const policy = await world.operator.get('/v1/policy', z.looseObject({ text: z.string() }));
  assert.doesNotMatch(policy.text, /permit\(principal, action, resource\);/);
});

// SECURITY.md: HUB-71
test('an issuing CA that was written into the store issues nothing', async () => {
  await using world = await HubWorld.open();
  await writeInto(
    world,
    "insert into issuing_authority (id, class, status, root_sha256, der, added_at, activated_at) select 'aa', class, 'active', root_sha256, der, 1, 1 from issuing_authority limit 1",
  );
  await startsWithout(world, 'issuing_authority');
});

// SECURITY.md: HUB-71
test('a membership in a group that was written into the store is none', async () => {
  await using world = await HubWorld.open();
  await world.operator.send('POST', '/v1/groups', { name: 'presses' }, z.unknown());
  await using device = await TestDevice.withoutTpm('thin-1', join(world.folder, 'thin'));
  await device.enroll(world);
  await writeInto(world, "insert into device_group_member (group_name, device_id) values ('presses', 'thin-1')");
  await startsWithout(world, 'device_group_member');
  const { members } = await world.operator.get('/v1/groups/presses', z.looseObject({ members: z.number() }));
  assert.equal(members, 0);
});

// SECURITY.md: HUB-71
test('an approval that was written into the store, or given there, carries nothing out', async () => {
  await using world = await HubWorld.open();
  const ada = await firstPerson(world);
  await addPerson(world, 'ben');
  await ada.waits('POST', '/v1/enrollment-groups', { name: 'lot-17', kind: 'manifest' });
  await writeInto(world, "update approval set state = 'approved', decided_by = 'ben', decided_at = 1");
  await startsWithout(world, 'approval', 2);
  const { approvals } = await world.operator.get('/v1/approvals', z.object({ approvals: z.array(z.unknown()) }));
  assert.deepEqual(approvals, []);
});

// SECURITY.md: HUB-71
test('a hub whose device record was changed in the store does not start', async () => {
  await using world = await HubWorld.open();
  await using device = await TestDevice.withoutTpm('thin-1', join(world.folder, 'thin'));
  await device.enroll(world);
  await world.setState('thin-1', 'quarantine');
  await writeInto(world, "update device set state = 'active', tier = 'tpm'");
  await assert.rejects(world.start(), refused);
  // Another attempt says the same, and the log does not grow by it.
  await assert.rejects(world.start(), refused);
  const kinds = z.array(z.object({ kind: z.string() })).parse(await loggedIn(world.place));
  assert.equal(kinds.filter(({ kind }) => kind === 'rows-refused').length, 1);
});

// SECURITY.md: HUB-71
test('a hub whose revocation was deleted from the store does not start', async () => {
  await using world = await HubWorld.open();
  await using device = await TestDevice.withoutTpm('thin-1', join(world.folder, 'thin'));
  await device.enroll(world);
  const order = { devices: ['thin-1'], reason: 'keyCompromise', note: 'it is lost' };
  await world.operator.send('POST', '/v1/certificates/revoke', order, z.unknown());
  await world.stop();
  assert.match(await checked(world), /^ok \d+, as the log says/);
  await writeInto(world, 'delete from revocation');
  assert.match(await checked(world), /^failed .*revocation ".*" is gone or changed$/);
  await assert.rejects(world.start(), refused);
});

// SECURITY.md: HUB-71
test('an approval that was deleted from the store is missed, and the hub starts', async () => {
  await using world = await HubWorld.open();
  const ada = await firstPerson(world);
  await addPerson(world, 'ben');
  await ada.waits('POST', '/v1/enrollment-groups', { name: 'lot-17', kind: 'manifest' });
  await writeInto(world, 'delete from approval');
  await startsWithout(world, 'approval');
});

// SECURITY.md: HUB-72
test('a row with a forged entry, or a forged list of rows, keeps the hub from starting', async () => {
  await using world = await HubWorld.open();
  await world.stop();
  const { digest } = await forge(world);
  await assert.rejects(world.start(), refused);
  const newest = 'delete from audit_entry where log_index = (select max(log_index) from audit_entry)';
  await inStore(world.place, (store) => store.run(newest));
  // The list alone vouches for nothing.
  await assert.rejects(world.start(), refused);
  await inStore(world.place, (store) => store.run('delete from security_row where digest = ?', digest));
  await startsWithout(world, 'person');
});

/** A person, their line in the list, and an entry of the log that looks like the hub's. */
async function forge({ place }: HubWorld): Promise<{ readonly digest: string }> {
  // name, added_at, disabled_at, disabled_reason
  const text = ['text:6D616C6C6F7279', 'integer:31', 'null:', 'null:'].join(',');
  const digest = createHash('sha256').update(`person\n${text}`).digest('base64url');
  const kinds = z.array(z.object({ kind: z.string() })).parse(await loggedIn(place));
  const index = kinds.length;
  const previous = kinds.findLastIndex(({ kind }) => kind.startsWith('security-state'));
  const data = `{"changes":{"person":{"added":["${digest}"]}},"code":"${'A'.repeat(43)}","previous":${previous}}`;
  const entry = Buffer.from(
    `{"actor":"hub","at":1,"data":${data},"kind":"security-state-changed","salt":"${'A'.repeat(22)}","subject":"store","type":"edgekeep-audit-entry/v2"}`,
  );
  const leaf = createHash('sha256').update(Uint8Array.of(0)).update(entry).digest();
  await inStore(place, async (store) => {
    await store.run("insert into person (name, added_at) values ('mallory', 1)");
    await store.run("insert into security_row values ('person', ?, 'mallory')", digest);
    await store.run('insert into audit_entry values (?, ?, ?)', index, entry, leaf);
  });
  return { digest };
}

// SECURITY.md: HUB-72
test('a store in which somebody left a trigger keeps the hub from starting', async () => {
  await using world = await HubWorld.open();
  const own = "insert into person (name, added_at) values ('mallory', 1) on conflict do nothing";
  const onSqlite = [`create trigger mine after insert on audit_entry begin ${own}; end`];
  const onPostgres = [
    `create function mine() returns trigger language plpgsql as $mine$ begin ${own}; return null; end $mine$`,
    'create trigger mine after insert on audit_entry for each row execute function mine()',
  ];
  await writeInto(world, ...(testEngine === 'postgres' ? onPostgres : onSqlite));
  await assert.rejects(world.start(), refused);
});

// SECURITY.md: HUB-72
test('a hub that lost the place of its state finds it in the log, and does not adopt the rows again', async () => {
  await using world = await HubWorld.open();
  await writeInto(world, 'delete from security_state', "insert into person (name, added_at) values ('mallory', 1)");
  await assert.rejects(world.start(), refused);
});

// SECURITY.md: HUB-71
test('a row that was written while the hub runs is found by the next check, and the hub ends', async () => {
  await using world = await HubWorld.open();
  await inStore(world.place, (store) => store.run("insert into person (name, added_at) values ('mallory', 1)"));
  await world.hub.checkState();
  assert.equal((await world.hub.refused).code, 'state-refused');
  await world.stop();
  await world.start();
  const { people } = await world.operator.get('/v1/people', personList);
  assert.ok(people.every(({ name }) => name !== 'mallory'));
});

// SECURITY.md: HUB-71
test('a change that rests on a row that was changed behind the hub is refused', async () => {
  await using world = await HubWorld.open();
  await world.publishModel('opaque', '1.0.0', 'weights');
  await world.operator.send('POST', '/v1/models/opaque/1.0.0/withdraw', undefined, z.unknown());
  await inStore(world.place, (store) => store.run("update model_release set state = 'published'"));
  await assert.rejects(world.operator.send('POST', '/v1/models/opaque/1.0.0/withdraw', undefined, z.unknown()));
  await world.stop();
  await assert.rejects(world.start(), refused);
});

// SECURITY.md: HUB-26
test('an old entry that was changed in the store is found by the check of the whole log', async () => {
  await using world = await HubWorld.open();
  await world.integrated();
  await inStore(world.place, async (store) => {
    const [first] = await store.rows('select entry from audit_entry where log_index = 0');
    const changed = Buffer.from(textOf(first?.['entry']).replaceAll('hub', 'hab'));
    await store.run('update audit_entry set entry = ? where log_index = 0', changed);
  });
  await world.hub.checkState();
  assert.equal((await world.hub.refused).code, 'state-refused');
});

test('models, people and groups are the same after many starts, and no row is refused', async () => {
  await using world = await HubWorld.open();
  await world.publishModel('opaque', '1.0.0', 'weights');
  for (let start = 0; start < 3; start += 1) {
    await world.hub.checkState();
    await world.restart();
  }
  const { models } = await world.operator.get('/v1/models', modelList);
  assert.equal(models.length, 1);
  assert.equal((await world.entries('rows-refused')).length, 0);
});
