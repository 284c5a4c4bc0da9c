// A model on a device as operators see it.
import type { DeviceModelView } from '@edgekeep/wire/api/model';
import type { DeviceModelRow } from '../store/tables/model.ts';

export function deviceModelViewOf(row: DeviceModelRow): DeviceModelView {
  const { model, state, version, manifest_digest: manifestDigest, fault_code: code } = row;
  const fault =
    code === null
      ? null
      : {
          version: row.fault_version,
          code,
          place: row.fault_place ?? '',
          message: row.fault_message ?? '',
          attempts: row.fault_attempts ?? 1,
          final: row.fault_kind === 'final',
          since: row.fault_since ?? 0,
        };
  return { model, state, version, manifestDigest, fault, retryOrdered: row.retry > row.retried };
}
