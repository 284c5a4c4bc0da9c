// Is the hub alive, is it ready, and how does it do: for supervisors and Prometheus. Only the metrics need a token.
import { z } from 'zod';
import type { RequireScope } from '../http/operator.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../store/database.ts';
import type { Metrics } from './metrics.ts';

const health = z.object({ status: z.string() });

export function healthRoutes(
  app: HttpServer,
  parts: { database: Database; metrics: Metrics; requireScope: RequireScope },
): void {
  app.get('/healthz', { schema: { response: { 200: health } } }, async () => ({ status: 'alive' }));

  app.get('/readyz', { schema: { response: { 200: health } } }, async () => {
    await parts.database.read.selectFrom('policy').select('version').limit(1).execute();
    return { status: 'ready' };
  });

  app.get('/metrics', parts.requireScope('metrics:read'), async (_request, reply) =>
    reply.type(parts.metrics.registry.contentType).send(await parts.metrics.registry.metrics()),
  );
}
