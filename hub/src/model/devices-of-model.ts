// The devices of a model by its state on them, a page at a time, and the number of each state for metrics.
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { DeviceModelRow } from '../store/tables/model.ts';
import type { Tables } from '../store/schema.ts';

export interface ModelDevicesPage {
  readonly model: string;
  /** Devices that hold or refuse this version; undefined for all. */
  readonly version: string | undefined;
  /** After this device id. */
  readonly after: string;
  readonly limit: number;
}

export async function devicesOfModel(db: Kysely<Tables>, page: ModelDevicesPage): Promise<readonly DeviceModelRow[]> {
  const { model, version, after, limit } = page;
  let select = db.selectFrom('device_model').selectAll().where('model', '=', model).where('device_id', '>', after);
  if (version !== undefined)
    select = select.where((eb) => eb.or([eb('version', '=', version), eb('fault_version', '=', version)]));
  return select.orderBy('device_id').limit(limit).execute();
}

/** Devices by model, state and fault; `none` where there is no fault. */
export async function countDeviceModels(
  db: Kysely<Tables>,
): Promise<
  readonly { readonly model: string; readonly state: string; readonly fault: string; readonly count: number }[]
> {
  return db
    .selectFrom('device_model')
    .select((eb) => [
      'model',
      'state',
      sql<string>`coalesce(fault_code, 'none')`.as('fault'),
      eb.fn.countAll<number>().as('count'),
    ])
    .groupBy(['model', 'state', 'fault'])
    .orderBy('model')
    .limit(SERIES_MAX)
    .execute();
}

// A metric with more series than this is useless.
const SERIES_MAX = 2_000;
