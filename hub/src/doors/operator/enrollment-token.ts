// Operator API: enrollment tokens, one-time and of groups.
import * as tokens from '@edgekeep/wire/api/enrollment-token';
import { enrollmentTokenResponse, enrollmentTokenRequest } from '@edgekeep/wire/api/enrollment-token';
import { tokenIdSchema } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { createEnrollmentToken } from '../../enrollment/one-time-token.ts';
import { handOverEnrollmentToken, listEnrollmentTokens, revokeEnrollmentToken } from '../../enrollment/token-orders.ts';

const byId = z.strictObject({ id: tokenIdSchema });
const page = z.strictObject({
  state: z.enum(['usable', 'any']).default('usable'),
  after: z.union([z.literal(''), tokenIdSchema]).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function enrollmentTokenRoutes(
  app: HttpServer,
  { database, clock, requireScope }: StoreRouteDependencies,
): void {
  const write = requireScope('enrollment:write');

  app.get(
    '/v1/enrollment-tokens',
    { ...requireScope('devices:read'), schema: { querystring: page, response: { 200: tokens.enrollmentTokenList } } },
    async ({ query }) => {
      const found = await listEnrollmentTokens(database.read, { ...query, nowMs: clock() });
      return { tokens: [...found.tokens], next: found.next };
    },
  );
  app.post(
    '/v1/enrollment-tokens',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { body: enrollmentTokenRequest, response: { 200: enrollmentTokenResponse } },
    },
    async ({ body, actor, caller }) => {
      const { deviceId, tier, lifeSeconds } = body;
      return createEnrollmentToken(database, { deviceId, tier, lifeSeconds, actor, maker: caller, nowMs: clock() });
    },
  );
  app.post(
    '/v1/enrollment-tokens/:id/revoke',
    {
      ...write,
      bodyLimit: bodyBytes.none,
      schema: { params: byId, response: { 200: tokens.enrollmentTokenRevoked } },
    },
    async ({ params: { id }, actor }) => {
      await revokeEnrollmentToken(database, { id, actor, nowMs: clock() });
      return { id, revoked: true };
    },
  );
  app.post(
    '/v1/enrollment-tokens/:id/hand-over',
    {
      ...write,
      bodyLimit: bodyBytes.none,
      schema: { params: byId, response: { 200: tokens.enrollmentTokenHandedOver } },
    },
    async ({ params: { id }, actor, caller }) =>
      handOverEnrollmentToken(database, { id, actor, caller, nowMs: clock() }),
  );
}
