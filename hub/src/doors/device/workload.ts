// Device API: certificates for the workloads of a device, and the identity behind a connection.
import { encodePem } from '@edgekeep/core/identity/pem';
import { parseBase64url } from '@edgekeep/core/bytes';
import { workloadSpiffeId } from '@edgekeep/core/identity/spiffe-id';
import * as api from '@edgekeep/wire/api/workload';
import { z } from 'zod';
import type { AccessGate } from '../../access/gate.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { assertCertificateStands } from '../../revocation/store.ts';
import { certifyWorkload, type WorkloadDependencies } from '../../workload/certify.ts';

const byName = z.strictObject({ name: api.workloadNameSchema });

type WorkloadDeviceRouteDependencies = WorkloadDependencies & {
  readonly clock: Clock;
  readonly door: DeviceDoor;
  readonly gate: Pick<AccessGate, 'admit'>;
};

export function workloadDeviceRoutes(app: HttpServer, dependencies: WorkloadDeviceRouteDependencies): void {
  addCertificates(app, dependencies);
  addWhoami(app, dependencies);
}

function addCertificates(app: HttpServer, dependencies: WorkloadDeviceRouteDependencies): void {
  const { authorities, settings, clock, door, gate } = dependencies;

  app.post(
    '/v1/workloads/:name/certificate',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.certificateRequest,
      schema: {
        params: byName,
        body: api.workloadCertificateRequest,
        response: { 200: api.workloadCertificateResponse },
      },
    },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const nowMs = clock();
      // A client that may not connect as this workload needs no certificate to try it with.
      const { name } = request.params;
      const { trustDomain } = settings.workloads;
      const workload = { id: workloadSpiffeId({ trustDomain, deviceId, workload: name }), name };
      await gate.admit({ action: 'connect', deviceId, connection, workload, lasting: true, nowMs });
      const { certificate, spiffeId } = await certifyWorkload(dependencies, {
        deviceId,
        workload: name,
        certificateRequest: parseBase64url(request.body.certificateRequest, 'certificateRequest'),
        nowMs,
      });
      const trustBundle = authorities.trustedRoots.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
      return { spiffeId, certificateChain: authorities.chainPem(certificate), trustBundle };
    },
  );
}

function addWhoami(app: HttpServer, dependencies: WorkloadDeviceRouteDependencies): void {
  const { database, clock, door, gate } = dependencies;

  app.get('/v1/whoami', { ...door.lets('anyone'), schema: { response: { 200: api.whoAmI } } }, async (request) => {
    const asked = door.anyone(request);
    if (asked.workload !== undefined) {
      const { deviceId, name, spiffeId, sha256, notAfterMs } = door.workload(request);
      await assertCertificateStands(database.read, sha256);
      const workload = { id: spiffeId, name };
      await gate.admit({ action: 'connect', deviceId, connection: asked, workload, nowMs: clock() });
      return {
        kind: 'workload' as const,
        spiffeId,
        deviceId,
        workload: name,
        notAfter: Math.floor(notAfterMs / 1_000),
      };
    }
    const { connection, deviceId, certificateSha256 } = door.withCertificate(request);
    await assertCertificateStands(database.read, certificateSha256);
    const notAfter = Math.floor((connection.certificate?.notAfterMs ?? 0) / 1_000);
    return { kind: 'device' as const, deviceId, bound: connection.bound, notAfter };
  });
}
