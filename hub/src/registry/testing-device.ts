// For tests: the row of a device.
import { createHash } from 'node:crypto';
import type { Database } from '../store/database.ts';
import type { DeviceRow } from '../store/tables/registry.ts';

/** Of an active device, with its own root of trust. */
export function deviceRow<Changes extends Partial<DeviceRow>>(id: string, changes?: Changes): DeviceRow & Changes;
export function deviceRow(id: string, changes: Partial<DeviceRow> = {}): DeviceRow {
  return {
    id,
    tier: 'software',
    state: 'active',
    state_reason: 'a test',
    identity: JSON.stringify({ kind: 'est' }),
    root_sha256: createHash('sha256').update(`root of ${id}`).digest('hex'),
    witness_key: '',
    enrolled_at: 0,
    seen_at: 0,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
    ...changes,
  };
}

export async function addDevices(database: Database, ...rows: readonly DeviceRow[]): Promise<void> {
  await database.write((trx) => trx.insertInto('device').values(rows).execute());
}
