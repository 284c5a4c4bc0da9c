// Operator API: certificates, their revocation, and upcoming ends.
import { certificateList, expiry, revocationResponse, revocationRequest } from '@edgekeep/wire/api/revocation';
import type { z } from 'zod';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import { certificatePage, certificateQuery } from './certificate-page.ts';
import { sendPage, SHORT_MAX } from './pages.ts';
import type { DisconnectDependencies } from '../../respond/quarantine.ts';
import { expiryOf, type OwnCertificate } from '../../authority/expiry.ts';
import { revoke, type RevocationTarget } from '../../respond/revoke.ts';

export function revocationOperatorRoutes(
  app: HttpServer,
  dependencies: DisconnectDependencies & {
    readonly clock: Clock;
    readonly warningDays: number;
    readonly ownCertificates: () => Promise<readonly OwnCertificate[]>;
    readonly requireScope: RequireScope;
  },
): void {
  const { database, clock, requireScope } = dependencies;

  app.get(
    '/v1/certificates',
    {
      ...requireScope('devices:read'),
      schema: { querystring: certificateQuery, response: { 200: certificateList } },
    },
    async ({ query }, reply) => {
      // Without a condition a page reads what it shows.
      const short = query.device === undefined && query.state === 'any' && query.limit <= SHORT_MAX;
      return sendPage(database, reply, certificatePage, { query: { ...query, nowMs: clock() }, short });
    },
  );

  app.post(
    '/v1/certificates/revoke',
    {
      ...requireScope('devices:write'),
      bodyLimit: bodyBytes.manyNames,
      schema: { body: revocationRequest, response: { 200: revocationResponse } },
    },
    async ({ body, actor }) => {
      const { reason, note, mayReturn } = body;
      return revoke(dependencies, { target: targetOf(body), reason, note, mayReturn, actor, nowMs: clock() });
    },
  );

  app.get('/v1/expiry', { ...requireScope('devices:read'), schema: { response: { 200: expiry } } }, async () =>
    expiryOf(database, await dependencies.ownCertificates(), { nowMs: clock(), warningDays: dependencies.warningDays }),
  );
}

function targetOf({ devices, serials, sha256 }: z.infer<typeof revocationRequest>): RevocationTarget {
  if (devices !== undefined) return { kind: 'devices', ids: devices };
  if (serials !== undefined) return { kind: 'serials', serials };
  return { kind: 'certificates', digests: sha256 ?? [] };
}
