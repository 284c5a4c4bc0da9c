// Operator API: expected devices and blocked roots of trust.
import * as api from '@edgekeep/wire/api/admission';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import {
  blockRoot,
  listBlockedRoots,
  listExpected,
  removeExpected,
  unblockRoot,
} from '../../registry/admission-lists.ts';

const limit = z.coerce.number().int().min(1).max(1_000).default(100);
const expectedPage = z.strictObject({
  after: z.string().max(64).default(''),
  state: z.enum(['any', 'waiting']).default('any'),
  limit,
});
const blockedPage = z.strictObject({ after: z.string().max(64).default(''), limit });
const byId = z.strictObject({ id: z.string().max(64) });
const byRoot = z.strictObject({ root: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case') });

export function admissionRoutes(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const read = requireScope('devices:read');
  const write = requireScope('enrollment:write');

  app.get(
    '/v1/expected-devices',
    { ...read, schema: { querystring: expectedPage, response: { 200: api.expectedDeviceList } } },
    async ({ query: { state, after, limit } }) => {
      const expected = await listExpected(database.read, { after, limit, waiting: state === 'waiting' });
      return { expected: [...expected], next: expected.length === limit ? (expected.at(-1)?.id ?? null) : null };
    },
  );
  app.delete(
    '/v1/expected-devices/:id',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byId, response: { 200: api.expectedDeviceRemoved } } },
    async ({ params: { id }, actor }) => {
      await removeExpected(database, { id, actor, nowMs: clock() });
      return { id, removed: true };
    },
  );

  app.get(
    '/v1/blocked-roots',
    { ...read, schema: { querystring: blockedPage, response: { 200: api.blockedRootList } } },
    async ({ query }) => {
      const blocked = await listBlockedRoots(database.read, query);
      const next = blocked.length === query.limit ? (blocked.at(-1)?.rootSha256 ?? null) : null;
      return { blocked: [...blocked], next };
    },
  );
  app.post(
    '/v1/blocked-roots',
    { ...write, bodyLimit: bodyBytes.order, schema: { body: api.blockRequest, response: { 200: api.blockResponse } } },
    async ({ body: { rootSha256, reason }, actor }) => {
      const deviceId = await blockRoot(database, { rootSha256, reason, actor, nowMs: clock() });
      return { rootSha256, blocked: true, deviceId: deviceId ?? null };
    },
  );
  app.post(
    '/v1/blocked-roots/:root/unblock',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byRoot, body: api.unblockRequest, response: { 200: api.unblockResponse } },
    },
    async ({ params: { root: rootSha256 }, body: { reason }, actor }) => {
      await unblockRoot(database, { rootSha256, reason, actor, nowMs: clock() });
      return { rootSha256, blocked: false };
    },
  );
}
