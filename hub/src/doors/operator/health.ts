// Is the hub alive, is it ready, and what are its metrics: for supervisors and Prometheus. Only the metrics need a token.
import { healthView, readinessView } from '@edgekeep/wire/api/health';
import { bytesAs } from '../openapi/answers.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { Metrics } from '../../health/metrics.ts';
import type { Readiness } from '../../health/readiness.ts';

export function healthRoutes(
  app: HttpServer,
  dependencies: { readiness: Readiness; metrics: Metrics; requireScope: RequireScope },
): void {
  app.get('/healthz', { schema: { response: { 200: healthView } } }, async () => ({ status: 'alive' as const }));

  app.get('/readyz', { schema: { response: { 200: readinessView, 503: readinessView } } }, async (_request, reply) => {
    const failing = await dependencies.readiness.failing();
    if (failing.length === 0) return { status: 'ready' as const, failing: [] };
    return reply.status(503).send({ status: 'not-ready', failing: [...failing] });
  });

  app.get(
    '/metrics',
    { ...dependencies.requireScope('metrics:read'), schema: { response: { 200: bytesAs('text/plain') } } },
    async (_request, reply) =>
      reply.type(dependencies.metrics.registry.contentType).send(await dependencies.metrics.registry.metrics()),
  );
}
