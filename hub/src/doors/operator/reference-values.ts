// Operator API: reference values.
import { parseBase64url } from '@edgekeep/core/bytes';
import { sharedStagePcr } from '@edgekeep/core/attest/stage-pcr';
import { targetText } from '@edgekeep/core/attest/reference-target';
import {
  referenceValuesRequest,
  referenceValuesList,
  referenceValuesView,
  referenceValuesWithdrawn,
} from '@edgekeep/wire/api/reference-values';
import { z } from 'zod';
import type { ReferenceStandings, SetStanding } from '../../attest/reference-standings.ts';
import type { ReferenceStore } from '../../attest/reference-store.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { asHub } from '../../store/authority.ts';
import type { ReferenceValuesRow } from '../../store/tables/attest.ts';

const named = z.strictObject({ name: z.string().max(64), version: z.string().max(64) });

export function accessOperatorRoutes(
  app: HttpServer,
  dependencies: {
    references: ReferenceStore;
    standings: ReferenceStandings;
    clock: Clock;
    requireScope: RequireScope;
  },
): void {
  const { references, standings, clock, requireScope } = dependencies;
  const views = async (rows: readonly ReferenceValuesRow[]) => {
    const found = await standings.ofRows(rows);
    return found.map(({ row, standing }) => viewOf(row, standing, references));
  };

  app.get(
    '/v1/reference-values',
    {
      ...requireScope('models:read'),
      schema: { response: { 200: referenceValuesList } },
    },
    async () => ({ referenceValues: await views(await references.list()) }),
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
      await asHub(() => standings.weigh());
      const { standing } = await standings.ofRow(row);
      return { ...viewOf(row, standing, references), supersedes: [...(await standings.supersededBy(row))] };
    },
  );
  app.post(
    '/v1/reference-values/:name/:version/withdraw',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.none,
      schema: { params: named, response: { 200: referenceValuesWithdrawn } },
    },
    async ({ params, actor }) => {
      const before = new Set(await standings.inForce());
      await references.withdraw({ ...params, actor, nowMs: clock() });
      await references.weighFormerSets(clock());
      await asHub(() => standings.weigh());
      const countAgain = (await standings.inForce()).filter((name) => !before.has(name));
      return { ...params, withdrawn: true, countAgain };
    },
  );
}

function viewOf(
  row: ReferenceValuesRow,
  { set, inForce, why, superseded, devices }: SetStanding,
  references: ReferenceStore,
): z.infer<typeof referenceValuesView> {
  const { name, version, publisher } = row;
  const { lowestVersion = null, notBefore, notAfter, target } = set;
  return {
    name,
    version,
    publisher,
    publishedAt: row.published_at,
    withdrawnAt: row.withdrawn_at,
    notCovered: [...references.notCovered(row.document)],
    stagePcrShared: [...sharedStagePcr(set)],
    inForce,
    why: why ?? null,
    lowestVersion,
    devices,
    supersedes: [],
    superseded: superseded === undefined ? null : { by: superseded.by, until: superseded.untilMs },
    notBefore: notBefore === undefined ? null : notBefore * 1_000,
    notAfter: notAfter === undefined ? null : notAfter * 1_000,
    target: target === undefined ? null : targetText(target),
  };
}
