// Operator API: certificates, their revocation, and upcoming ends.
import { deviceIdSchema } from '@edgekeep/wire/api/device';
import * as api from '@edgekeep/wire/api/operator';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { RequireScope } from './door.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { Fleet } from '../../respond/quarantine.ts';
import { expiryOf, type OwnCertificate } from '../../authority/expiry.ts';
import { revoke, type RevocationTarget } from '../../respond/revoke.ts';

const page = z.strictObject({
  device: deviceIdSchema.optional(),
  state: z.enum(['any', 'valid', 'revoked', 'ended']).default('any'),
  after: z.string().max(40).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function revocationOperatorRoutes(
  app: HttpServer,
  parts: Fleet & {
    readonly clock: Clock;
    readonly warningDays: number;
    readonly ownCertificates: () => Promise<readonly OwnCertificate[]>;
    readonly requireScope: RequireScope;
  },
): void {
  const { database, clock, requireScope } = parts;

  app.get(
    '/v1/certificates',
    { ...requireScope('devices:read'), schema: { querystring: page, response: { 200: api.certificateList } } },
    async ({ query }) => {
      const nowMs = clock();
      let rows = database.read
        .selectFrom('certificate')
        .select([
          'serial',
          'device_id as deviceId',
          'workload',
          'sha256',
          'not_before as notBefore',
          'not_after as notAfter',
          'revoked_at as revokedAt',
          'revocation_reason as reason',
        ])
        .where('serial', '>', query.after)
        .orderBy('serial')
        .limit(query.limit);
      if (query.device !== undefined) rows = rows.where('device_id', '=', query.device);
      if (query.state === 'revoked') rows = rows.where('revoked_at', 'is not', null);
      if (query.state === 'ended') rows = rows.where('not_after', '<', nowMs);
      if (query.state === 'valid') rows = rows.where('revoked_at', 'is', null).where('not_after', '>=', nowMs);
      const certificates = await rows.execute();
      const next = certificates.length === query.limit ? (certificates.at(-1)?.serial ?? null) : null;
      return { certificates, next };
    },
  );

  app.post(
    '/v1/certificates/revoke',
    {
      ...requireScope('devices:write'),
      bodyLimit: bodyBytes.manyNames,
      schema: { body: api.revocationOrder, response: { 200: api.revocationAnswer } },
    },
    async ({ body, actor }) => {
      const { reason, note, mayReturn } = body;
      return revoke(parts, { target: targetOf(body), reason, note, mayReturn, actor, nowMs: clock() });
    },
  );

  app.get('/v1/expiry', { ...requireScope('devices:read'), schema: { response: { 200: api.expiry } } }, async () =>
    expiryOf(database, await parts.ownCertificates(), { nowMs: clock(), warningDays: parts.warningDays }),
  );
}

function targetOf({ devices, serials, sha256 }: z.infer<typeof api.revocationOrder>): RevocationTarget {
  if (devices !== undefined) return { kind: 'devices', ids: devices };
  if (serials !== undefined) return { kind: 'serials', serials };
  return { kind: 'certificates', digests: sha256 ?? [] };
}
