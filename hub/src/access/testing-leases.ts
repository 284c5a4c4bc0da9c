// For tests: a store with leases of two devices.
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';

export const leasesAtMs = 1_800_000_000_000;
const nowMs = leasesAtMs;

export interface TestLease {
  readonly deviceId?: string;
  readonly model?: string;
  readonly at?: number;
  readonly address?: string;
  readonly proofMs?: number;
  readonly notAfter?: number;
  readonly revokedAt?: number;
}

/** A store with these leases. */
export async function storeWithLeases(...leases: readonly TestLease[]): Promise<TestStore> {
  const store = await openTestStore();
  await addDevices(store.database, deviceRow('press-1'), deviceRow('press-2'));
  const rows = leases.map((given, at) => ({
    id: `lease-${at}`,
    device_id: given.deviceId ?? 'press-1',
    model: given.model ?? 'belt',
    version: '1.0.0',
    document: '{}',
    not_after: given.notAfter ?? nowMs + 1_000,
    revoked_at: given.revokedAt ?? null,
    log_index: at,
    attestation_result: '',
    granted_at: given.at ?? nowMs - 1 - at,
    address: given.address ?? '192.0.2.1',
    round_trip_ms: given.proofMs ?? 100,
  }));
  if (rows.length > 0) await store.database.write((trx) => trx.insertInto('lease').values(rows).execute());
  return store;
}
