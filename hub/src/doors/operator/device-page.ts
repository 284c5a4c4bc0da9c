// A page of the list of devices, as operators see them.
import { deviceList, type DeviceView } from '@edgekeep/wire/api/device-view';
import type { Kysely } from 'kysely';
import { modelCounts } from '@edgekeep/wire/api/report';
import { z } from 'zod';
import { deviceModelViewOf } from '../../model/device-model-view.ts';
import { modelsOf } from '../../model/device-models.ts';
import { onlineAmong } from '../../presence/read.ts';
import { queryDevices } from '../../registry/list.ts';
import { type Tags, tagsOf } from '../../registry/tags.ts';
import { guardOf } from '../../respond/device-guard.ts';
import type { DeviceModelRow } from '../../store/tables/model.ts';
import type { Page } from '../../store/page.ts';
import type { Tables } from '../../store/schema.ts';
import type { DeviceRecord } from '../../store/tables/registry.ts';

export const deviceQuery = z.strictObject({
  filter: z.string().min(1).optional(),
  sort: z.string().max(64).default('id'),
  after: z.string().max(128).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

const query = deviceQuery.extend({ nowMs: z.number() });

export const devicePage: Page<z.infer<typeof query>, typeof deviceList> = {
  name: 'devices',
  query,
  answer: deviceList,
  make,
};

async function make(
  db: Kysely<Tables>,
  { filter, sort, after, limit, nowMs }: z.infer<typeof query>,
): Promise<z.infer<typeof deviceList>> {
  const found = await queryDevices(db, { filter, sort, after, limit, nowMs });
  const ids = found.devices.map(({ id }) => id);
  const tags = await tagsOf(db, ids);
  const online = await onlineAmong(db, ids, nowMs);
  const models = Map.groupBy(await modelsOf(db, ids), (row) => row.device_id);
  const devices = found.devices.map((row) =>
    deviceViewOf(row, online.has(row.id), models.get(row.id) ?? [], tags.get(row.id)),
  );
  return { devices, next: found.next };
}

// Stored by this hub. A shape that does not fit is shown as absent.
const storedAppraisal = z.object({
  status: z.string(),
  reasons: z.array(z.object({ code: z.string(), message: z.string() })),
  clockSafe: z.boolean().optional(),
});

const storedCounts = z.array(modelCounts);

export function deviceViewOf(
  row: DeviceRecord,
  online: boolean,
  models: readonly DeviceModelRow[],
  tags: Tags = {},
): DeviceView {
  const appraisal = row.appraisal === null ? undefined : storedAppraisal.safeParse(JSON.parse(row.appraisal)).data;
  return {
    id: row.id,
    tier: row.tier,
    state: row.state,
    stateReason: row.state_reason,
    enabled: row.disabled_reason === null,
    disabledReason: row.disabled_reason,
    tags,
    site: row.site,
    enrolledAt: row.enrolled_at,
    seenAt: row.seen_at,
    online,
    appraisal: appraisal === undefined || row.appraised_at === null ? null : { ...appraisal, at: row.appraised_at },
    counts: row.counts === null ? null : (storedCounts.safeParse(JSON.parse(row.counts)).data ?? null),
    models: models.map(deviceModelViewOf),
    clockSkewSeconds: row.clock_skew_seconds,
    guard: guardOf(row) ?? null,
  };
}
