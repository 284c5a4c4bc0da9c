// Operator API: alerts.
import * as api from '@edgekeep/wire/api/alert';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { alertPage } from './alert-page.ts';
import { sendPage, SHORT_MAX } from './pages.ts';
import { alertViewOf } from '../../alert/alert-list.ts';
import { acknowledgeAlert, closeAlert, getAlert } from '../../alert/alerts.ts';

const byId = z.strictObject({
  id: z.coerce.number('expected the number of an alert: `edgekeep alert list` shows them').int().min(0),
});

export function alertRoutes(app: HttpServer, dependencies: StoreRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;
  const read = requireScope('alerts:read');
  const write = requireScope('alerts:write');

  app.get(
    '/v1/alerts',
    { ...read, schema: { querystring: api.alertQuery, response: { 200: api.alertList } } },
    async ({ query }, reply) => {
      const { state, kind, device, limit } = query;
      const short = state === 'any' && kind === undefined && device === undefined && limit <= SHORT_MAX;
      return sendPage(database, reply, alertPage, { query, short });
    },
  );
  app.get(
    '/v1/alerts/:id',
    { ...read, schema: { params: byId, response: { 200: api.alertView } } },
    async ({ params: { id } }) => alertViewOf(await getAlert(database.read, id)),
  );
  app.post(
    '/v1/alerts/:id/acknowledge',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: api.acknowledgeRequest, response: { 200: api.alertView } },
    },
    async ({ params: { id }, body: { note }, actor }) =>
      alertViewOf(await acknowledgeAlert(database, { id, note, actor, nowMs: clock() })),
  );
  app.post(
    '/v1/alerts/:id/close',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: api.closeRequest, response: { 200: api.alertView } },
    },
    async ({ params: { id }, body: { note }, actor }) =>
      alertViewOf(await closeAlert(database, { id, note, actor, nowMs: clock() })),
  );
}
