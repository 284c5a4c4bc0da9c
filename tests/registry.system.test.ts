// The registry as operators use it, over a real hub: filters and pages, tags, desired and reported attributes, the switch, history, groups,
// import.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { bindResponse } from '@edgekeep/wire/api/attest';
import { reportResponse } from '@edgekeep/wire/api/report';
import { deviceList } from '@edgekeep/wire/api/device-view';
import * as api from '@edgekeep/wire/api/registry';
import { closeAll } from './support/closing.ts';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

let world: HubWorld;
let press: TestDevice;

before(async () => {
  world = await HubWorld.open();
  press = await enrolled('press-1');
  for (const id of ['press-2', 'oven-1']) await using(enrolled(id));
});
after(async () => {
  await closeAll(world, press);
});

async function enrolled(id: string): Promise<TestDevice> {
  const device = await TestDevice.withoutTpm(id, join(world.folder, id));
  await device.enroll(world);
  return device;
}

async function using(device: Promise<TestDevice>): Promise<void> {
  await (await device)[Symbol.asyncDispose]();
}

async function found(filter: string, rest = ''): Promise<readonly string[]> {
  const path = `/v1/devices?filter=${encodeURIComponent(filter)}${rest}`;
  return (await world.operator.get(path, deviceList)).devices.map(({ id }) => id);
}

async function refusedQuery(query: string, says: RegExp): Promise<void> {
  const answer = await world.askOperator('GET', `/v1/devices?${query}`, { token: await world.adminToken() });
  assertRefused(answer, { status: 400, code: 'request-invalid', says });
}

const tag = async (id: string, order: object) =>
  world.operator.send('POST', `/v1/devices/${id}/tags`, order, api.tagResponse);

suite('filters and pages', () => {
  test('tags are set, replaced and removed, and found', async () => {
    await tag('press-1', { set: { line: 'press', owner: 'Ada' } });
    await tag('press-2', { set: { line: 'press' } });
    assert.deepEqual((await tag('oven-1', { set: { line: 'oven', old: 'x' }, remove: [] })).tags, {
      line: 'oven',
      old: 'x',
    });
    assert.deepEqual((await tag('oven-1', { remove: ['old'] })).tags, { line: 'oven' });
    assert.deepEqual(await found('tags.line==press'), ['press-1', 'press-2']);
    assert.deepEqual(await found('tags.line!=press'), ['oven-1']);
    assert.deepEqual(await found('tags.owner=ex=false'), ['oven-1', 'press-2']);
    assert.deepEqual(await found('tags.line=in=(oven,lathe),tags.owner==A*'), ['oven-1', 'press-1']);
    assert.equal((await world.entries('device-tagged')).length, 4);
  });

  test('quotes, percent signs and SQL in a value are only a value', async () => {
    const value = `'; drop table device; -- %_"`;
    await tag('oven-1', { set: { note: value } });
    assert.deepEqual(await found(`tags.note=='\\'; drop table device; -- %_"'`), ['oven-1']);
    assert.deepEqual(await found(`tags.note=='%'`), []);
    assert.deepEqual(await found(`id==' or 1=1'`), []);
    assert.deepEqual(await found('id==PRESS-*'), []);
    assert.equal((await found('id!=nobody')).length, 3);
  });

  test('every sort gives each device once, in pages of any size, both ways', async () => {
    const all = ['oven-1', 'press-1', 'press-2'];
    for (const field of ['id', 'seenAt', 'enrolledAt', 'state', 'tier', 'attestation']) {
      for (const sort of [field, `-${field}`]) {
        const seen: string[] = [];
        for (let next: string | null = ''; next !== null;) {
          const page: { devices: { id: string }[]; next: string | null } = await world.operator.get(
            `/v1/devices?sort=${sort}&limit=1&after=${encodeURIComponent(next)}`,
            deviceList,
          );
          seen.push(...page.devices.map(({ id }) => id));
          next = page.next;
        }
        assert.deepEqual(seen.toSorted(), all, sort);
      }
    }
  });

  test('a wrong filter, sort or cursor is refused with what is wrong', async () => {
    await refusedQuery(`filter=${encodeURIComponent('state==active;colour==red')}`, /position 15: no field colour/);
    await refusedQuery('filter=group==nobody', /position 1: no group "nobody"/);
    await refusedQuery('sort=colour', /sort: no field/);
    await refusedQuery('sort=seenAt&after=press-1', /after:/);
    await refusedQuery(`after=${encodeURIComponent("x' or 1")}`, /after:/);
  });
});

suite('attributes', () => {
  test('what operators want reaches the device, and what it reports is found', async () => {
    const path = '/v1/devices/press-1/desired';
    const wanted = await world.operator.send('PUT', path, { attributes: { fps: 25 }, replaces: 0 }, api.attributesView);
    assert.equal(wanted.desired.version, 1);
    await using link = await press.connect(world.hub);
    const report = { attributes: { camera: { fps: 20, lens: 'wide' }, tested: true, list: [1] }, desiredVersion: 0 };
    const first = accepted(await link.ask('POST', '/v1/reports', report), reportResponse);
    assert.deepEqual(first.desired, { version: 1, attributes: { fps: 25 } });
    const second = accepted(await link.ask('POST', '/v1/reports', { ...report, desiredVersion: 1 }), reportResponse);
    assert.equal(second.desired, undefined);
    for (const filter of [
      'reported.camera.fps==20',
      'reported.camera.fps<20.5',
      'reported.camera.lens==wi*',
      'reported.tested==true',
      'reported.camera=ex=true',
      'reported.list=ex=true',
      'desired.fps>=25',
    ]) {
      assert.deepEqual(await found(filter), ['press-1'], filter);
    }
    assert.deepEqual(await found('reported.camera.fps>20,reported.cam=ex=true,reported.list==1'), []);
    const { reported } = await world.operator.get('/v1/devices/press-1/attributes', api.attributesView);
    assert.deepEqual([reported.version, reported.attributes], [1, report.attributes]);
    accepted(await link.ask('POST', '/v1/reports', { attributes: { tested: false } }), reportResponse);
    assert.deepEqual(await found('reported.camera=ex=true'), []);
  });

  test('the second of two operators who change the same version is refused', async () => {
    const body = JSON.stringify({ attributes: { fps: 30 }, replaces: 0 });
    const token = await world.adminToken();
    const answer = await world.askOperator('PUT', '/v1/devices/press-1/desired', { token, body });
    assertRefused(answer, { status: 409, code: 'conflict', says: /at version 1, not 0/ });
  });

  test('a document that is too large, too deep or has keys no filter can name is refused', async () => {
    await using link = await press.connect(world.hub);
    const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });
    const wrong: readonly object[] = [
      { text: 'x'.repeat(17_000) },
      deep(7),
      { list: Array.from({ length: 300 }, () => []) },
      { 'a.b': 1 },
      { 'a b': 1 },
      { '': 1 },
    ];
    for (const attributes of wrong) {
      const answer = await link.ask('POST', '/v1/reports', { attributes });
      assertRefused(answer, { status: 400, code: 'request-invalid' });
    }
  });
});

suite('the switch', () => {
  test('a disabled device is cut off and refused, keeps its state, and comes back by being enabled', async () => {
    await using link = await press.connect(world.hub);
    const off = await world.operator.send(
      'POST',
      '/v1/devices/press-1/disable',
      { reason: 'in store' },
      api.enabledResponse,
    );
    assert.deepEqual([off.enabled, off.connectionsClosed], [false, 1]);
    await link.closed;
    await assert.rejects(press.connect(world.hub), /device-disabled/);
    assert.deepEqual(await found('enabled==false'), ['press-1']);
    const { state, enabled, disabledReason } = await world.device('press-1');
    assert.deepEqual([state, enabled, disabledReason], [off.state, false, 'in store']);
    const on = await world.operator.send('POST', '/v1/devices/press-1/enable', {}, api.enabledResponse);
    assert.deepEqual([on.enabled, on.state], [true, off.state]);
    await using again = await press.connect(world.hub);
    accepted(await press.bind(again), bindResponse);
  });

  test('history has every change with its reason, newest first, and points at the log', async () => {
    const { changes } = await world.operator.get('/v1/devices/press-1/history?limit=2', api.historyView);
    assert.deepEqual(
      changes.map(({ from, to, reason }) => [from, to, reason]),
      [
        ['disabled', 'enabled', ''],
        ['enabled', 'disabled', 'in store'],
      ],
    );
    const before = changes.at(-1)?.logIndex ?? 0;
    const older = await world.operator.get(`/v1/devices/press-1/history?before=${before}`, api.historyView);
    assert.deepEqual([older.changes.at(-1)?.to, older.next], ['registered', null]);
    const [entry] = await world.entries('device-disabled');
    assert.equal(entry?.index, before);
  });
});

suite('groups', () => {
  test('members are named, or are what a filter matches', async () => {
    const make = async (order: object) => world.operator.send('POST', '/v1/groups', order, api.groupView);
    await make({ name: 'pilot' });
    await make({ name: 'presses', filter: 'tags.line==press' });
    const members = await world.operator.send(
      'POST',
      '/v1/groups/pilot/members',
      { add: ['oven-1', 'press-1'] },
      api.membersResponse,
    );
    assert.deepEqual([members.added, members.removed], [2, 0]);
    assert.deepEqual(await found('group==pilot;group==presses'), ['press-1']);
    assert.deepEqual(await found('group=out=(pilot,presses)'), []);
    assert.deepEqual(await found('group=in=(pilot,presses)'), ['oven-1', 'press-1', 'press-2']);
    assert.equal((await world.operator.get('/v1/groups/presses', api.groupDetail)).members, 2);
    assert.deepEqual((await world.device('oven-1')).groups, ['pilot']);
  });

  test('a group is not made twice, of groups, or with members by hand where a filter decides', async () => {
    const token = await world.adminToken();
    const ask = async (path: string, body: object) =>
      world.askOperator('POST', path, { token, body: JSON.stringify(body) });
    assertRefused(await ask('/v1/groups', { name: 'pilot' }), { status: 409, code: 'conflict' });
    const nested = await ask('/v1/groups', { name: 'nested', filter: 'group==pilot' });
    assertRefused(nested, { status: 400, code: 'request-invalid', says: /position 1/ });
    assertRefused(await ask('/v1/groups/presses/members', { add: ['oven-1'] }), { status: 409, code: 'conflict' });
    assertRefused(await ask('/v1/groups/pilot/members', { add: ['nobody'] }), { status: 404, code: 'not-found' });
  });
});

suite('import', () => {
  const send = async (lines: readonly (object | string)[]) => {
    const body = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
    const token = await world.adminToken();
    const contentType = 'application/x-ndjson';
    const answer = await world.askOperator('POST', '/v1/devices/import', { token, body, contentType });
    return accepted(answer, api.importReport);
  };
  const root = (digit: string) => digit.repeat(64);

  test('good lines are taken, wrong ones are named, and the same import again changes nothing', async () => {
    const lines = [
      { id: 'lathe-1', tags: { line: 'lathe' }, groups: ['pilot'], rootSha256: root('a') },
      { id: 'lathe-2' },
      '',
      'no json',
      { id: 'LATHE' },
      { id: 'lathe-3', groups: ['nobody'] },
      { id: 'lathe-4', groups: ['presses'] },
      { id: 'lathe-5', rootSha256: root('a') },
      { id: 'press-1', rootSha256: root('b') },
      { id: 'press-1', tags: { site: 'graz' } },
      { block: root('c'), reason: 'stolen' },
      { block: 'c', reason: 'stolen' },
      { id: 'lathe-1', rootSha256: root('d') },
    ];
    for (const _ of [1, 2]) {
      const report = await send(lines);
      assert.deepEqual([report.lines, report.expected, report.blocked, report.rejected], [13, 3, 1, 8]);
      assert.deepEqual(
        report.problems.map(({ line }) => line),
        [4, 5, 6, 7, 8, 9, 12, 13],
      );
      const said = new Map(report.problems.map(({ line, message }) => [line, message]));
      assert.match(said.get(5) ?? '', /^id: expected 1 to 63 small letters, digits and hyphens/);
      assert.equal(said.get(12), 'block: expected 64 hex digits in lower case');
      assert.ok(report.problems.every(({ message }) => !/invalid/i.test(message)));
    }
    assert.deepEqual(await found('tags.site==graz'), ['press-1']);
    const [entry] = await world.entries('devices-imported');
    assert.ok(entry);
  });

  test('an id that is kept for one root of trust is refused to any other, and a blocked root of trust to all', async () => {
    await using stranger = await TestDevice.withoutTpm('lathe-1', join(world.folder, 'stranger'));
    const answer = await stranger.tryEnroll(world, await world.enrollmentToken());
    assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'device-id-reserved' });
    await using stolen = await TestDevice.withoutTpm('lathe-9', join(world.folder, 'stolen'));
    const identity = await stolen.identity();
    assert.equal(identity.kind, 'software');
    const spki = identity.kind === 'software' ? Buffer.from(identity.signingKey, 'base64url') : Buffer.of();
    const block = createHash('sha256').update(spki).digest('hex');
    await send([{ block, reason: 'lot 17 was stolen' }]);
    const refused = await stolen.tryEnroll(world, await world.enrollmentToken());
    const blocked = { status: 403, code: 'enrollment-refused', reason: 'root-of-trust-blocked', says: /lot 17/ };
    assertRefused(refused, blocked);
  });

  test('a device that was imported has its tags and groups from its first day', async () => {
    await using(enrolled('lathe-2'));
    await send([{ id: 'lathe-2', tags: { line: 'lathe' }, groups: ['pilot'] }]);
    assert.deepEqual(await found('tags.line==lathe;group==pilot'), ['lathe-2']);
  });

  test('lines without end and a body of another type are refused', async () => {
    const token = await world.adminToken();
    const ask = async (body: string, contentType: string) =>
      world.askOperator('POST', '/v1/devices/import', { token, body, contentType });
    assertRefused(await ask('x'.repeat(70_000), 'application/x-ndjson'), { status: 413, code: 'payload-too-large' });
    assert.ok((await ask('{}', 'application/json')).status >= 400);
    const poor = await world.apiToken(['devices:write']);
    const answer = await world.askOperator('POST', '/v1/devices/import', {
      token: poor,
      body: '',
      contentType: 'application/x-ndjson',
    });
    assertRefused(answer, { status: 403, code: 'scope-missing' });
  });
});
