// Ends workloads' certificates, within the transaction of the cause, and records the history of a workload.
import type { RevocationReason } from '@edgekeep/core/identity/crl-reason';
import { announceDisconnects, revokeWorkload } from '../revocation/store.ts';
import type { WriteTransaction } from '../store/database.ts';

export interface WorkloadOnDevice {
  readonly deviceId: string;
  readonly workload: string;
}

/** Revokes the valid certificates of one workload and tells every hub node to cut it. Returns their number. */
export async function revokeWorkloads(
  trx: WriteTransaction,
  on: WorkloadOnDevice,
  mark: { readonly reason: RevocationReason; readonly nowMs: number },
): Promise<number> {
  const revoked = await revokeWorkload(trx, on, mark);
  if (revoked.length > 0) await announceDisconnects(trx, revoked);
  return revoked.length;
}

export async function recordWorkloadChange(
  trx: WriteTransaction,
  { deviceId, workload }: WorkloadOnDevice,
  change: {
    readonly change: string;
    readonly reason: string;
    /** Index of the audit entry that records it. */
    readonly logIndex: number;
    readonly actor: string;
    readonly nowMs: number;
  },
): Promise<void> {
  await trx
    .insertInto('workload_history')
    .values({
      device_id: deviceId,
      name: workload,
      log_index: change.logIndex,
      at: change.nowMs,
      change: change.change,
      reason: change.reason,
      actor: change.actor,
    })
    .execute();
}
