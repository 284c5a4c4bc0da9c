// Operator API: data about a device besides its identity: the switch, tags, attributes, history.
import { retryResponse, retryRequest } from '@edgekeep/wire/api/model';
import * as api from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { orderRetry } from '../../model/device-models.ts';
import { getDevice } from '../../registry/states.ts';
import type { DisconnectDependencies } from '../../respond/quarantine.ts';
import { documentOf, setDesired } from '../../registry/attributes.ts';
import { disableDevice, enableDevice } from '../../respond/disable.ts';
import { changesOf } from '../../registry/history.ts';
import { changeTags } from '../../registry/tags.ts';

const byId = z.strictObject({ id: z.string().max(64) });
const historyPage = z.strictObject({
  before: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

type RegistryDeviceRouteDependencies = DisconnectDependencies & {
  readonly clock: Clock;
  readonly requireScope: RequireScope;
};

export function registryDeviceRoutes(app: HttpServer, dependencies: RegistryDeviceRouteDependencies): void {
  addSwitches(app, dependencies);
  addTags(app, dependencies);
  addAttributes(app, dependencies);
}

function addSwitches(app: HttpServer, dependencies: RegistryDeviceRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('devices:write');

  app.post(
    '/v1/devices/:id/disable',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: api.disableRequest, response: { 200: api.enabledResponse } },
    },
    async ({ params, body, actor }) =>
      disableDevice(dependencies, { deviceId: params.id, reason: body.reason, actor, nowMs: clock() }),
  );

  app.post(
    '/v1/devices/:id/enable',
    {
      ...write,
      bodyLimit: bodyBytes.none,
      schema: { params: byId, body: api.enableRequest, response: { 200: api.enabledResponse } },
    },
    async ({ params, actor }) => enableDevice(dependencies, { deviceId: params.id, actor, nowMs: clock() }),
  );

  app.post(
    '/v1/devices/:id/retry-model',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: retryRequest, response: { 200: retryResponse } },
    },
    async ({ params, body, actor }) =>
      orderRetry(database, { deviceId: params.id, model: body.model, actor, nowMs: clock() }),
  );
}

function addTags(app: HttpServer, dependencies: RegistryDeviceRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('devices:write');

  app.post(
    '/v1/devices/:id/tags',
    {
      ...write,
      bodyLimit: bodyBytes.document,
      schema: { params: byId, body: api.tagRequest, response: { 200: api.tagResponse } },
    },
    async ({ params, body, actor }) => {
      const tags = await changeTags(database, { deviceId: params.id, ...body, actor, nowMs: clock() });
      return { deviceId: params.id, tags };
    },
  );
}

function addAttributes(app: HttpServer, dependencies: RegistryDeviceRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('devices:write');
  const read = requireScope('devices:read');

  app.get(
    '/v1/devices/:id/attributes',
    { ...read, schema: { params: byId, response: { 200: api.attributesView } } },
    async ({ params: { id } }) => viewOf(dependencies, id),
  );

  app.put(
    '/v1/devices/:id/desired',
    {
      ...write,
      bodyLimit: bodyBytes.document,
      schema: { params: byId, body: api.desiredRequest, response: { 200: api.attributesView } },
    },
    async ({ params: { id }, body: { attributes, replaces }, actor }) => {
      await setDesired(database, { deviceId: id, attributes, replaces, actor, nowMs: clock() });
      return viewOf(dependencies, id);
    },
  );

  app.get(
    '/v1/devices/:id/history',
    { ...read, schema: { params: byId, querystring: historyPage, response: { 200: api.historyView } } },
    async ({ params: { id }, query: { before, limit } }) => {
      await getDevice(database.read, id);
      const changes = await changesOf(database, id, { before, limit });
      const next = changes.length === limit ? (changes.at(-1)?.logIndex ?? null) : null;
      return { changes: [...changes], next };
    },
  );
}

async function viewOf(dependencies: RegistryDeviceRouteDependencies, deviceId: string) {
  const { database } = dependencies;
  await getDevice(database.read, deviceId);
  const [desired, reported] = await Promise.all([
    documentOf(database.read, deviceId, 'desired'),
    documentOf(database.read, deviceId, 'reported'),
  ]);
  return { deviceId, desired, reported };
}
