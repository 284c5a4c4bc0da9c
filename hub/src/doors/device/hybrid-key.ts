// Device API: the hybrid key of a device (spec/enrollment.md, "The hybrid key"), in two steps on one bound connection, after POST /v1/challenges.
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import {
  hybridKeyChallengeRequest,
  hybridKeyChallengeResponse,
  hybridKeyRequest,
  hybridKeyResponse,
} from '@edgekeep/wire/api/hybrid-key';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import {
  completeHybridKey,
  type HybridKeyDependencies,
  type PendingHybridKey,
  startHybridKey,
} from '../../enrollment/hybrid-key.ts';
import { type DeviceConnection, takeChallenge } from '../../presence/connections.ts';

type HybridKeyRouteDependencies = HybridKeyDependencies & { readonly clock: Clock; readonly door: DeviceDoor };

export function hybridKeyRoutes(app: HttpServer, dependencies: HybridKeyRouteDependencies): void {
  const { clock, door } = dependencies;
  // Between the two steps, by connection.
  const begun = new WeakMap<DeviceConnection, PendingHybridKey>();

  app.post(
    '/v1/hybrid-key/challenge',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.order,
      schema: { body: hybridKeyChallengeRequest, response: { 200: hybridKeyChallengeResponse } },
    },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const { pending, sealed } = startHybridKey(deviceId, parseBase64url(request.body.key, 'key'));
      begun.set(connection, pending);
      return { encapsulatedKey: toBase64url(sealed.encapsulatedKey), ciphertext: toBase64url(sealed.ciphertext) };
    },
  );

  app.post(
    '/v1/hybrid-key',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: hybridKeyRequest, response: { 200: hybridKeyResponse } },
    },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const { secret, evidence } = request.body;
      const nowMs = clock();
      const pending = begun.get(connection);
      begun.delete(connection);
      const taken = takeChallenge(connection, nowMs);
      if (pending === undefined)
        throw new HubError('challenge-missing', 'begin with POST /v1/hybrid-key/challenge on this connection');
      const proof = { ...taken, secret: parseBase64url(secret, 'secret'), evidence, nowMs };
      const bound = { exporter: connection.exporter, pieces: connection };
      return { sha256: await completeHybridKey(dependencies, deviceId, pending, { ...proof, ...bound }) };
    },
  );
}
