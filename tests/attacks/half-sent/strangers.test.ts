// A request of somebody without a certificate that was let in, and whose last byte comes when what it shows is good no more, does nothing: tokens of
// enrolment, roots of trust that recover a device, secrets of token devices.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { encodeDeviceToken } from '@edgekeep/core/identity/device-token';
import * as deviceApi from '@edgekeep/wire/device-api';
import { enrolmentGroupView, groupTokenAnswer } from '@edgekeep/wire/enrolment-group-api';
import { tokenDeviceAnswer } from '@edgekeep/wire/operator-api';
import { bareConnection, exchange } from '../../support/bound-socket.ts';
import { type HalfRequest, halfOn } from '../../support/half-request.ts';
import { HubWorld } from '../../support/hub-world.ts';
import { firstPerson, type TestPerson } from '../../support/people.ts';
import { newOperationalKey, TestDevice } from '../../support/test-device.ts';

const json = { 'content-type': 'application/json' };
const estPath = '/.well-known/est/simpleenroll';

interface Stage {
  readonly world: HubWorld;
  readonly ada: TestPerson;
  readonly id: string;
  readonly device: TestDevice;
}

interface Half {
  readonly half: HalfRequest;
  /** SHA-256 of the key that the stranger is known by. */
  readonly root: string;
}

const digest = (spki: Uint8Array) => createHash('sha256').update(spki).digest('hex');

/** Everything of an enrollment but its last byte. */
async function enrolling({ world, id, device }: Stage, token: string): Promise<Half> {
  const identity = await device.identity();
  assert.ok(identity.kind === 'software');
  const connection = await bareConnection(world);
  const ask = { deviceId: id, identity, token };
  const { nonce } = await exchange(connection, '/v1/enrol/challenge', ask, deviceApi.enrolChallengeResponse);
  const { request, spki } = await newOperationalKey(id);
  const evidence = await device.evidence('certify', parseBase64url(nonce, 'nonce'), spki);
  const body = JSON.stringify({ certificateRequest: toBase64url(request), evidence, witnessKey: device.witnessKey });
  const half = halfOn(connection.socket, { method: 'POST', path: '/v1/enrol/complete', headers: json, body });
  return { half, root: digest(parseBase64url(identity.signingKey, 'signingKey')) };
}

async function estEnrolling({ world, id }: Stage, token: string): Promise<Half> {
  const { request, spki } = await newOperationalKey(id);
  const authorization = `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`;
  const headers = { 'content-type': 'application/pkcs10', authorization };
  const body = Buffer.from(request).toString('base64');
  const { socket } = await bareConnection(world);
  return { half: halfOn(socket, { method: 'POST', path: estPath, headers, body }), root: digest(spki) };
}

async function recovering(stage: Stage): Promise<Half> {
  const { world, id, device } = stage;
  await device.enrol(world);
  const connection = await bareConnection(world);
  const { nonce } = await exchange(connection, '/v1/recover/challenge', { deviceId: id }, deviceApi.challengeResponse);
  const { request, spki } = await newOperationalKey(id);
  const evidence = await device.evidence('certify', parseBase64url(nonce, 'nonce'), spki);
  const body = JSON.stringify({ certificateRequest: toBase64url(request), evidence });
  const half = halfOn(connection.socket, { method: 'POST', path: '/v1/recover/complete', headers: json, body });
  return { half, root: '' };
}

async function reporting({ world, id }: Stage): Promise<Half> {
  const { secret } = await world.operator.send('POST', '/v1/token-devices', { id }, tokenDeviceAnswer);
  const token = encodeDeviceToken(id, Math.floor(world.clock.now() / 1_000), secret);
  const { socket } = await bareConnection(world);
  const headers = { ...json, authorization: `Device ${token}` };
  return { half: halfOn(socket, { method: 'POST', path: '/v1/token/report', headers, body: '{}' }), root: '' };
}

const oneTime = (begin: (stage: Stage, token: string) => Promise<Half>) => async (stage: Stage) =>
  begin(stage, await stage.world.enrolmentToken({ deviceId: stage.id, tier: 'software' }));

async function ofGroup(stage: Stage): Promise<Half> {
  const { operator } = stage.world;
  await operator.send('POST', '/v1/enrolment-groups', { name: 'line', kind: 'token' }, enrolmentGroupView);
  return enrolling(
    stage,
    (await operator.send('POST', '/v1/enrolment-groups/line/tokens', { usesMost: 1 }, groupTokenAnswer)).token,
  );
}

type End = (stage: Stage, root: string) => Promise<unknown> | void;

async function order({ ada }: Stage, path: string, body: object): Promise<void> {
  const answer = await ada.ask('POST', path, body);
  assert.equal(answer.status, 200, Buffer.from(answer.body).toString());
}

const inStore =
  (statement: string): End =>
  ({ world }) => {
    const store = new DatabaseSync(world.storeFile);
    store.exec(statement);
    store.close();
  };
const ofDevice =
  (verb: string): End =>
  (stage) =>
    order(stage, `/v1/devices/${stage.id}/${verb}`, { reason: 'r' });

const tokenEnds: Readonly<Record<string, End>> = {
  'its root of trust was blocked': (stage, rootSha256) =>
    order(stage, '/v1/blocked-roots', { rootSha256, reason: 'r' }),
  'its token was used elsewhere': inStore(`UPDATE enrolment_token SET used_by = 'another'`),
  'its token expired': inStore('UPDATE enrolment_token SET expires_at = 1'),
};
const deviceEnds: Readonly<Record<string, End>> = {
  'the device was quarantined': ofDevice('quarantine'),
  'the device was retired': ofDevice('retire'),
  'the device was disabled': ofDevice('disable'),
};

const strangers: readonly {
  readonly what: string;
  readonly begin: (stage: Stage) => Promise<Half>;
  readonly ends: Readonly<Record<string, End>>;
}[] = [
  { what: 'an enrollment', begin: oneTime(enrolling), ends: tokenEnds },
  { what: 'an enrollment over EST', begin: oneTime(estEnrolling), ends: tokenEnds },
  {
    what: 'an enrollment with the token of a group',
    begin: ofGroup,
    ends: {
      'the group was disabled': (stage) => order(stage, '/v1/enrolment-groups/line/disable', { reason: 'r' }),
      'the group was deleted': ({ ada }) => ada.ask('DELETE', '/v1/enrolment-groups/line'),
    },
  },
  { what: 'a recovery', begin: recovering, ends: deviceEnds },
  {
    what: 'a report of a token device',
    begin: reporting,
    ends: {
      ...deviceEnds,
      'its secret was replaced': (stage) => order(stage, `/v1/token-devices/${stage.id}/roll`, { overlapSeconds: 0 }),
    },
  },
];

/** Devices, certificates, and what devices did by the log. */
function traces(world: HubWorld): object {
  const store = new DatabaseSync(world.storeFile, { readOnly: true });
  try {
    return {
      ...store
        .prepare(
          `SELECT (SELECT count(*) FROM device) AS devices, (SELECT count(*) FROM certificate) AS certificates,
             (SELECT group_concat(coalesce(seen_at, 0)) FROM device) AS seen`,
        )
        .get(),
    };
  } finally {
    store.close();
  }
}

async function staged(use: (stage: Stage) => Promise<void>): Promise<void> {
  await using world = await HubWorld.open();
  await using device = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  await use({ world, ada: await firstPerson(world), id: 'press-1', device });
}

for (const { what, begin, ends } of strangers) {
  test(`${what} whose last byte comes late acts while all it shows is good`, async () => {
    await staged(async (stage) => {
      const { half } = await begin(stage);
      await half.letIn;
      const { status, text } = await half.finish();
      assert.equal(status, 200, text);
    });
  });
  for (const [name, end] of Object.entries(ends)) {
    test(`${what} that was half sent when ${name} does nothing`, async () => {
      await staged(async (stage) => {
        const { half, root } = await begin(stage);
        await half.letIn;
        await end(stage, root);
        const before = traces(stage.world);
        stage.world.clock.advanceSeconds(1);
        const { status, text } = await half.finish();
        assert.ok(status === undefined || [401, 403, 404, 409].includes(status), text);
        assert.deepEqual(traces(stage.world), before);
      });
    });
  }
}
