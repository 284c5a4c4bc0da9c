// Operator API: enrollment groups (spec/enrolment-groups.md). To make or open a group is to decide whom the hub trusts, as with publishers:
// it needs `admin`.
import { encodePem } from '@edgekeep/core/identity/pem';
import * as api from '@edgekeep/wire/api/enrollment-group';
import { disableOrder, enableOrder } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteParts } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { EnrolmentGroupRow } from '../../store/enrollment-tables.ts';
import { createGroupToken, tokensOf } from '../../enrollment/group-tokens.ts';
import * as groups from '../../enrollment/groups.ts';
import { termsOf } from '../../enrollment/match.ts';

const byName = z.strictObject({ name: z.string().max(64) });
const page = z.strictObject({
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function enrolmentGroupRoutes(app: HttpServer, parts: StoreRouteParts): void {
  const { database, clock, requireScope } = parts;
  const read = requireScope('devices:read');
  const write = requireScope('enrolment:write');
  const trust = requireScope('admin');

  app.get(
    '/v1/enrolment-groups',
    { ...read, schema: { querystring: page, response: { 200: api.enrolmentGroupList } } },
    async ({ query }) => {
      const rows = await groups.listEnrolmentGroups(database.read, query);
      return { groups: rows.map(viewOf), next: rows.length === query.limit ? (rows.at(-1)?.name ?? null) : null };
    },
  );
  app.post(
    '/v1/enrolment-groups',
    {
      ...trust,
      bodyLimit: bodyBytes.certificates,
      schema: { body: api.enrolmentGroupOrder, response: { 200: api.enrolmentGroupView } },
    },
    async ({ body, actor }) => viewOf(await groups.createEnrolmentGroup(database, { ...body, actor, nowMs: clock() })),
  );
  app.get(
    '/v1/enrolment-groups/:name',
    { ...read, schema: { params: byName, response: { 200: api.enrolmentGroupDetail } } },
    async ({ params: { name } }) => detailOf(name),
  );
  app.delete(
    '/v1/enrolment-groups/:name',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.enrolmentGroupDeleted } } },
    async ({ params: { name }, actor }) => {
      await groups.deleteEnrolmentGroup(database, { name, actor, nowMs: clock() });
      return { name, deleted: true };
    },
  );
  app.post(
    '/v1/enrolment-groups/:name/disable',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: disableOrder, response: { 200: api.groupSwitchAnswer } },
    },
    async ({ params: { name }, body: { reason }, actor }) => {
      await groups.disableEnrolmentGroup(database, { name, reason, actor, nowMs: clock() });
      return { name, enabled: false };
    },
  );
  app.post(
    '/v1/enrolment-groups/:name/enable',
    {
      ...trust,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: enableOrder, response: { 200: api.groupSwitchAnswer } },
    },
    async ({ params: { name }, actor }) => {
      await groups.enableEnrolmentGroup(database, { name, actor, nowMs: clock() });
      return { name, enabled: true };
    },
  );
  app.put(
    '/v1/enrolment-groups/:name/limit',
    {
      ...trust,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.groupLimitOrder, response: { 200: api.enrolmentGroupView } },
    },
    async ({ params: { name }, body: { devicesMost }, actor }) =>
      viewOf(await groups.limitEnrolmentGroup(database, { name, devicesMost, actor, nowMs: clock() })),
  );
  app.post(
    '/v1/enrolment-groups/:name/tokens',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.groupTokenOrder, response: { 200: api.groupTokenAnswer } },
    },
    async ({ params: { name }, body, actor, caller }) => {
      const { usesMost, lifeSeconds, olderSeconds } = body;
      const order = { name, usesMost, lifeSeconds, olderSeconds, actor, maker: caller, nowMs: clock() };
      return { ...(await createGroupToken(database, order)), usesMost };
    },
  );

  async function detailOf(name: string): Promise<z.infer<typeof api.enrolmentGroupDetail>> {
    const row = await groups.getEnrolmentGroup(database.read, name);
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
        usesMost: token.uses_most,
      })),
    };
  }
}

function viewOf(row: EnrolmentGroupRow): z.infer<typeof api.enrolmentGroupView> {
  return {
    name: row.name,
    kind: row.kind,
    description: row.description,
    enabled: row.disabled_reason === null,
    disabledReason: row.disabled_reason,
    devices: row.devices,
    devicesMost: row.devices_most,
    authoritySha256: row.anchor_sha256,
    createdAt: row.created_at,
  };
}
