// Operator API: groups of devices.
import * as api from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { DeviceGroupRow } from '../../store/tables/registry.ts';
import { changeMembers, createGroup, deleteGroup, getGroup, listGroups } from '../../registry/groups.ts';
import { claimsOfGroup } from '../../registry/claims.ts';
import { countDevices } from '../../registry/list.ts';

const byName = z.strictObject({ name: z.string().max(64) });

export function groupRoutes(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('devices:write');
  const read = requireScope('devices:read');

  app.get('/v1/groups', { ...read, schema: { response: { 200: api.groupList } } }, async () => ({
    groups: (await listGroups(database.read)).map((row) => viewOf(row, clock())),
  }));
  app.post(
    '/v1/groups',
    { ...write, bodyLimit: bodyBytes.order, schema: { body: api.groupRequest, response: { 200: api.groupView } } },
    async ({ body: { name, description, filter }, actor }) =>
      viewOf(await createGroup(database, { name, description, filter, actor, nowMs: clock() }), clock()),
  );
  app.get(
    '/v1/groups/:name',
    { ...read, schema: { params: byName, response: { 200: api.groupDetail } } },
    async ({ params: { name } }) => {
      const group = await getGroup(database.read, name);
      return { ...viewOf(group, clock()), members: await countDevices(database.readApart, `group==${name}`, clock()) };
    },
  );
  app.delete(
    '/v1/groups/:name',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.groupDeleted } } },
    async ({ params: { name }, actor }) => {
      await deleteGroup(database, { name, actor, nowMs: clock() });
      return { name, deleted: true };
    },
  );
  app.post(
    '/v1/groups/:name/members',
    {
      ...write,
      bodyLimit: bodyBytes.names,
      schema: { params: byName, body: api.membersRequest, response: { 200: api.membersResponse } },
    },
    async ({ params: { name }, body, actor }) => ({
      name,
      ...(await changeMembers(database, { name, ...body, actor, nowMs: clock() })),
    }),
  );
}

function viewOf(row: DeviceGroupRow, nowMs: number): z.infer<typeof api.groupView> {
  const { name, description, filter, created_at: createdAt } = row;
  return { name, description, filter, claims: [...claimsOfGroup(row, nowMs)], createdAt };
}
