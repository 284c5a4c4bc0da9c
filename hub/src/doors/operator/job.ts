// Operator API: the recurring work of this hub and how its last runs ended (`edgekeep hub jobs`).
import { jobList } from '@edgekeep/wire/api/job';
import type { Scheduler } from '../../jobs/scheduler.ts';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

export function jobRoutes(
  app: HttpServer,
  { scheduler, requireScope }: { scheduler: Pick<Scheduler, 'list' | 'leads'>; requireScope: RequireScope },
): void {
  app.get('/v1/jobs', { ...requireScope('metrics:read'), schema: { response: { 200: jobList } } }, async () => ({
    leads: scheduler.leads,
    jobs: scheduler.list().map(({ runsOn, ...job }) => ({
      ...job,
      place: runsOn,
      everyMilliseconds: job.everyMilliseconds ?? null,
      lastStartedAt: job.lastStartedAt ?? null,
      lastSucceededAt: job.lastSucceededAt ?? null,
      lastError: job.lastError ?? null,
    })),
  }));
}
