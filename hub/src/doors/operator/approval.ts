// Operator API: requests that wait for a second person.
import * as api from '@edgekeep/wire/api/approval';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../../store/database.ts';
import { getRequest, listRequests, refuseRequest, scopeOfRequest } from '../../people/approvals.ts';
import type { AccessGate } from '../../access/gate.ts';
import type { TwoPeople } from './two-people.ts';

const byId = z.strictObject({ id: z.string().max(64) });
const page = z.strictObject({ state: z.enum(['waiting', 'any']).default('waiting') });

export function approvalRoutes(
  app: HttpServer,
  dependencies: {
    readonly database: Database;
    readonly clock: Clock;
    readonly requireScope: RequireScope;
    readonly twoPeople: TwoPeople;
    readonly gate: Pick<AccessGate, 'administer'>;
  },
): void {
  const { database, clock, requireScope, twoPeople, gate } = dependencies;

  app.get(
    '/v1/approvals',
    { ...requireScope('any'), schema: { querystring: page, response: { 200: api.approvalList } } },
    async ({ query, caller }) => ({
      approvals: [...(await listRequests(database, caller, { ...query, nowMs: clock() }))],
    }),
  );
  app.get(
    '/v1/approvals/:id',
    { ...requireScope('any'), schema: { params: byId, response: { 200: api.approvalView } } },
    async ({ params: { id }, caller }) => getRequest(database, caller, id, clock()),
  );
  app.post(
    '/v1/approvals/:id/approve',
    {
      ...requireScope('any'),
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: api.approveRequest, response: { 200: api.approveResponse } },
    },
    async ({ params: { id }, body: { digest }, caller, ip: address }) => {
      // The policy is asked about the second person as it was about the first: with the scope of the request that is carried out.
      const scope = await scopeOfRequest(database, id);
      if (scope !== undefined) await gate.administer(caller, { address, scope, changes: true, nowMs: clock() });
      return { id, ...(await twoPeople.approve(app, id, { caller, address, digest })) };
    },
  );
  app.post(
    '/v1/approvals/:id/refuse',
    {
      ...requireScope('any'),
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: api.refusalRequest, response: { 200: api.approvalView } },
    },
    async ({ params: { id }, body: { reason }, caller }) => {
      await refuseRequest(database, id, { caller, reason, nowMs: clock() });
      return getRequest(database, caller, id, clock());
    },
  );
}
