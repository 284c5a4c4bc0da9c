// Operator API: registers devices with HMAC tokens, and rolls their secrets (spec/device-token.md).
import {
  tokenDeviceResponse,
  tokenDeviceRequest,
  tokenRollResponse,
  tokenRollRequest,
} from '@edgekeep/wire/api/token-device';
import { z } from 'zod';
import type { Clock } from '../../common/clock.ts';
import { addTokenDevice, rollSecret } from '../../enrollment/token-device.ts';
import type { PlatformKey } from '../../secrets/platform-key.ts';
import type { Database } from '../../store/database.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

const byId = z.strictObject({ id: z.string().max(64) });

export function tokenOperatorRoutes(
  app: HttpServer,
  dependencies: { database: Database; platformKey: PlatformKey; clock: Clock; requireScope: RequireScope },
): void {
  const { database, platformKey, clock, requireScope } = dependencies;

  app.post(
    '/v1/token-devices',
    {
      ...requireScope('enrollment:write'),
      bodyLimit: bodyBytes.order,
      schema: { body: tokenDeviceRequest, response: { 200: tokenDeviceResponse } },
    },
    async ({ body: { id }, actor }) => {
      const order = { deviceId: id, actor, nowMs: clock() };
      return { id, secret: await addTokenDevice(database, platformKey, order) };
    },
  );

  app.post(
    '/v1/token-devices/:id/roll',
    {
      ...requireScope('enrollment:write'),
      bodyLimit: bodyBytes.order,
      schema: { params: byId, body: tokenRollRequest, response: { 200: tokenRollResponse } },
    },
    async ({ params: { id }, body, actor }) => {
      const order = { deviceId: id, overlapSeconds: body.overlapSeconds, actor, nowMs: clock() };
      return { id, ...(await rollSecret(database, platformKey, order)) };
    },
  );
}
