// Operator API: devices and their states.
import {
  deviceDetail,
  deviceList,
  replaceRootResponse,
  replaceRootRequest,
  stateResponse,
  stateRequest,
} from '@edgekeep/wire/api/device-view';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { devicePage, deviceQuery, deviceViewOf } from './device-page.ts';
import { sendPage, SHORT_MAX } from './pages.ts';
import {
  type DisconnectDependencies,
  quarantineDevice,
  releaseFromQuarantine,
  retireDevice,
} from '../../respond/quarantine.ts';
import { replaceRootOfTrust, wipeDevice } from '../../respond/wipe.ts';
import { groupsOf } from '../../registry/groups.ts';
import { tagsOf } from '../../registry/tags.ts';
import { modelsOf } from '../../model/device-models.ts';
import type { DeviceRecord } from '../../store/tables/registry.ts';
import type { Connections } from '../../presence/connections.ts';
import { type DevicePresence, presenceOf } from '../../presence/read.ts';
import { formerDevicesOf, formerIdentitiesOf } from '../../enrollment/returning.ts';
import { checkFilter } from '../../registry/list.ts';
import { incarnationOf } from '../../registry/device-row.ts';
import { hybridKeyViewOf } from '../../registry/hybrid-keys.ts';
import { getDevice } from '../../registry/states.ts';
import { attestationKeyIn } from '../../attest/root-keys.ts';
import { makersOf } from '../../vendor-root/device-makers.ts';
import { idevidOf } from '../../enrollment/idevid.ts';

const byId = z.strictObject({ id: z.string().max(64) });
// A device holds one certificate at a time and renews at two thirds of its life; this shows the recent ones.
const HISTORY_MAX = 50;

type DeviceOperatorRouteDependencies = DisconnectDependencies & {
  readonly connections: Connections;
  readonly clock: Clock;
  readonly requireScope: RequireScope;
};

export function deviceOperatorRoutes(app: HttpServer, dependencies: DeviceOperatorRouteDependencies): void {
  addList(app, dependencies);
  addDetail(app, dependencies);
  addOrders(app, dependencies);
}

function addList(app: HttpServer, dependencies: DeviceOperatorRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;

  app.get(
    '/v1/devices',
    { ...requireScope('devices:read'), schema: { querystring: deviceQuery, response: { 200: deviceList } } },
    async ({ query }, reply) => {
      const { filter, sort, limit } = query;
      const nowMs = clock();
      if (filter !== undefined) checkFilter(filter, nowMs);
      // In the order of the key and without a filter, a page reads what it shows.
      const short = filter === undefined && ['id', '-id'].includes(sort) && limit <= SHORT_MAX;
      return sendPage(database, reply, devicePage, { query: { ...query, nowMs }, short });
    },
  );
}

function addDetail(app: HttpServer, dependencies: DeviceOperatorRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;

  app.get(
    '/v1/devices/:id',
    { ...requireScope('devices:read'), schema: { params: byId, response: { 200: deviceDetail } } },
    async ({ params }) => {
      const row = await getDevice(database.read, params.id);
      const certificates = await database.read
        .selectFrom('certificate')
        .select([
          'serial',
          'not_before as notBefore',
          'not_after as notAfter',
          'revoked_at as revokedAt',
          'generation as incarnation',
        ])
        .where('device_id', '=', row.id)
        .where('workload', 'is', null)
        .orderBy('not_before', 'desc')
        .limit(HISTORY_MAX)
        .execute();
      const leases = await database.read
        .selectFrom('lease')
        .select(['id', 'model', 'version', 'not_after as notAfter', 'revoked_at as revokedAt', 'wrap'])
        .where('device_id', '=', row.id)
        .orderBy('not_after', 'desc')
        .limit(HISTORY_MAX)
        .execute();
      const { root_sha256: rootSha256, witness_key: witnessKey, enrolment_group: enrollmentGroup } = row;
      const tags = (await tagsOf(database.read, [row.id])).get(row.id);
      const groups = [...(await groupsOf(database.read, row.id))];
      const presence = viewOfPresence(row, await presenceOf(database.read, row.id, clock()));
      const view = deviceViewOf(row, presence.sessions.length > 0, await modelsOf(database.read, [row.id]), tags);
      return {
        ...view,
        presence,
        groups,
        enrollmentGroup,
        enrolmentGroup: enrollmentGroup,
        ...withFormerName({ incarnation: incarnationOf(row) }),
        formerIdentities: (await formerIdentitiesOf(database.read, row.id, HISTORY_MAX)).map(withFormerName),
        formerDevices: (await formerDevicesOf(database.read, rootSha256, row.id, HISTORY_MAX)).map(withFormerName),
        nextRootSha256: row.next_root_sha256,
        makers: (await makersOf(database.read, row.id)).map((maker) => ({ ...maker, notes: [...maker.notes] })),
        idevid: await idevidOf(database.read, row.id),
        rootSha256,
        hybridKey: (await hybridKeyViewOf(database.read, row.id)) ?? null,
        attestationKey: attestationKeyIn(row.identity),
        witnessKey,
        certificates: certificates.map(withFormerName),
        leases,
      };
    },
  );
}

function addOrders(app: HttpServer, dependencies: DeviceOperatorRouteDependencies): void {
  const { database, requireScope } = dependencies;
  const orderSchema = { params: byId, body: stateRequest, response: { 200: stateResponse } };

  app.post(
    '/v1/devices/:id/quarantine',
    { ...requireScope('devices:write'), bodyLimit: bodyBytes.order, schema: orderSchema },
    async (request) => quarantineDevice(dependencies, orderOf(dependencies, request)),
  );

  app.post(
    '/v1/devices/:id/retire',
    { ...requireScope('devices:write'), bodyLimit: bodyBytes.order, schema: orderSchema },
    async (request) => retireDevice(dependencies, orderOf(dependencies, request)),
  );

  app.post(
    '/v1/devices/:id/wiped',
    { ...requireScope('devices:write'), bodyLimit: bodyBytes.order, schema: orderSchema },
    async (request) => wipeDevice(dependencies, orderOf(dependencies, request)),
  );

  app.post(
    '/v1/devices/:id/replace-root',
    {
      ...requireScope('enrollment:write'),
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: replaceRootRequest, response: { 200: replaceRootResponse } },
    },
    async (request) =>
      replaceRootOfTrust(database, { ...orderOf(dependencies, request), rootSha256: request.body.rootSha256 }),
  );

  app.post(
    '/v1/devices/:id/release',
    { ...requireScope('devices:write'), bodyLimit: bodyBytes.order, schema: orderSchema },
    async (request) => {
      const order = orderOf(dependencies, request);
      return { deviceId: order.deviceId, state: await releaseFromQuarantine(database, order), connectionsClosed: 0 };
    },
  );
}

function orderOf(
  dependencies: DeviceOperatorRouteDependencies,
  request: { params: { id: string }; body: { reason: string }; actor: string },
) {
  const { clock } = dependencies;
  return { deviceId: request.params.id, reason: request.body.reason, actor: request.actor, nowMs: clock() };
}

// Programs of the version before know an incarnation as a generation, and sessions as places.
const withFormerName = <T extends { readonly incarnation: number }>(view: T) => ({
  ...view,
  generation: view.incarnation,
});

function viewOfPresence(row: DeviceRecord, presence: DevicePresence) {
  const sessions = presence.sessions.map(({ address, sinceMs, serial }) => ({
    address,
    since: sinceMs,
    certificate: serial,
  }));
  return {
    sessions,
    places: sessions,
    elsewhere: presence.elsewhere,
    lastAddress: row.bound_address,
    lastBoundAt: row.bound_at,
  };
}
