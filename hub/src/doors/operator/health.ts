// Is the hub alive, is it ready, and what are its metrics: for supervisors and Prometheus. Only the metrics need a token.
import { z } from 'zod';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { Metrics } from '../../health/metrics.ts';
import type { Readiness } from '../../health/readiness.ts';

const health = z.object({ status: z.string() });
const readiness = z.object({
  status: z.string(),
  failing: z.array(z.object({ resource: z.string(), message: z.string() })),
});

export function healthRoutes(
  app: HttpServer,
  dependencies: { readiness: Readiness; metrics: Metrics; requireScope: RequireScope },
): void {
  app.get('/healthz', { schema: { response: { 200: health } } }, async () => ({ status: 'alive' }));

  app.get('/readyz', { schema: { response: { 200: readiness, 503: readiness } } }, async (_request, reply) => {
    const failing = await dependencies.readiness.failing();
    if (failing.length === 0) return { status: 'ready', failing: [] };
    return reply.status(503).send({ status: 'not-ready', failing: [...failing] });
  });

  app.get('/metrics', dependencies.requireScope('metrics:read'), async (_request, reply) =>
    reply.type(dependencies.metrics.registry.contentType).send(await dependencies.metrics.registry.metrics()),
  );
}
