// Operator API: IMA policies.
import { parseBase64url } from '@edgekeep/core/bytes';
import {
  imaPolicyList,
  imaPolicyRequest,
  imaPolicyView,
  type ImaPolicyView,
  imaPolicyWithdrawn,
} from '@edgekeep/wire/api/ima-policy';
import { z } from 'zod';
import type { Appraiser } from '../../attest/appraiser.ts';
import type { ImaPolicyRow } from '../../store/tables/attest.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';

const named = z.strictObject({ name: z.string().max(64), version: z.string().max(64) });

export function imaPolicyRoutes(
  app: HttpServer,
  dependencies: {
    readonly appraiser: Appraiser;
    readonly settings: { readonly pcrs: readonly number[] };
    readonly clock: Clock;
    readonly requireScope: RequireScope;
  },
): void {
  const { clock, requireScope, settings } = dependencies;
  const { imaPolicies: store } = dependencies.appraiser;
  const { pcrs } = settings;

  app.get(
    '/v1/ima-policies',
    { ...requireScope('models:read'), schema: { response: { 200: imaPolicyList } } },
    async () => ({ imaPolicies: (await store.list()).map(viewOf) }),
  );
  app.post(
    '/v1/ima-policies',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.imaPolicy,
      schema: { body: imaPolicyRequest, response: { 200: imaPolicyView } },
    },
    async ({ body, actor }) => {
      const document = parseBase64url(body.document, 'document');
      return viewOf(await store.publish({ document, signature: body.signature, pcrs, actor, nowMs: clock() }));
    },
  );
  app.post(
    '/v1/ima-policies/:name/:version/withdraw',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.none,
      schema: { params: named, response: { 200: imaPolicyWithdrawn } },
    },
    async ({ params, actor }) => {
      await store.withdraw({ ...params, actor, nowMs: clock() });
      return { ...params, withdrawn: true };
    },
  );
}

function viewOf(row: Omit<ImaPolicyRow, 'document' | 'signature'>): ImaPolicyView {
  const { name, version, publisher } = row;
  return { name, version, publisher, publishedAt: row.published_at, withdrawnAt: row.withdrawn_at };
}
