// Operator API: workloads.
import { deviceIdSchema } from '@edgekeep/wire/api/device';
import * as api from '@edgekeep/wire/api/workload';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { RevocationWatch } from '../../revocation/watch.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { declareWorkload, listDeclarations, removeWorkload, type WorkloadTarget } from '../../workload/declarations.ts';
import { disableWorkload, enableWorkload, workloadChanges, workloadsOf } from '../../workload/workloads.ts';

const byName = z.strictObject({ name: z.string().max(64) });
const byId = z.strictObject({ id: z.string().max(64) });
const onDevice = z.strictObject({ id: z.string().max(64), name: z.string().max(64) });
const page = z.strictObject({ device: deviceIdSchema.optional(), group: z.string().max(64).optional() });

interface WorkloadOperatorRouteDependencies {
  readonly database: Database;
  readonly settings: Pick<HubSettings, 'workloads'>;
  readonly watch: RevocationWatch;
  readonly clock: Clock;
  readonly requireScope: RequireScope;
}

export function workloadOperatorRoutes(app: HttpServer, dependencies: WorkloadOperatorRouteDependencies): void {
  addDeclarations(app, dependencies);
  addOfDevice(app, dependencies);
}

function addDeclarations(app: HttpServer, dependencies: WorkloadOperatorRouteDependencies): void {
  const { database, watch, requireScope } = dependencies;
  const write = requireScope('devices:write');
  const read = requireScope('devices:read');

  app.get(
    '/v1/workloads',
    { ...read, schema: { querystring: page, response: { 200: api.declarationList } } },
    async ({ query }) => ({ workloads: [...(await listDeclarations(database.read, targetOf(query)))] }),
  );

  app.post(
    '/v1/workloads',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { body: api.workloadRequest, response: { 200: api.declarationView } },
    },
    async ({ body: { name, description, ...target }, actor }) =>
      declareWorkload(database, { workload: name, description, ...orderFor(dependencies, target, actor) }),
  );

  app.post(
    '/v1/workloads/:name/remove',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.workloadRemoval, response: { 200: api.workloadRemoved } },
    },
    async ({ params: { name }, body, actor }) => {
      const removed = await removeWorkload(database, { workload: name, ...orderFor(dependencies, body, actor) });
      // Before the response, this node closes the connections.
      await watch.poll();
      return { name, ...removed };
    },
  );
}

function addOfDevice(app: HttpServer, dependencies: WorkloadOperatorRouteDependencies): void {
  const { database, settings, watch, clock, requireScope } = dependencies;
  const write = requireScope('devices:write');
  const read = requireScope('devices:read');

  app.get(
    '/v1/devices/:id/workloads',
    { ...read, schema: { params: byId, response: { 200: api.deviceWorkloadList } } },
    async ({ params: { id } }) => {
      const { trustDomain } = settings.workloads;
      return { workloads: [...(await workloadsOf(database, id, { trustDomain, nowMs: clock() }))] };
    },
  );

  app.post(
    '/v1/devices/:id/workloads/:name/disable',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: onDevice, body: api.workloadDisableRequest, response: { 200: api.workloadSwitched } },
    },
    async ({ params: { id: deviceId, name }, body: { reason }, actor }) => {
      const order = { deviceId, workload: name, reason, actor, nowMs: clock() };
      const certificatesRevoked = await disableWorkload(database, order);
      await watch.poll();
      return { deviceId, name, enabled: false, certificatesRevoked };
    },
  );

  app.post(
    '/v1/devices/:id/workloads/:name/enable',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: onDevice, response: { 200: api.workloadSwitched } } },
    async ({ params: { id: deviceId, name }, actor }) => {
      await enableWorkload(database, { deviceId, workload: name, actor, nowMs: clock() });
      return { deviceId, name, enabled: true, certificatesRevoked: 0 };
    },
  );

  app.get(
    '/v1/devices/:id/workloads/:name/history',
    { ...read, schema: { params: onDevice, response: { 200: api.workloadHistory } } },
    async ({ params: { id: deviceId, name } }) => {
      const changes = await workloadChanges(database, { deviceId, workload: name });
      return { changes: changes.map(({ log_index: logIndex, ...change }) => ({ logIndex, ...change })) };
    },
  );
}

function orderFor(dependencies: WorkloadOperatorRouteDependencies, target: z.infer<typeof page>, actor: string) {
  const { clock } = dependencies;
  return { target: targetOf(target) ?? { kind: 'device', name: '' }, actor, nowMs: clock() } as const;
}

function targetOf({ device, group }: z.infer<typeof page>): WorkloadTarget | undefined {
  if (device !== undefined) return { kind: 'device', name: device };
  return group === undefined ? undefined : { kind: 'group', name: group };
}
