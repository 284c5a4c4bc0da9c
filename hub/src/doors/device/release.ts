// Device API: attestation for its own sake, key release, receipts.
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { toBase64url } from '@edgekeep/core/bytes';
import {
  entryVersionHeader,
  receiptVersionHeader,
  receiptVersionTwo,
  releaseRequest,
  releaseResponse,
  saltedEntryVersion,
  receiptResponse,
} from '@edgekeep/wire/api/access';
import { attestRequest, attestResponse } from '@edgekeep/wire/api/attest';
import { z } from 'zod';
import { recordAppraisal, untilReferencesStay } from '../../attest/appraiser.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { type DeviceConnection, takeChallenge } from '../../presence/connections.ts';
import type { RoundTrips } from '../../presence/round-trip.ts';
import { getDevice } from '../../registry/states.ts';
import type { Receipts } from '../../access/receipts.ts';
import { releaseKey } from '../../access/release.ts';
import type { ReleaseDependencies } from '../../access/release-ask.ts';
import { assertLeaseRuns } from '../../access/release-record.ts';

type AccessDeviceRouteDependencies = ReleaseDependencies & {
  clock: Clock;
  door: DeviceDoor;
  receipts: Receipts;
  countRelease: (outcome: string) => void;
  countWrap: (type: string | undefined) => void;
  roundTrips: RoundTrips<DeviceConnection>;
};

export function accessDeviceRoutes(app: HttpServer, dependencies: AccessDeviceRouteDependencies): void {
  addAttestation(app, dependencies);
  addReleases(app, dependencies);
}

function addAttestation(app: HttpServer, dependencies: AccessDeviceRouteDependencies): void {
  const { database, appraiser, clock, door } = dependencies;

  app.post(
    '/v1/attest',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: attestRequest, response: { 200: attestResponse } },
    },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const nowMs = clock();
      const { nonce, askedMs } = takeChallenge(connection, nowMs);
      const device = await getDevice(database.read, deviceId);
      await dependencies.gate.admit({ action: 'attest', deviceId, device, connection, nowMs });
      const bound = qualifyingData('release', nonce, connection.exporter);
      const expected = { qualifyingData: bound, nonce, askedMs, nowMs, pieces: connection };
      return untilReferencesStay(async () => {
        const { appraisal, attestationResult } = await appraiser.appraise(device, request.body.evidence, expected);
        const { state } = await database.write((trx) => recordAppraisal(trx, deviceId, appraisal, nowMs));
        return { attestationResult, state };
      });
    },
  );
}

function addReleases(app: HttpServer, dependencies: AccessDeviceRouteDependencies): void {
  const { database, clock, door, receipts } = dependencies;

  app.post(
    '/v1/releases',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: releaseRequest, response: { 200: releaseResponse } },
    },
    async (request) => {
      const { connection, deviceId, certificateSha256 } = door.bound(request);
      const nowMs = clock();
      const taken = takeChallenge(connection, nowMs);
      const proofMs = dependencies.roundTrips.proofMs(connection);
      const readsSaltedEntries = request.headers[entryVersionHeader] === saltedEntryVersion;
      const receiptVersion = request.headers[receiptVersionHeader] === receiptVersionTwo ? 2 : 1;
      const who = { deviceId, certificateSha256, connection, readsSaltedEntries, receiptVersion } as const;
      const ask = { ...request.body, ...who, ...taken, proofMs, nowMs };
      try {
        const { lease, wrappedKey, recorded } = await releaseKey(dependencies, ask);
        // The receipt needs the entry under a signed checkpoint. Until then the key does not leave the hub.
        const receipt = await receipts.forRelease(recorded);
        // While the log was written, the device may have been cut off or the model withdrawn.
        await assertLeaseRuns(database, lease);
        if (!connection.bound) throw new HubError('device-quarantined', 'this device was cut off');
        dependencies.countRelease('released');
        dependencies.countWrap(wrappedKey.type);
        const { attestationResult } = recorded;
        return { lease: { ...lease }, wrappedKey, attestationResult, receipt: toBase64url(receipt) };
      } catch (error) {
        dependencies.countRelease(error instanceof HubError ? error.code : 'failed');
        throw error;
      }
    },
  );

  app.get(
    '/v1/receipts/:id',
    {
      ...door.lets('bound'),
      schema: {
        params: z.strictObject({ id: z.string().max(64) }),
        response: { 200: receiptResponse },
      },
    },
    async (request) => {
      const { deviceId } = door.bound(request);
      return { receipt: toBase64url(await receipts.forLease(request.params.id, deviceId)) };
    },
  );
}
