// Operator API: sites, and the devices at each.
import * as api from '@edgekeep/wire/api/site';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { sendPage } from './pages.ts';
import { sitePage } from './site-page.ts';
import { changeSite, countDevicesAt, createSite, deleteSite, getSite, moveDevices } from '../../site/sites.ts';

const byName = z.strictObject({ name: z.string().max(64) });

export function siteRoutes(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('devices:write');
  const read = requireScope('devices:read');

  app.get('/v1/sites', { ...read, schema: { response: { 200: api.siteList } } }, async (_request, reply) =>
    sendPage(database, reply, sitePage, { query: {}, short: false }),
  );
  app.post(
    '/v1/sites',
    { ...write, bodyLimit: bodyBytes.order, schema: { body: api.siteRequest, response: { 200: api.siteView } } },
    async ({ body, actor }) => createSite(database, { site: body, actor, nowMs: clock() }),
  );
  app.get(
    '/v1/sites/:name',
    { ...read, schema: { params: byName, response: { 200: api.siteDetail } } },
    async ({ params: { name } }) => ({
      ...(await getSite(database.read, name)),
      devices: await countDevicesAt(database.readApart, name),
    }),
  );
  app.put(
    '/v1/sites/:name',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.siteChange, response: { 200: api.siteView } },
    },
    async ({ params: { name }, body, actor }) =>
      changeSite(database, { site: { ...body, name }, actor, nowMs: clock() }),
  );
  app.delete(
    '/v1/sites/:name',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.siteDeleted } } },
    async ({ params: { name }, actor }) => {
      const unassigned = await deleteSite(database, { name, actor, nowMs: clock() });
      return { name, deleted: true, unassigned };
    },
  );
  app.post(
    '/v1/sites/:name/devices',
    {
      ...write,
      bodyLimit: bodyBytes.names,
      schema: { params: byName, body: api.siteDevicesRequest, response: { 200: api.siteDevicesResponse } },
    },
    async ({ params: { name }, body, actor }) => ({
      name,
      ...(await moveDevices(database, { name, ...body, actor, nowMs: clock() })),
    }),
  );
}
