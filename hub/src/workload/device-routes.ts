// Device API: certificates for the workloads of a device, and who the hub takes a connection for.
import { encodePem } from '@edgekeep/core/identity/pem';
import { parseBase64url } from '@edgekeep/core/bytes';
import * as api from '@edgekeep/wire/workload-api';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { DeviceDoor } from '../http/device.ts';
import type { HttpServer } from '../http/server.ts';
import { assertCertificateStands } from '../identity/revocation-store.ts';
import { certifyWorkload, type WorkloadParts } from './certify.ts';

const byName = z.strictObject({ name: api.workloadNameSchema });

export function workloadDeviceRoutes(
  app: HttpServer,
  parts: WorkloadParts & { readonly clock: Clock; readonly door: DeviceDoor },
): void {
  const { database, authorities, clock, door } = parts;

  app.post(
    '/v1/workloads/:name/certificate',
    {
      schema: {
        params: byName,
        body: api.workloadCertificateRequest,
        response: { 200: api.workloadCertificateResponse },
      },
    },
    async (request) => {
      const { deviceId } = door.bound(request);
      const { certificate, spiffeId } = await certifyWorkload(parts, {
        deviceId,
        workload: request.params.name,
        certificateRequest: parseBase64url(request.body.certificateRequest, 'certificateRequest'),
        nowMs: clock(),
      });
      const trustBundle = authorities.trustedRoots.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
      return { spiffeId, certificateChain: authorities.chainPem(certificate), trustBundle };
    },
  );

  app.get('/v1/whoami', { schema: { response: { 200: api.whoAmI } } }, async (request) => {
    const { workload } = door.anyone(request);
    if (workload !== undefined) {
      const { deviceId, name, spiffeId, sha256, notAfterMs } = door.workload(request);
      await assertCertificateStands(database.read, sha256);
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
