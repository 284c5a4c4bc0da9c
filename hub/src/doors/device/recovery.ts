// Device API: recovery (spec/api.md). An operational key is only in the device's memory, so a restarted device has none and cannot renew.
// It connects without a certificate, names itself, and proves its identity with the root of trust that it enrolled with.
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import { certificateResponse, recoverChallengeRequest, renewRequest } from '@edgekeep/wire/api/enrollment';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { HubSettings } from '../../settings.ts';
import { type CertifyDependencies, certifyNextKey } from '../../enrollment/certify.ts';
import { type DeviceConnection, openChallenge, takeChallenge } from '../../presence/connections.ts';
import { findDevice } from '../../registry/states.ts';

type RecoveryDependencies = CertifyDependencies & {
  readonly settings: Pick<HubSettings, 'certificateSeconds' | 'challengeSeconds' | 'logOrigin' | 'pcrs' | 'publicUrl'>;
  readonly clock: Clock;
  readonly door: DeviceDoor;
};

export function recoveryRoutes(app: HttpServer, dependencies: RecoveryDependencies): void {
  const { database, authorities, settings, clock, door } = dependencies;
  // Between the two steps, on one connection.
  const recovering = new WeakMap<DeviceConnection, string>();

  app.post(
    '/v1/recover/challenge',
    {
      ...door.lets('anyone'),
      bodyLimit: bodyBytes.deviceId,
      schema: { body: recoverChallengeRequest, response: { 200: challengeResponse } },
    },
    async (request) => {
      const connection = door.anyone(request);
      // Nothing is looked up yet: an unknown client learns neither which devices exist nor their state.
      connection.claimed = request.body.deviceId;
      recovering.set(connection, request.body.deviceId);
      const nonce = openChallenge(connection, clock(), settings.challengeSeconds);
      return { nonce: toBase64url(nonce), pcrs: settings.pcrs, expiresInSeconds: settings.challengeSeconds };
    },
  );

  app.post(
    '/v1/recover/complete',
    {
      ...door.lets('challenged'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: renewRequest, response: { 200: certificateResponse } },
    },
    async (request) => {
      const connection = door.anyone(request);
      const { version, certificateRequest, evidence } = request.body;
      const deviceId = recovering.get(connection);
      recovering.delete(connection);
      const nowMs = clock();
      const taken = takeChallenge(connection, nowMs);
      if (deviceId === undefined)
        throw new HubError('challenge-missing', 'begin with POST /v1/recover/challenge on this connection');
      const device = await findDevice(database.read, deviceId);
      if (device === undefined)
        throw new HubError('device-unknown', `${deviceId} is not enrolled here: enroll it first`);
      const proof = {
        version,
        exporter: connection.exporter,
        certificateRequest: parseBase64url(certificateRequest, 'certificateRequest'),
        evidence,
        ...taken,
        nowMs,
        pieces: connection,
      };
      const certificate = await certifyNextKey(dependencies, device, proof, 'device-recovered');
      return { deviceId, certificateChain: authorities.chainPem(certificate) };
    },
  );
}
