// Operator API: the hybrid key of a device is forgotten, for an agent that reads no hybrid wraps (spec/access.md, "Forgetting a hybrid key").
import { hybridKeyForgotten } from '@edgekeep/wire/api/hybrid-key';
import { stateRequest } from '@edgekeep/wire/api/device-view';
import { z } from 'zod';
import { PostQuantumRule } from '../../access/post-quantum.ts';
import type { Clock } from '../../common/clock.ts';
import { getDevice } from '../../registry/states.ts';
import { forgetHybridKeyOf } from '../../respond/forget-hybrid-key.ts';
import type { DisconnectDependencies } from '../../respond/quarantine.ts';
import type { HubSettings } from '../../settings.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

const byId = z.strictObject({ id: z.string().max(64) });

type HybridKeyOperatorRouteDependencies = DisconnectDependencies & {
  readonly clock: Clock;
  readonly settings: Pick<HubSettings, 'access'>;
  readonly requireScope: RequireScope;
};

export function hybridKeyOperatorRoutes(app: HttpServer, dependencies: HybridKeyOperatorRouteDependencies): void {
  const { database, clock, settings, requireScope } = dependencies;

  app.post(
    '/v1/devices/:id/forget-hybrid-key',
    {
      ...requireScope('devices:write'),
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: stateRequest, response: { 200: hybridKeyForgotten } },
    },
    async ({ params: { id: deviceId }, body: { reason }, actor }) => {
      const nowMs = clock();
      const forgotten = await forgetHybridKeyOf(dependencies, { deviceId, reason, actor, nowMs });
      const rule = new PostQuantumRule(settings.access.requirePostQuantum);
      const requiredBy = await rule.groupsOf(database.read, await getDevice(database.read, deviceId), nowMs);
      return { ...forgotten, requiredBy: [...requiredBy] };
    },
  );
}
