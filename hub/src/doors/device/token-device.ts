// Device API: reports of a device that has only HMAC tokens (spec/device-token.md).
import { tokenReportRequest, tokenReportResponse } from '@edgekeep/wire/api/token-device';
import type { FastifyRequest } from 'fastify';
import { Budgets } from '../../common/budget.ts';
import type { AccessGate } from '../../access/gate.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import type { PlatformKey } from '../../secrets/platform-key.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { useDeviceToken } from '../../enrollment/token-device.ts';

// A token device has one token a second; more attempts under one id are guesses.
const attempts = { perSecond: 2, burstSeconds: 5 };

export function tokenDeviceRoutes(
  app: HttpServer,
  dependencies: {
    database: Database;
    platformKey: PlatformKey;
    settings: Pick<HubSettings, 'deviceTokens' | 'identity'>;
    clock: Clock;
    door: DeviceDoor;
    gate: AccessGate;
  },
): void {
  const { database, platformKey, settings, clock, door, gate } = dependencies;
  const budgets = new Budgets(attempts);

  app.post(
    '/v1/token/report',
    {
      ...door.lets('anyone'),
      bodyLimit: bodyBytes.message,
      schema: { proofs: ['deviceToken'], body: tokenReportRequest, response: { 200: tokenReportResponse } },
    },
    async (request) => {
      const connection = door.anyone(request);
      const nowMs = clock();
      const token = tokenOf(request);
      connection.claimed = claimOf(token);
      // Also by address: guesses from elsewhere must not use up the device's own attempts.
      if (!budgets.spend(`${networkOf(connection.remoteAddress)} ${token.split(':', 1)[0] ?? ''}`, nowMs)) {
        throw new HubError('rate-limited', 'a token device may ask twice a second: slow down');
      }
      const { windowSeconds } = settings.deviceTokens;
      const place = { address: connection.remoteAddress, sessionRule: settings.identity };
      const device = await useDeviceToken(database, platformKey, { token, windowSeconds, nowMs, ...place });
      const ask = { deviceId: device.id, connection, nowMs };
      await gate.admit({ ...ask, action: 'connect' });
      await gate.admit({ ...ask, action: 'publishTelemetry' });
      return { deviceId: device.id, state: device.state };
    },
  );
}

function tokenOf({ headers }: FastifyRequest): string {
  const match = /^Device ([\x21-\x7e]{1,200})$/.exec(headers.authorization ?? '');
  if (match?.[1] === undefined)
    throw new HubError('token-required', 'send a device token: Authorization: Device ID:SECONDS:MAC');
  return match[1];
}

// Text from an unknown client, which goes to logs.
function claimOf(token: string): string | undefined {
  return /^[a-z0-9][a-z0-9-]{0,62}(?=:)/.exec(token)?.[0];
}
