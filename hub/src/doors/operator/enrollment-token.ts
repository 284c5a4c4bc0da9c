// Operator API: enrolment tokens, one-time and of groups.
import * as tokens from '@edgekeep/wire/api/enrollment-token';
import * as api from '@edgekeep/wire/api/operator';
import { tokenIdSchema } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteParts } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { createEnrolmentToken } from '../../enrollment/one-time-token.ts';
import { handOverEnrolmentToken, listEnrolmentTokens, revokeEnrolmentToken } from '../../enrollment/token-orders.ts';

const byId = z.strictObject({ id: tokenIdSchema });
const page = z.strictObject({
  state: z.enum(['usable', 'any']).default('usable'),
  after: z.union([z.literal(''), tokenIdSchema]).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function enrolmentTokenRoutes(app: HttpServer, { database, clock, requireScope }: StoreRouteParts): void {
  const write = requireScope('enrolment:write');

  app.get(
    '/v1/enrolment-tokens',
    { ...requireScope('devices:read'), schema: { querystring: page, response: { 200: tokens.enrolmentTokenList } } },
    async ({ query }) => {
      const found = await listEnrolmentTokens(database.read, { ...query, nowMs: clock() });
      return { tokens: [...found.tokens], next: found.next };
    },
  );
  app.post(
    '/v1/enrolment-tokens',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { body: api.enrolmentTokenOrder, response: { 200: api.enrolmentTokenAnswer } },
    },
    async ({ body, actor, caller }) => {
      const { deviceId, tier, lifeSeconds } = body;
      return createEnrolmentToken(database, { deviceId, tier, lifeSeconds, actor, maker: caller, nowMs: clock() });
    },
  );
  app.post(
    '/v1/enrolment-tokens/:id/revoke',
    {
      ...write,
      bodyLimit: bodyBytes.none,
      schema: { params: byId, response: { 200: tokens.enrolmentTokenRevoked } },
    },
    async ({ params: { id }, actor }) => {
      await revokeEnrolmentToken(database, { id, actor, nowMs: clock() });
      return { id, revoked: true };
    },
  );
  app.post(
    '/v1/enrolment-tokens/:id/hand-over',
    {
      ...write,
      bodyLimit: bodyBytes.none,
      schema: { params: byId, response: { 200: tokens.enrolmentTokenHandedOver } },
    },
    async ({ params: { id }, actor, caller }) =>
      handOverEnrolmentToken(database, { id, actor, caller, nowMs: clock() }),
  );
}
