// Operator API: enrollment groups (spec/enrollment-groups.md). To make or open a group is to decide whom the hub trusts, as with publishers:
// it needs `admin`.
import { encodePem } from '@edgekeep/core/identity/pem';
import * as api from '@edgekeep/wire/api/enrollment-group';
import { disableRequest, enableRequest } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { EnrollmentGroupRow } from '../../store/tables/enrollment.ts';
import { createGroupToken, tokensOf } from '../../enrollment/group-tokens.ts';
import * as groups from '../../enrollment/groups.ts';
import { termsOf } from '../../enrollment/match.ts';

const byName = z.strictObject({ name: z.string().max(64) });
const page = z.strictObject({
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function enrollmentGroupRoutes(app: HttpServer, dependencies: StoreRouteDependencies): void {
  addGroups(app, dependencies);
  addStates(app, dependencies);
  addTokens(app, dependencies);
}

function addGroups(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const read = requireScope('devices:read');
  const write = requireScope('enrollment:write');
  const trust = requireScope('admin');

  app.get(
    '/v1/enrollment-groups',
    { ...read, schema: { querystring: page, response: { 200: api.enrollmentGroupList } } },
    async ({ query }) => {
      const rows = await groups.listEnrollmentGroups(database.read, query);
      return { groups: rows.map(viewOf), next: rows.length === query.limit ? (rows.at(-1)?.name ?? null) : null };
    },
  );

  app.post(
    '/v1/enrollment-groups',
    {
      ...trust,
      bodyLimit: bodyBytes.certificates,
      schema: { body: api.enrollmentGroupRequest, response: { 200: api.enrollmentGroupView } },
    },
    async ({ body, actor }) => viewOf(await groups.createEnrollmentGroup(database, { ...body, actor, nowMs: clock() })),
  );

  app.get(
    '/v1/enrollment-groups/:name',
    { ...read, schema: { params: byName, response: { 200: api.enrollmentGroupDetail } } },
    async ({ params: { name } }) => detailOf(dependencies, name),
  );

  app.delete(
    '/v1/enrollment-groups/:name',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.enrollmentGroupDeleted } } },
    async ({ params: { name }, actor }) => {
      await groups.deleteEnrollmentGroup(database, { name, actor, nowMs: clock() });
      return { name, deleted: true };
    },
  );
}

function addStates(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('enrollment:write');
  const trust = requireScope('admin');

  app.post(
    '/v1/enrollment-groups/:name/disable',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: disableRequest, response: { 200: api.groupSwitchResponse } },
    },
    async ({ params: { name }, body: { reason }, actor }) => {
      await groups.disableEnrollmentGroup(database, { name, reason, actor, nowMs: clock() });
      return { name, enabled: false };
    },
  );

  app.post(
    '/v1/enrollment-groups/:name/enable',
    {
      ...trust,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: enableRequest, response: { 200: api.groupSwitchResponse } },
    },
    async ({ params: { name }, actor }) => {
      await groups.enableEnrollmentGroup(database, { name, actor, nowMs: clock() });
      return { name, enabled: true };
    },
  );

  app.put(
    '/v1/enrollment-groups/:name/limit',
    {
      ...trust,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.groupLimitRequest, response: { 200: api.enrollmentGroupView } },
    },
    async ({ params: { name }, body: { maxDevices }, actor }) =>
      viewOf(await groups.limitEnrollmentGroup(database, { name, maxDevices, actor, nowMs: clock() })),
  );
}

function addTokens(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const write = requireScope('enrollment:write');

  app.post(
    '/v1/enrollment-groups/:name/tokens',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.groupTokenRequest, response: { 200: api.groupTokenResponse } },
    },
    async ({ params: { name }, body, actor, caller }) => {
      const { maxUses, lifeSeconds, olderSeconds } = body;
      const order = { name, maxUses, lifeSeconds, olderSeconds, actor, maker: caller, nowMs: clock() };
      return { ...(await createGroupToken(database, order)), maxUses };
    },
  );
}

async function detailOf(
  dependencies: StoreRouteDependencies,
  name: string,
): Promise<z.infer<typeof api.enrollmentGroupDetail>> {
  const { database, clock } = dependencies;
  const row = await groups.getEnrollmentGroup(database.read, name);
  const tokens = await tokensOf(database.read, name, clock());
  return {
    ...viewOf(row),
    certificate: row.certificate === null ? null : encodePem('CERTIFICATE', row.certificate),
    groups: [...(await groups.joinsOf(database.read, name))],
    terms: termsOf(row),
    listed: await groups.listedBy(database.read, name),
    tokens: tokens.map((token) => ({
      token: token.sha256.slice(0, 16),
      state: token.state,
      createdAt: token.created_at,
      expiresAt: token.expires_at,
      uses: token.uses,
      maxUses: token.uses_most,
    })),
  };
}

function viewOf(row: EnrollmentGroupRow): z.infer<typeof api.enrollmentGroupView> {
  return {
    name: row.name,
    kind: row.kind,
    description: row.description,
    enabled: row.disabled_reason === null,
    disabledReason: row.disabled_reason,
    devices: row.devices,
    maxDevices: row.devices_most,
    authoritySha256: row.anchor_sha256,
    createdAt: row.created_at,
  };
}
