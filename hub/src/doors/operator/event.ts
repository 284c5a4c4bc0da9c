// Operator API: how far the consumers of the audit log are, and the order to move one.
import { type EventCursor, eventCursor, eventCursorList, resetCursorRequest } from '@edgekeep/wire/api/event';
import { z } from 'zod';
import { resetCursor } from '../../event/cursors.ts';
import { type CursorLag, lagOf } from '../../event/lag.ts';
import type { Events } from '../../event/open.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { StoreRouteDependencies } from './door.ts';

const byName = z.strictObject({ name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,79}$/) });

export function eventRoutes(
  app: HttpServer,
  dependencies: StoreRouteDependencies & { readonly events: Pick<Events, 'list' | 'isUsed'> },
): void {
  const { database, clock, requireScope, events } = dependencies;

  app.get(
    '/v1/event-cursors',
    { ...requireScope('metrics:read'), schema: { response: { 200: eventCursorList } } },
    async () => ({ cursors: (await events.list()).map((lag) => viewOf(lag, events.isUsed(lag.cursor.name))) }),
  );
  app.post(
    '/v1/event-cursors/:name/reset',
    {
      ...requireScope('events:write'),
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: resetCursorRequest, response: { 200: eventCursor } },
    },
    async ({ params: { name }, body, actor }) => {
      const nowMs = clock();
      const cursor = await resetCursor(database, { name, ...body, actor, nowMs });
      const lag = await lagOf(database.read, cursor, nowMs);
      return viewOf(lag, events.isUsed(name));
    },
  );
}

function viewOf({ cursor, entries, seconds }: CursorLag, used: boolean): EventCursor {
  return {
    name: cursor.name,
    position: cursor.position,
    lagEntries: entries,
    lagSeconds: seconds,
    movedAt: cursor.moved_at,
    failures: cursor.failures,
    problem: cursor.problem,
    nextAt: cursor.next_at,
    used,
  };
}
