// Operator API: reference values.
import { parseBase64url } from '@edgekeep/core/bytes';
import { referenceValuesRequest, referenceValuesView } from '@edgekeep/wire/api/reference-values';
import { z } from 'zod';
import type { ReferenceStore } from '../../attest/reference-store.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { ReferenceValuesRow } from '../../store/tables/attest.ts';

const named = z.strictObject({ name: z.string().max(64), version: z.string().max(64) });

export function accessOperatorRoutes(
  app: HttpServer,
  dependencies: {
    references: ReferenceStore;
    clock: Clock;
    requireScope: RequireScope;
  },
): void {
  const { references, clock, requireScope } = dependencies;

  app.get(
    '/v1/reference-values',
    {
      ...requireScope('models:read'),
      schema: { response: { 200: z.object({ referenceValues: z.array(referenceValuesView) }) } },
    },
    async () => ({ referenceValues: (await references.list()).map((row) => viewOf(row, references)) }),
  );
  app.post(
    '/v1/reference-values',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.referenceValues,
      schema: { body: referenceValuesRequest, response: { 200: referenceValuesView } },
    },
    async ({ body, actor }) => {
      const document = parseBase64url(body.document, 'document');
      const row = await references.publish({ document, signature: body.signature, actor, nowMs: clock() });
      return viewOf(row, references);
    },
  );
  app.post(
    '/v1/reference-values/:name/:version/withdraw',
    { ...requireScope('models:publish'), bodyLimit: bodyBytes.none, schema: { params: named } },
    async ({ params, actor }) => {
      await references.withdraw({ ...params, actor, nowMs: clock() });
      await references.weighFormerSets(clock());
      return { ...params, withdrawn: true };
    },
  );
}

function viewOf(row: ReferenceValuesRow, references: ReferenceStore): z.infer<typeof referenceValuesView> {
  const { name, version, publisher } = row;
  const notCovered = [...references.notCovered(row.document)];
  return { name, version, publisher, publishedAt: row.published_at, withdrawnAt: row.withdrawn_at, notCovered };
}
