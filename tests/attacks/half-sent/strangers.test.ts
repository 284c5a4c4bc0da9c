// Routes without an authority: the proof in the request (a token, evidence of a registered root of trust, a certificate) is checked when
// the request acts, so a last byte that arrives after the proof has ended changes nothing. An enrollment token is used up, expires, is
// revoked, or ends with its group or with the API token that made it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { encodeDeviceToken } from '@edgekeep/core/identity/device-token';
import { encodePem } from '@edgekeep/core/identity/pem';
import { Appraiser } from '@edgekeep/hub/attest/appraiser';
import { sha256Hex } from '@edgekeep/core/digest';
import { rootDigestOf } from '@edgekeep/hub/attest/root-keys';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { certificateResponse, enrollChallengeResponse } from '@edgekeep/wire/api/enrollment';
import { tokenDeviceResponse } from '@edgekeep/wire/api/token-device';
import { z } from 'zod';
import { accepted } from '../../support/answer.ts';
import { type BareConnection, bareConnection, exchange } from '../../support/bound-socket.ts';
import { type HalfRequest, halfOn, type RequestText } from '../../support/half-request.ts';
import { HubWorld } from '../../support/hub-world.ts';
import { firstPerson, TestPerson } from '../../support/people.ts';
import { newOperationalKey, TestDevice } from '../../support/test-device.ts';
import { changeStore } from '../../support/edited-store.ts';
import { inStore, rowsIn, type Row } from '../../support/outside-store.ts';

interface Opened {
  readonly world: HubWorld;
  readonly ada: TestPerson;
  device(id: string): Promise<TestDevice>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function openWorld(): Promise<Opened> {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await HubWorld.open());
  const ada = await firstPerson(world);
  const all = opened.move();
  const device = async (id: string) => all.use(await TestDevice.withoutTpm(id, join(world.folder, id)));
  return { world, ada, device, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function order(ada: TestPerson, path: string, body: object): Promise<Uint8Array> {
  const answer = await ada.ask('POST', path, body);
  assert.equal(answer.status, 200, Buffer.from(answer.body).toString());
  return answer.body;
}

/** What an unknown client may change: devices, their certificates, and used-up tokens. */
const traces = (world: HubWorld) =>
  inStore(world.place, async (store) => {
    const found: (readonly Row[])[] = [];
    for (const table of changed) found.push(await store.rows(`select * from ${table}`));
    return found;
  });
const changed = ['device', 'certificate', 'enrolment_token', 'enrolment_group_token', 'enrolment_group', 'used_token'];

const json = (path: string, body: object, headers: Readonly<Record<string, string>> = {}): RequestText => ({
  method: 'POST',
  path,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** The second step of an enrollment, on the connection of the first. */
async function completing(opened: Opened, id: string, token: string): Promise<[BareConnection, RequestText]> {
  const device = await opened.device(id);
  const connection = await bareConnection(opened.world);
  const start = { version: certifyVersion, deviceId: id, identity: await device.identity(), token };
  const { nonce } = await exchange(connection, '/v1/enroll/challenge', start, enrollChallengeResponse);
  const { request, spki } = await newOperationalKey(id);
  const ask = { nonce: parseBase64url(nonce, 'nonce'), spki, exporter: connection.exporter };
  const { evidence } = await device.certifyProof('enroll', ask);
  const { witnessKey } = device;
  return [connection, json('/v1/enroll/complete', { certificateRequest: toBase64url(request), evidence, witnessKey })];
}

async function recovering(opened: Opened, device: TestDevice): Promise<[BareConnection, RequestText]> {
  const connection = await bareConnection(opened.world);
  const { nonce } = await exchange(
    connection,
    '/v1/recover/challenge',
    { deviceId: device.id },
    z.object({ nonce: z.string() }),
  );
  const { request, spki } = await newOperationalKey(device.id);
  const ask = { nonce: parseBase64url(nonce, 'nonce'), spki, exporter: connection.exporter };
  const proof = await device.certifyProof('recover', ask);
  return [connection, json('/v1/recover/complete', { ...proof, certificateRequest: toBase64url(request) })];
}

/** The next certificate of a device that enrolled by EST, over a connection with the present one. */
async function estAgain(opened: Opened, route: string): Promise<[BareConnection, RequestText]> {
  const { world } = opened;
  const { request, privateKeyPem } = await newOperationalKey('pump-1');
  const [first, enrollment] = await est(opened, 'pump-1', await world.enrollmentToken(), request);
  assert.equal((await halfOn(first.socket, enrollment).finish()).status, 200);
  const [row] = await rowsIn(world.place, 'select der from certificate');
  const { der } = z.object({ der: z.instanceof(Uint8Array) }).parse(row);
  const certificateChainPem = encodePem('CERTIFICATE', der);
  const connection = await bareConnection(world, { credential: { certificateChainPem, privateKeyPem } });
  return [connection, estRequest(route, (await newOperationalKey('pump-1')).request)];
}

const estRequest = (
  route: string,
  request: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): RequestText => ({
  method: 'POST',
  path: `/.well-known/est/${route}`,
  headers: { 'content-type': 'application/pkcs10', ...headers },
  body: Buffer.from(request).toString('base64'),
});

async function est(
  { world }: Opened,
  id: string,
  token: string,
  given?: Uint8Array,
): Promise<[BareConnection, RequestText]> {
  const request = given ?? (await newOperationalKey(id)).request;
  const headers = { authorization: `Basic ${btoa(`${id}:${token}`)}` };
  return [await bareConnection(world), estRequest('simpleenroll', request, headers)];
}

async function reporting(opened: Opened): Promise<[BareConnection, RequestText]> {
  const { secret } = accepted(
    { status: 200, body: await order(opened.ada, '/v1/token-devices', { id: 'meter-1' }) },
    tokenDeviceResponse,
  );
  const token = encodeDeviceToken('meter-1', Math.floor(opened.world.clock.now() / 1_000), secret);
  const connection = await bareConnection(opened.world);
  return [connection, json('/v1/token/report', {}, { authorization: `Device ${token}` })];
}

async function enrolled(opened: Opened, id: string): Promise<TestDevice> {
  const device = await opened.device(id);
  await device.enroll(opened.world);
  return device;
}

async function groupToken({ ada }: Opened): Promise<string> {
  await order(ada, '/v1/enrollment-groups', { name: 'line', kind: 'token' });
  const body = await order(ada, '/v1/enrollment-groups/line/tokens', { maxUses: 5, lifeSeconds: 3_600 });
  return accepted({ status: 200, body }, z.object({ token: z.string() })).token;
}

/** Sends everything but the last byte; returns what ends the proof. */
async function madeBy({ world, ada }: Opened, maker: string, kind: 'one-time' | 'group'): Promise<string> {
  const name = { name: maker, scopes: ['enrollment:write'], lifeSeconds: 3_600 };
  const { token } = accepted({ status: 200, body: await order(ada, '/v1/tokens', name) }, madeToken);
  if (kind === 'group') await order(ada, '/v1/enrollment-groups', { name: 'line', kind: 'token' });
  const [path, body] =
    kind === 'group' ? ['/v1/enrollment-groups/line/tokens', { maxUses: 5 }] : ['/v1/enrollment-tokens', {}];
  return accepted({ status: 200, body: await order(new TestPerson(world, maker, token), path, body) }, madeToken).token;
}

const madeToken = z.object({ token: z.string() });

interface Case {
  readonly what: string;
  /** Sends everything but the last byte; returns what ends the proof. */
  readonly begin: (opened: Opened) => Promise<{
    readonly half: [BareConnection, RequestText];
    readonly end: () => Promise<unknown>;
  }>;
}

const runOut = (world: HubWorld) => changeStore(world.place, 'update enrolment_token set expires_at = 1');
const reason = { reason: 'r' };

const cases: readonly Case[] = [
  {
    what: 'an enrollment whose token another device used up',
    async begin(opened) {
      const token = await opened.world.enrollmentToken();
      const other = await opened.device('press-2');
      const end = async () => accepted(await other.tryEnroll(opened.world, token), certificateResponse);
      return { half: await completing(opened, 'press-1', token), end };
    },
  },
  {
    what: 'an enrollment whose token ran out',
    async begin(opened) {
      const half = await completing(opened, 'press-1', await opened.world.enrollmentToken());
      return { half, end: async () => runOut(opened.world) };
    },
  },
  ...(['one-time', 'group'] as const).flatMap((kind): Case[] => [
    {
      what: `an enrollment whose ${kind} token was revoked`,
      async begin(opened) {
        const token = await madeBy(opened, 'line-office', kind);
        const path = `/v1/enrollment-tokens/${sha256Hex(token).slice(0, 16)}/revoke`;
        return { half: await completing(opened, 'press-1', token), end: () => order(opened.ada, path, {}) };
      },
    },
    {
      what: `an enrollment whose ${kind} token was made by an API token that was revoked`,
      async begin(opened) {
        const half = await completing(opened, 'press-1', await madeBy(opened, 'line-office', kind));
        return { half, end: () => order(opened.ada, '/v1/tokens/line-office/revoke', {}) };
      },
    },
    {
      // A store in which the person was ended but the tokens were not.
      what: `an enrollment whose ${kind} token was made by a person who was disabled`,
      async begin(opened) {
        const half = await completing(opened, 'press-1', await madeBy(opened, 'line-office', kind));
        return {
          half,
          end: () => changeStore(opened.world.place, 'update person set disabled_at = 1'),
        };
      },
    },
  ]),
  {
    what: 'an EST enrollment whose token was made by an API token that was revoked',
    async begin(opened) {
      const half = await est(opened, 'pump-1', await madeBy(opened, 'line-office', 'one-time'));
      return { half, end: () => order(opened.ada, '/v1/tokens/line-office/revoke', {}) };
    },
  },
  {
    what: 'an enrollment whose group was disabled',
    async begin(opened) {
      const half = await completing(opened, 'press-1', await groupToken(opened));
      return { half, end: () => order(opened.ada, '/v1/enrollment-groups/line/disable', reason) };
    },
  },
  {
    what: 'an enrollment whose root of trust was blocked',
    async begin(opened) {
      const half = await completing(opened, 'press-1', await opened.world.enrollmentToken());
      const rootSha256 = rootDigestOf(await (await opened.device('press-1')).identity());
      return { half, end: () => order(opened.ada, '/v1/blocked-roots', { rootSha256, ...reason }) };
    },
  },
  ...['quarantine', 'retire', 'disable'].map((verb): Case => ({
    what: `a recovery of a device under the order ${verb}`,
    async begin(opened) {
      const half = await recovering(opened, await enrolled(opened, 'press-1'));
      return { half, end: () => order(opened.ada, `/v1/devices/press-1/${verb}`, reason) };
    },
  })),
  {
    what: 'a report by a secret that was rolled',
    async begin(opened) {
      const half = await reporting(opened);
      return { half, end: () => order(opened.ada, '/v1/token-devices/meter-1/roll', { overlapSeconds: 0 }) };
    },
  },
  ...['quarantine', 'retire', 'disable'].map((verb): Case => ({
    what: `a report of a token device under the order ${verb}`,
    async begin(opened) {
      const half = await reporting(opened);
      return { half, end: () => order(opened.ada, `/v1/devices/meter-1/${verb}`, reason) };
    },
  })),
  {
    what: 'an EST enrollment whose token was used up',
    async begin(opened) {
      const token = await opened.world.enrollmentToken();
      const half = await est(opened, 'pump-1', token);
      const end = async () => {
        const [connection, request] = await est(opened, 'pump-2', token);
        assert.equal((await halfOn(connection.socket, request).finish()).status, 200);
      };
      return { half, end };
    },
  },
  {
    what: 'an EST enrollment whose token ran out',
    async begin(opened) {
      const half = await est(opened, 'pump-1', await opened.world.enrollmentToken());
      return { half, end: async () => runOut(opened.world) };
    },
  },
  ...['simpleenroll', 'simplereenroll'].flatMap((route): Case[] => [
    {
      what: `EST ${route} with a certificate that was revoked`,
      async begin(opened) {
        const half = await estAgain(opened, route);
        const body = { devices: ['pump-1'], reason: 'keyCompromise', note: 'n' };
        return { half, end: () => order(opened.ada, '/v1/certificates/revoke', body) };
      },
    },
    {
      // Another node of the hub wrote this: nothing cuts the connection here.
      what: `EST ${route} of a device that the store has as retired`,
      async begin(opened) {
        const half = await estAgain(opened, route);
        const sql = "update device set state = 'retired', state_reason = 'r'";
        return { half, end: () => changeStore(opened.world.place, sql) };
      },
    },
  ]),
];

/** Runs after the next appraisal, before the hub uses its result. */
function onceAppraised(t: TestContext, act: () => Promise<void>) {
  const appraise = t.mock.method(
    Appraiser.prototype,
    'appraise',
    async function (this: Appraiser, ...asked: Parameters<Appraiser['appraise']>) {
      appraise.mock.restore();
      const appraised = await this.appraise(...asked);
      await act();
      return appraised;
    },
  );
  return { appraise };
}

for (const { what, begin } of cases) {
  // SECURITY.md: HUB-12
  test(`nothing is done for ${what} before the last byte`, async () => {
    await using opened = await openWorld();
    const { half, end } = await begin(opened);
    const [connection, request] = half;
    const sent: HalfRequest = halfOn(connection.socket, request);
    await sent.letIn;
    await end();
    const before = await traces(opened.world);
    const { status, text } = await sent.finish();
    assert.ok(status === undefined || [401, 403, 409].includes(status), text);
    assert.deepEqual(await traces(opened.world), before);
  });

  if (/^an enrollment|^a recovery/.test(what)) {
    // SECURITY.md: HUB-12
    test(`nothing is done for ${what} while its evidence was appraised`, async (t) => {
      await using opened = await openWorld();
      const { half, end } = await begin(opened);
      const [connection, request] = half;
      let before: unknown;
      const { appraise } = onceAppraised(t, async () => {
        await end();
        before = await traces(opened.world);
      });
      const { status, text } = await halfOn(connection.socket, request).finish();
      assert.equal(appraise.mock.callCount(), 1);
      assert.ok(status === undefined || [401, 403, 409].includes(status), text);
      assert.deepEqual(await traces(opened.world), before);
    });
  }

  test(`the same request is accepted where nothing ended: ${what}`, async () => {
    await using opened = await openWorld();
    const [connection, request] = (await begin(opened)).half;
    const { status, text } = await halfOn(connection.socket, request).finish();
    assert.equal(status, 200, text);
  });
}
